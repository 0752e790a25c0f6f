"""What a process tree holds where neither a walk over folders nor resident memory shows it: files without a name,
memory that the kernel keeps for it, processes that let nobody look. Linux only; elsewhere nothing is found. Knows
nothing of limits.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_IN_FLIGHT = b"scm_fds:"
_PROCESSES = Path("/proc/self/io")
_FEW_SOCKETS = 256  # a script with workers has some, and they are as good as empty


@dataclass(frozen=True)
class Unseen:
    """`disk`: bytes of nameless files that are held open; `memory`: the same of files in memory, page tables, and what
    many sockets may hold; `in_flight`: descriptors that lie unread in sockets, and so belong to no process; `closed`:
    processes of this user that cannot be looked into."""

    disk: int = 0
    memory: int = 0
    in_flight: int = 0
    closed: frozenset[int] = field(default_factory=frozenset)


def unseen(pids: Iterable[int]) -> Unseen:
    """What the processes hold at this moment."""
    disk = memory = in_flight = 0
    closed: set[int] = set()
    seen: set[tuple[int, int]] = set()
    sockets: set[int] = set()
    for pid in pids:
        try:
            entries = list(os.scandir(f"/proc/{pid}/fd"))
        except PermissionError:
            closed.add(pid)
            continue
        except OSError:
            continue
        memory += _page_tables(pid)
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat()
                if stat.S_ISSOCK(found.st_mode):
                    sockets.add(found.st_ino)
                    in_flight += _in_flight(pid, entry.name)
                if found.st_nlink or not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
                if Path(entry.path).readlink().parts[1].split(":")[0] in ("memfd", "dev"):
                    memory += found.st_blocks * 512
                else:
                    disk += found.st_blocks * 512
    memory += max(0, len(sockets) + in_flight - _FEW_SOCKETS) * _socket_bytes()
    return Unseen(disk, memory, in_flight, frozenset(pid for pid in closed if _hides(pid)))


def maps_nameless_files(pids: Iterable[int], devices: Iterable[int]) -> bool:
    """Whether one keeps a file without a name, on one of the devices, by its mapping alone."""
    names = {f"{os.major(one):02x}:{os.minor(one):02x}" for one in devices}
    for pid in pids:
        with contextlib.suppress(OSError), Path(f"/proc/{pid}/maps").open(errors="replace") as lines:
            if any(line.rstrip().endswith(" (deleted)") and line.split()[3] in names for line in lines):
                return True
    return False


class Writer(NamedTuple):
    """A process: its number is used again, but not by one that was started at the same time."""

    pid: int
    started: int


class Written(NamedTuple):
    """Bytes to disks, and the number of the parent: it has them as its own once it has waited for a process's end."""

    bytes: int
    parent: int


def written_by_others(tree: Iterable[int]) -> dict[Writer, Written]:
    """What each process has written that is not in the tree and may be looked at: all of them for root, else this
    user's own."""
    own, found = set(tree), {}
    for entry in Path("/proc").iterdir() if _PROCESSES.is_file() else ():
        if entry.name.isdigit() and int(entry.name) not in own:
            with contextlib.suppress(OSError, ValueError, LookupError):
                told = dict(line.split(": ") for line in (entry / "io").read_text().splitlines())
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                written = int(told["write_bytes"]) - int(told["cancelled_write_bytes"])
                found[Writer(int(entry.name), int(fields[19]))] = Written(written, int(fields[1]))
    return found


def written_since(before: Mapping[Writer, Written], now: Mapping[Writer, Written]) -> int:
    """Bytes that they have written meanwhile. What one had written that is gone has become its parent's, and is not
    new."""
    had = {writer: one.bytes for writer, one in before.items()}
    numbers = {writer.pid: writer for writer in before}
    for writer, one in before.items():
        heir: Writer | None = writer
        for _ in before:  # up to one that is still there; numbers that were given anew may make a ring of them
            if heir is None or heir in now:
                break
            heir = numbers.get(before[heir].parent)
        if heir is not None and heir != writer:
            had[heir] += one.bytes
    return sum(max(0, one.bytes - had.get(writer, 0)) for writer, one in now.items())


def used_on(folders: Iterable[str | Path]) -> dict[int, int]:
    """Device to bytes in use, of the file systems that the folders lie on."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            told = os.statvfs(folder)
            found[Path(folder).stat().st_dev] = (told.f_blocks - told.f_bfree) * told.f_frsize
    return found


def grown(before: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Bytes by which the devices have filled."""
    return sum(max(0, now.get(device, used) - used) for device, used in before.items())


def _in_flight(pid: int, descriptor: str) -> int:
    with Path(f"/proc/{pid}/fdinfo/{descriptor}").open("rb") as file:
        return next((int(line[len(_IN_FLIGHT) :]) for line in file if line.startswith(_IN_FLIGHT)), 0)


def _page_tables(pid: int) -> int:
    """Bytes; a script can map and touch so sparsely that they are larger than what is resident."""
    with contextlib.suppress(OSError, ValueError), Path(f"/proc/{pid}/status").open("rb") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(b"VmPTE:")), 0)
    return 0


@functools.cache
def _socket_bytes() -> int:
    """The most that lies unread in one socket: its sender's buffer at its largest, and as much again for keeping it."""
    with contextlib.suppress(OSError, ValueError):
        return 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    return 0


def _hides(pid: int) -> bool:
    """Whether a process that cannot be looked into has memory and is wholly this user's: one that is ending is closed,
    too, once it has none, and so is every program with rights of its own."""
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = (line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        told = {name: value.split() for name, value in lines}
        return "VmSize" in told and set(told["Uid"]) == {str(os.getuid())}
    return False
