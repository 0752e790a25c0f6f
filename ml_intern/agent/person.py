"""The person at the terminal of a run, as the run meets them. Knows nothing of terminals."""

from __future__ import annotations

import threading
from typing import Protocol


class Person(Protocol):
    """`is_there`: whether a line that is typed would reach the run. `line` waits for the next one; None where nobody
    can type any more, or `stop` was set."""

    def is_there(self) -> bool: ...

    def show(self, text: str) -> None: ...

    def line(self, stop: threading.Event) -> str | None: ...
