"""A control group (cgroup v2) of a run's own, where this user may make one: the kernel's caps on memory and processes.

Beside the watchdog, not instead of it: where there is none (cgroup v1, a read-only tree, nothing delegated) nothing is
said and the watchdog is alone. Source: Linux, Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_intern.run.spec import Limits

_ROOT, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_PREFIX = "ml-intern-"
_NEEDED = {"memory", "pids"}
_OF_THE_SANDBOX = 8  # processes that build its walls are counted too
_STALE_SECONDS = 3600.0
_EMPTY_SECONDS = 2.0


@dataclass(frozen=True)
class ControlGroup:
    """`leaf`: its folder; None where there is none, and every method does nothing then. `home`: the group that this
    process came from."""

    leaf: Path | None = None
    home: Path | None = None

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """What is started inside belongs to the group, from its first instruction on. Raises OSError where this
        process cannot go back."""
        entered = False
        with contextlib.suppress(OSError):
            if self.leaf is not None:
                _write(self.leaf / "cgroup.procs", "0")
                entered = True
        try:
            yield
        finally:
            if entered and self.home is not None:
                _write(self.home / "cgroup.procs", "0")

    def kill(self) -> None:
        """Ends everything in it at once (Linux 5.14 and later)."""
        if self.leaf is not None:
            with contextlib.suppress(OSError):
                _write(self.leaf / "cgroup.kill", "1")

    def was_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of it for its memory."""
        if self.leaf is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            events = dict(line.split() for line in (self.leaf / "memory.events").read_text().splitlines())
            return int(events.get("oom_kill", "0")) > 0
        return False

    def remove(self) -> None:
        """Once everything in it has ended; a process that has just been killed is waited for."""
        deadline = time.monotonic() + _EMPTY_SECONDS
        while self.leaf is not None and not _removed(self.leaf) and time.monotonic() < deadline:
            time.sleep(0.005)


def control_group(limits: Limits, root: Path = _ROOT, own: Path = _OWN) -> ControlGroup:
    """A new group with these limits, below this process's group or beside it. `root`: where cgroup v2 is mounted;
    `own`: says where this process is."""
    try:
        if not _NEEDED.issubset((root / "cgroup.controllers").read_text().split()):
            return ControlGroup()
        home = root / _path_of(own.read_text()).lstrip("/")
        for base in (home, home.parent) if home != root else (home,):
            if os.access(home / "cgroup.procs", os.W_OK) and (leaf := _made(base, limits, may_enable=base == home)):
                return ControlGroup(leaf, home)
    except (OSError, ValueError):
        pass
    return ControlGroup()


def _path_of(text: str) -> str:
    """From lines like `0::/user.slice/x.scope`; ValueError where none is of version 2."""
    path = next((line[3:] for line in text.splitlines() if line.startswith("0::/")), "")
    if not path or ".." in Path(path).parts:  # outside of what is shown here
        raise ValueError(text)
    return path


def _made(base: Path, limits: Limits, *, may_enable: bool) -> Path | None:
    """The new leaf; None where it cannot be had with every limit."""
    control = base / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if may_enable and not _NEEDED.issubset(control.read_text().split()):
            _write(control, "+memory +pids")
    leaf = base / f"{_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
    try:
        if not _NEEDED.issubset(control.read_text().split()):
            return None
        _remove_stale(base)
        leaf.mkdir()
        _write(leaf / "memory.max", str(limits.memory_mb * 2**20))
        _write(leaf / "pids.max", str(limits.processes + _OF_THE_SANDBOX))
        with contextlib.suppress(OSError):  # one process ended alone would leave a run that waits for it
            _write(leaf / "memory.oom.group", "1")
        with contextlib.suppress(OSError):  # no swap: what is over the limit would only be slow
            _write(leaf / "memory.swap.max", "0")
    except OSError:
        _removed(leaf)
        return None
    return leaf


def _remove_stale(base: Path) -> None:
    """Empty ones of supervisors that were killed. One with processes in it cannot be removed."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                folder.rmdir()


def _removed(leaf: Path) -> bool:
    try:
        leaf.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    path.write_text(text)
