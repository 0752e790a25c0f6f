"""JSON as models write it: what it was plainly meant to be, within bounds on the work that takes."""

from __future__ import annotations

import json
from typing import Any

_MENDED_AT_MOST = 200_000  # characters: mending is slow, and what is longer was hardly meant as JSON
_OPENED_AT_MOST = 3_000  # brackets of what is mended: deep nonsense takes minutes


def mended_json(text: str) -> str:
    """`text` if it is JSON; else the JSON object that it was plainly meant to be; else `text` as it is."""
    try:
        json.loads(text)
        return text
    except RecursionError:
        return "null"
    except ValueError:
        value = repaired(text)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else text


def is_too_deep(text: str) -> bool:
    """Whether this is JSON that nothing here can read for the depth of its nesting."""
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return False


def repaired(text: str) -> Any:
    """What `text` was meant to be; None where that cannot be told."""
    if len(text) > _MENDED_AT_MOST or text.count("{") + text.count("[") > _OPENED_AT_MOST:
        return None
    import json_repair

    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError):
        return None
