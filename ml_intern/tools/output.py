"""What a process printed, for a model: its beginning and end, without a terminal's escapes, as untrusted material."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ml_intern.session.export.texts import visible
from ml_intern.tools.outputs import Outputs
from ml_intern.tools.registry import fenced

_MOST = 8_000  # bytes of one log that are shown


def shown_log(log: Path, outputs: Outputs, most: int = _MOST) -> str:
    """The log of a command that has ended, which only the harness writes, fenced; all of it is kept in `outputs`."""
    text = _text(log.read_bytes() if log.exists() else b"")
    return fenced("output", outputs.cut(text, most // 4, most * 3 // 4))


def growing_log(log: Path, most: int = _MOST) -> str:
    """The same while the command still writes it: it is not kept, and read no further than it is shown."""
    try:
        size = log.stat().st_size
        with log.open("rb") as file:
            head = file.read(most if size <= most else most // 4)
            if size <= most:
                return shown(head)
            tail_bytes = most * 3 // 4
            file.seek(size - tail_bytes)
            tail = file.read(tail_bytes)
    except FileNotFoundError:
        return shown(b"")
    return shown(head + f"\n… {size - len(head) - len(tail)} bytes left out until it ends …\n".encode() + tail)


def shown(output: bytes) -> str:
    """All of it, fenced."""
    return fenced("output", _text(output))


def _text(output: bytes) -> str:
    return plain(output.decode("utf-8", errors="replace")).rstrip("\n") or "(nothing was printed)"


def plain(text: str) -> str:
    """Without escapes; of a line that was written over again and again, what stood there last."""
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return visible("\n".join(lines))


def numbers(row: object) -> dict[str, float]:
    """The numbers in a line of a log of metrics, by name; nothing where it is no JSON object."""
    found = {}
    for key, value in row.items() if isinstance(row, dict) else ():
        if type(value) in (int, float):
            with contextlib.suppress(OverflowError):
                found[str(key)[:40]] = float(value)
    return found
