"""A structured answer as a model wrote it: its JSON among words and fences, and what is wrong with it, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import ValidationError

from ml_intern.plan.mistakes import OWN, Mistake, mistakes

_LOOKED_AT = 200  # braces
_SHOWN = 100  # characters of a wrong value
_PLAINER = {"missing": "this is missing", "extra_forbidden": "there is no such field"}
_OPENS = re.compile(r"\{\s*[\"}]")  # as objects do; `{x}` of a text does not
_BRACE = re.compile(r"[{}]")
_OUTSIDE_STRINGS = re.compile(r'[{}]|"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)  # braces, and each string as one
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)


def json_in(text: str) -> str:
    """The longest JSON object that stands in `text`, whole or nearly: a slip in one makes none of those inside it the
    answer."""
    longest = max(_objects(text), key=len, default="")
    if len(longest) > len("{}"):
        return longest
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _objects(text: str) -> Iterator[str]:
    """One after another; none that lies in another."""
    done = 0
    for match in list(_OPENS.finditer(text))[:_LOOKED_AT]:
        if (start := match.start()) < done:
            continue  # inside the one before
        try:
            _, done = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            done = _end_of_nearly(text, start)
        yield text[start:done].rstrip()


def _end_of_nearly(text: str, start: int) -> int:
    """Where an object ends that cannot be read: at its brace; where a quotation mark too many hides that one, at the
    brace that it has without heeding any; where it was broken off, with its fence or the text."""
    for tokens in (_OUTSIDE_STRINGS, _BRACE):
        depth = 0
        for match in tokens.finditer(text, start):
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if depth == 0:
                return match.end()
    closed = _FENCE.search(text, start)
    return closed.start() if closed else len(text)


def problems(error: ValidationError) -> str:
    """What is wrong and where, a line each."""
    return "\n".join(f"{'.'.join(map(str, one.place)) or 'the answer'}: {_said(one)}" for one in mistakes(error))[:4000]


def _said(mistake: Mistake) -> str:
    if mistake.type in _PLAINER:
        return _PLAINER[mistake.type]
    tells_all = mistake.type in (OWN, "value_error", "json_invalid")
    if tells_all or not isinstance(mistake.given, str | int | float | None):
        return mistake.words
    return f"{mistake.words}, not {json.dumps(mistake.given, ensure_ascii=False)[:_SHOWN]}"
