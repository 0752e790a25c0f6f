"""The places of a process where something reaches the disk, another process or the network, and SIGKILL at one.

A place is before and after each such call, and in the middle of each write, close and send: half of the bytes are out
then. It has a name that is the same in every run, whatever order threads come in: `after rename SESSION/plan.yaml, 1.`.
Only what lies beneath the home counts; temporary files elsewhere are nobody's state.
"""

import builtins
import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OF_PATHS = {"replace": 1, "rename": 1, "symlink": 1, "link": 1, "truncate": 0, "unlink": 0, "mkdir": 0, "rmdir": 0}
_OF_FILES = ("fsync", "fdatasync", "ftruncate", "sendfile")
_PASSING = (
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}"), "SESSION"),
    (re.compile(r"\.([0-9a-f]{8}|\d{9,})\.part\b"), ".part"),
    (re.compile(r"(?<=\.coming-SESSION)-\d+|(?<=\.replaced-SESSION)-\d+"), ""),
    (re.compile(r"\d{20}-[0-9a-f]{8}(?=\.json)"), "MESSAGE"),
    (re.compile(r"\b[0-9a-f]{40,64}\b"), "HASH"),
)


class Boundaries:
    """`kill_at`: the number of a place, counted from 1, or its name; 0 or empty: none. `names`: all so far."""

    def __init__(self, kill_at: int | str, home: Path) -> None:
        self.kill_at, self.home = kill_at, str(home)
        self.names: list[str] = []
        self._times: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._write = os.write

    def here(self, what: str, die: Callable[[], object] = lambda: None) -> None:
        """A place. `die` is done before the process ends there."""
        with self._lock:
            self._times[what] += 1
            self.names.append(f"{what}, {self._times[what]}.")
            if self.kill_at in (len(self.names), self.names[-1]):
                die()
                os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, path: Path) -> None:
        """The names, one JSON list, for whoever wants to come here again."""
        path.write_text(json.dumps(self.names))

    def install(self) -> None:
        """From now on, in this process."""
        for name, place in _OF_PATHS.items():
            self._around(os, name, lambda *args, place=place, **more: self._shown(args[place], more.get("dir_fd")))
        for name in _OF_FILES:
            self._around(os, name, lambda *args, **_: self._behind(args[0]))
        self._around_writes()
        self._around_open()
        self._around(subprocess.Popen, "__init__", lambda *_, **__: "process")
        self._around(socket, "send_fds", lambda *_, **__: "run to its supervisor")
        self._around_network()

    def _around(self, holder: Any, name: str, target: Callable[..., str]) -> None:
        real = getattr(holder, name)
        label = name.strip("_")

        def wrapped(*args: Any, **options: Any) -> Any:
            if not (shown := target(*args, **options)):
                return real(*args, **options)
            self.here(f"before {label} {shown}")
            result = real(*args, **options)
            self.here(f"after {label} {shown}")
            return result

        setattr(holder, name, wrapped)

    def _around_writes(self) -> None:
        real: Callable[[int, Any], int] = os.write

        def write(fd: int, data: Any) -> int:
            if fd <= 2 or not (shown := self._behind(fd)):
                return real(fd, data)
            self.here(f"before write {shown}")
            if len(data) > 1:
                self.here(f"in write {shown}", lambda: real(fd, bytes(data)[: len(data) // 2]))
            done = real(fd, data)
            self.here(f"after write {shown}")
            return done

        os.write = write  # type: ignore[assignment]

    def _around_open(self) -> None:
        real_open, real_low = io.open, os.open

        def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            shown = self._shown(file) if set(mode) & set("wxa+") else ""
            if not shown:
                return real_open(file, mode, *args, **options)
            self.here(f"before open {shown}")
            handle = real_open(file, mode, *args, **options)
            self.here(f"after open {shown}")
            self._around_close(handle, shown)
            return handle

        def opened_low(path: Any, flags: int, *args: Any, **options: Any) -> int:
            shown = self._shown(path) if flags & os.O_CREAT else ""
            if shown:
                self.here(f"before open {shown}")
            fd = real_low(path, flags, *args, **options)
            if shown:
                self.here(f"after open {shown}")
            return fd

        io.open = builtins.open = opened  # type: ignore[assignment]
        os.open = opened_low

    def _around_close(self, handle: Any, shown: str) -> None:
        real = handle.close

        def half() -> None:
            handle.flush()
            size = os.fstat(handle.fileno()).st_size
            if "a" not in handle.mode:
                os.truncate(f"/proc/self/fd/{handle.fileno()}", size // 2)

        def close() -> None:
            if not handle.closed:
                self.here(f"in close {shown}", half)
                real()
                self.here(f"after close {shown}")

        handle.close = close

    def _around_network(self) -> None:
        import httpx
        from httpcore._backends.sync import SyncStream

        def asked(_client: httpx.Client, request: httpx.Request, **_: Any) -> str:
            return f"{request.method} {self._plain(request.url.path)}"

        self._around(httpx.Client, "send", asked)
        real = SyncStream.write

        def write(stream: Any, buffer: bytes, timeout: float | None = None) -> None:
            if len(buffer) > 1:
                self.here("in request", lambda: real(stream, buffer[: len(buffer) // 2], timeout))
            real(stream, buffer, timeout)

        SyncStream.write = write  # type: ignore[method-assign]

    def _behind(self, fd: Any) -> str:
        if not isinstance(fd, int):
            fd = fd.fileno()
        return self._shown(str(Path(f"/proc/self/fd/{fd}").readlink()))

    def _shown(self, path: Any, folder: int | None = None) -> str:
        """Its name beneath the home; empty for what lies elsewhere."""
        if isinstance(path, int):
            return self._behind(path)
        text = os.fsdecode(path)
        if folder is not None:
            text = str(Path(f"/proc/self/fd/{folder}").readlink() / text)
        if text.startswith(("pipe:", "socket:")):
            return text.split(":")[0]
        if not text.startswith(self.home):
            return ""
        return self._plain(text.removeprefix(self.home).lstrip("/")) or "HOME"

    def _plain(self, text: str) -> str:
        for pattern, instead in _PASSING:
            text = pattern.sub(instead, text)
        return text
