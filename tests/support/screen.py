"""What a person sees: a process on a terminal of its own, and the screen that its bytes come to.

Knows of a terminal what rich and a shell's prompt use, and raises ValueError at anything else.
"""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\](?:[^\x07\x1b]*)(?:\x07|\x1b\\)")


class Screen:
    """Rows and columns of characters; what scrolls out above is gone, as for whoever looks at it."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.rows, self.columns = rows, columns
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._rest = ""
        self.cursor_shown = True

    @property
    def text(self) -> str:
        return "\n".join("".join(cells).rstrip() for cells in self._cells)

    def feed(self, text: str) -> None:
        """A control sequence may end in the next piece."""
        text, self._rest = self._rest + text, ""
        while text:
            if text[0] == "\x1b":
                if not (match := _CONTROL.match(text)):
                    if len(text) > 40:
                        raise ValueError(f"no control sequence that is known here: {text[:40]!r}")
                    self._rest = text
                    return
                if match[2]:
                    self._control(match[1], match[2])
                text = text[match.end() :]
            else:
                self._put(text[0])
                text = text[1:]

    def _put(self, character: str) -> None:
        match character:
            case "\r":
                self._column = 0
            case "\n":
                self._down()
            case "\b":
                self._column = max(0, self._column - 1)
            case "\t":
                self._column = min(self.columns - 1, self._column // 8 * 8 + 8)
            case "\x07":
                pass
            case _:
                if self._column == self.columns:  # the last column wraps with the next character
                    self._column = 0
                    self._down()
                self._cells[self._row][self._column] = character
                self._column += 1

    def _down(self) -> None:
        if self._row == self.rows - 1:
            self._cells = [*self._cells[1:], [" "] * self.columns]
        else:
            self._row += 1

    def _control(self, given: str, kind: str) -> None:
        count = int(given) if given.isdecimal() else 0
        match kind:
            case "A":
                self._row = max(0, self._row - max(1, count))
            case "B":
                self._row = min(self.rows - 1, self._row + max(1, count))
            case "G":
                self._column = max(1, count) - 1
            case "K":
                begin, end = ((self._column, self.columns), (0, self._column + 1), (0, self.columns))[count]
                self._cells[self._row][begin:end] = [" "] * (min(end, self.columns) - begin)
            case "h" | "l" if given == "?25":
                self.cursor_shown = kind == "h"
            case "m":
                pass
            case _:
                raise ValueError(f"no control sequence that is known here: {given!r} {kind!r}")


class Terminal:
    """`command` on a terminal of its own, the screen that a person sees there, and lines that are typed."""

    def __init__(
        self,
        command: Sequence[str | Path],
        rows: int = 24,
        columns: int = 80,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._keys, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        given: dict[str, Any] = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            if name not in (environment or {}):
                given.pop(name, None)
        self.process = subprocess.Popen(
            command, env=given, stdin=there, stdout=there, stderr=there, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._there = there  # kept open: what was set on it can be looked at when the process is gone
        self._screen, self._lock = Screen(rows, columns), threading.Lock()
        self.raw = b""
        self._gathering = threading.Thread(target=self._gather, daemon=True)
        self._gathering.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._there)
        self._gathering.join(5)
        os.close(self._keys)

    @property
    def screen(self) -> str:
        with self._lock:
            return self._screen.text

    @property
    def is_sane(self) -> bool:
        """The cursor is shown, and what is typed comes by the line and is seen."""
        flags = termios.tcgetattr(self._there)[3]
        with self._lock:
            return self._screen.cursor_shown and bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def types(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def shows(self, text: str, seconds: float = 60) -> bool:
        """Whether `text` comes to stand on the screen in that time; once the process is gone, very soon."""
        deadline = time.monotonic() + seconds
        while text not in self.screen:
            if self.process.poll() is not None:
                deadline = min(deadline, time.monotonic() + 2)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def ended(self, seconds: float = 100) -> int:
        """The exit code, once everything that was written has been seen."""
        code = self.process.wait(seconds)
        deadline, before = time.monotonic() + 5, -1
        while len(self.raw) != before and time.monotonic() < deadline:
            before = len(self.raw)
            time.sleep(0.1)
        return code

    def _gather(self) -> None:
        with contextlib.suppress(OSError):  # the other end is gone
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            while piece := os.read(self._keys, 65536):
                with self._lock:
                    self.raw += piece
                    self._screen.feed(decoder.decode(piece))
