"""A process tree and its folders: what they use at this moment, and the end of the tree. Knows nothing of limits."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.run.hidden import grown, used_on

if TYPE_CHECKING:
    import resource

    import psutil

_FOLDERS_EVERY = 1.0  # seconds
_KILL_SECONDS = 10.0
DEEPEST = 100  # folders in folders: what removes or copies them goes as deep
_SHARE = 20  # a look at the folders costs at most one part in this many of the time


def descendants(pid: int) -> list[int]:
    """Everything below the process, without it."""
    try:
        return _listed_descendants(pid)
    except FileNotFoundError:  # not Linux, or a kernel that does not list children
        return _searched_descendants(pid)


def ended_children(but: int = 0) -> Iterator[resource.struct_rusage]:
    """Waits for the children of this process that have ended, without `but`; what each used."""
    for child in descendants(os.getpid()):
        if child != but:
            with contextlib.suppress(ChildProcessError):
                pid, _, used = os.wait4(child, os.WNOHANG)
                if pid:
                    yield used


def _listed_descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            for thread in Path(f"/proc/{parent}/task").iterdir():
                with (thread / "children").open() as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                waiting += children
        except (FileNotFoundError, ProcessLookupError):
            if parent == pid:
                raise FileNotFoundError from None
    return found


def _searched_descendants(pid: int) -> list[int]:
    """The same from the parents of all processes of the machine, which takes milliseconds."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _living(ended: set[int]) -> list[int]:
    """Who lives below this process. Who has ended is added to `ended`; one of whom that was not known may have ended
    between two glances, when its children had not yet come to this process and were not seen: then all is looked at
    again."""
    while True:
        found = descendants(os.getpid())
        living = [child for child in found if not _has_ended(child)]
        if living or ended.issuperset(found):
            return living
        ended.update(found)


def end_descendants(reap: Callable[[], object]) -> None:
    """Ends everything below this process, to which orphans come; waits until it has ended, but not for what hangs in
    the kernel. `reap` is called again and again and waits for children that have ended: the first process of a sandbox
    ends only when nobody in it is left, not even as a zombie that has come to this process."""
    deadline = time.monotonic() + _KILL_SECONDS
    ended: set[int] = set()
    while members := _living(ended):
        if time.monotonic() > deadline:
            return
        # Who forks and ends faster than one can look is stopped first: what is stopped forks no more.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for child in members:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, number)
            # A zombie does not count: its parent may be stopped now, and will not wait for it.
            if number == signal.SIGSTOP and set(_living(ended)) - set(members):
                break
        reap()
        time.sleep(0.001)


def _has_ended(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        # One whose first thread alone has ended looks like a zombie, and works on.
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.Error:
        return True


def resident_mb(pids: Iterable[int], *, exact: bool = False) -> float:
    """Resident MiB of the processes together. Pages that they share count once for each of them; with `exact` once in
    all, which costs a few milliseconds a process."""
    import psutil

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            total += _proportional(process) if exact else process.memory_info().rss
    return total / 2**20


def private_mb(pids: Iterable[int]) -> float:
    """MiB that belong to one process alone each, together: without what is shared with any other."""
    import psutil

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error, AttributeError):
            total += int(psutil.Process(pid).memory_full_info().uss)
    return total / 2**20


def _proportional(process: psutil.Process) -> int:
    import psutil

    with contextlib.suppress(psutil.AccessDenied, AttributeError):
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


class FolderWatch:
    """Bytes on disk, entries, and folders in folders of some folders together; looked at now and then, since a look
    is a walk."""

    def __init__(self, folders: Iterable[Path]) -> None:
        paths = {os.fspath(folder) for folder in folders}
        self._folders = [p for p in paths if not any(p != other and p.startswith(f"{other}/") for other in paths)]
        self._next = time.monotonic() + _FOLDERS_EVERY
        self._emptiest = used_on(self._folders)
        self.bytes = self.files = self.depth = 0

    @property
    def devices(self) -> Iterable[int]:
        """Those that the folders lie on."""
        return self._emptiest

    def grown(self) -> int:
        """Bytes by which they have filled since they were at their emptiest, whoever wrote them: what others delete
        meanwhile hides nothing that comes after it."""
        used = used_on(self._folders)
        filled = grown(self._emptiest, used)
        self._emptiest = {device: min(before, used.get(device, before)) for device, before in self._emptiest.items()}
        return filled

    def look(self, now: float) -> None:
        """Counts again if enough time has gone since the last count."""
        if now >= self._next:
            began = time.monotonic()
            self.count()
            ended = time.monotonic()
            self._next = ended + max(_FOLDERS_EVERY, _SHARE * (ended - began))

    def count(self) -> None:
        """Counts now. Nothing is looked for below DEEPEST, where a path grows too long to be named."""
        self.bytes = self.files = self.depth = 0
        stack = [(folder, 0) for folder in self._folders]
        while stack:
            folder, depth = stack.pop()
            self.depth = max(self.depth, depth)
            if depth > DEEPEST:
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self._count_entry(entry, depth, stack)
            except OSError as error:
                self._note(error)

    def _count_entry(self, entry: os.DirEntry[str], depth: int, stack: list[tuple[str, int]]) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._note(error)
            return
        self.bytes += found.st_blocks * 512
        self.files += 1
        if stat.S_ISDIR(found.st_mode):
            stack.append((entry.path, depth + 1))

    def _note(self, error: OSError) -> None:
        """A path that has grown too long, or is closed, leads deeper than anybody can look."""
        if error.errno in (errno.ENAMETOOLONG, errno.EACCES):
            self.depth = DEEPEST + 1

    def clear(self) -> None:
        """Removes what is in the folders, however deep it lies."""
        for folder in self._folders:
            with contextlib.suppress(FileNotFoundError):
                inside = [entry.path for entry in os.scandir(folder)]
                for start in range(0, len(inside), 500):
                    subprocess.run(["rm", "-rf", "--", *inside[start : start + 500]], check=False)
