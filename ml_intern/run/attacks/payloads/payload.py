"""What every payload needs to be started. Standard library alone: it runs inside a sandbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

BREACH = "BREACH: "


def attempt(act: Callable[[], Any]) -> Any:
    """What `act` returns; None where the sandbox refused it."""
    try:
        return act()
    except (OSError, ValueError):
        return None


def main(payloads: dict[str, Any]) -> None:
    """Calls the one named on the command line; what it says it reached is printed."""
    told = json.loads(sys.argv[2])
    reached = attempt(lambda: payloads[sys.argv[1]](told))
    print(f"{BREACH}{reached}" if reached else "held", flush=True)
