"""The output of a process, copied to a file in bounded chunks up to a limit. Knows nothing of processes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from pathlib import Path
from typing import IO

from ml_intern.errors import RunError

_TAIL_BYTES = 4000
_CHUNK = 65536


class Capture:
    """Copies `stream` to `log`, at most `limit` bytes; what comes after is thrown away and `overflowed` says so.

    `overflow` is a descriptor that can be read once the limit is passed.
    """

    def __init__(self, stream: IO[bytes] | None, log: Path, limit: int) -> None:
        if stream is None:
            raise RunError("The run has no output to read.")
        self._stream, self._log, self._limit = stream, log, limit
        self.overflowed = False
        self.overflow, self._overflow_in = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        self._done, self._done_in = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        written, ending = 0, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        try:
            kept = os.open(self._log, flags, 0o644)
        except OSError:
            kept = os.open(os.devnull, os.O_WRONLY)
        with os.fdopen(kept, "wb", buffering=0) as log:
            source = self._stream.fileno()
            while True:
                if not ending:
                    ending = self._done in select.select([source, self._done], [], [])[0]
                # After the end only what is already in the pipe: a child that lives on may hold it open for ever.
                if ending and not select.select([source], [], [], 0)[0]:
                    return
                chunk = os.read(source, _CHUNK)
                if not chunk:
                    return
                if written < self._limit:
                    # On a full disk the words are lost; the run, whose own writes fail, goes to its end all the same.
                    with contextlib.suppress(OSError):
                        log.write(chunk[: self._limit - written])
                    written += len(chunk)
                elif not self.overflowed:
                    self.overflowed = True
                    os.write(self._overflow_in, b"1")

    def finish(self) -> None:
        """The process has ended: takes what is left and closes everything."""
        os.write(self._done_in, b"1")
        self._thread.join()
        self._stream.close()
        for descriptor in (self.overflow, self._overflow_in, self._done, self._done_in):
            os.close(descriptor)

    def tail(self) -> str:
        """The end of the log, at most 4,000 bytes, as text."""
        try:
            with self._log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - _TAIL_BYTES))
                return log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
