"""Tier B: Landlock, seccomp and limits, where bubblewrap cannot be used. Covers less; `NOT_COVERED` says what.

Source: landlock(7).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run.sandbox import kernel, roots
from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.sandbox.limits import limit
from ml_intern.run.sandbox.ownership import take_back
from ml_intern.run.sandbox.places import prepared_places
from ml_intern.run.sandbox.seccomp import filter_program
from ml_intern.run.sandbox.short_name import ShortName
from ml_intern.run.sandbox.unchanged import State, changed, states
from ml_intern.run.spec import RunSpec

# Some of it the kernel has no means against, some is allowed here since scripts need it, and the last is refused here.
NOT_COVERED = (
    "sees which files and processes exist",
    "may talk to services over unix sockets with a path (docker.sock, where this user may): torch's workers use such",
    "may change modes and times of this user's files: copying files does",
    "shares /dev/shm with the machine: what it keeps there counts against no limit, and stays after the run",
    "may start as many processes and threads as this user may: the kernel counts them by user",
    "is given no IP at all, not even to itself, which gloo (torch.distributed) needs",
)
_NOT_COVERED_BEFORE_6 = (
    "may signal this user's other processes (Linux 6.12 and later stop that)",
    "may talk to services over abstract unix sockets, an X server's for instance (Linux 6.12 and later stop that)",
)

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_V1, _REFER, _TRUNCATE, _IOCTL_DEV = (1 << 13) - 1, 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_MAKE_DEVICES = 1 << 6 | 1 << 11
_TCP = 3  # bind and connect; sockets of any other kind are refused by the filter already
_SCOPES = 3  # abstract unix sockets, signals
_READABLE = ("/proc", "/sys/devices/system", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class LandlockSandbox:
    """Raises RunError where the kernel or the user does not allow this tier."""

    def __init__(self) -> None:
        self._version = kernel.landlock_version()
        if not self._version:
            raise RunError("This kernel has no Landlock.", "it is off, or Linux is older than 5.13")
        # Landlock itself keeps files from being emptied only since its third version.
        self._filter = filter_program(ip=False, others=False, truncate=self._version >= 3)
        if self._filter is None:
            raise RunError("There is no system-call filter for this processor.", next="x86_64 and aarch64 have one.")
        if os.geteuid() == 0:
            what = "Tier B is not for root: nothing counts a script's processes, or ends them all at once."
            raise RunError(what, next="Run as an ordinary user.")

    @property
    def tier(self) -> str:
        return f"B (Landlock {self._version}, seccomp)"

    @property
    def not_covered(self) -> tuple[str, ...]:
        return NOT_COVERED if self._version >= 6 else (*NOT_COVERED, *_NOT_COVERED_BEFORE_6)

    def prepare(self, spec: RunSpec) -> Command:
        if spec.proxy is not None:
            raise RunError("The plan names hosts, and this sandbox has no way to them.", next="Use bubblewrap.")
        reads, writes = prepared_places(spec, as_nobody=False)
        argv = [sys.executable, "-s", "-B", str(spec.script), *spec.arguments]
        temporary = ShortName(spec.cwd.absolute())
        environment = clean_environment(spec, temporary.path)
        command = _LandlockCommand(argv, environment, writes=tuple(writes), temporary=temporary)
        command.kept = states(_inside(reads, writes))
        command.before_exec = self._confining(spec, reads, writes)
        return command

    def _confining(self, spec: RunSpec, reads: Sequence[Path], writes: Sequence[Path]) -> Callable[[], None]:
        """What the new process does to itself before it becomes the script. The rules are made here, in its parent: a
        process between fork and exec should do little."""
        ruleset = self._ruleset(spec, reads, writes)
        program = self._filter or b""

        def confine() -> None:
            limit(0, spec.limits)
            kernel.die_with_parent()
            kernel.no_new_privileges()
            kernel.landlock_restrict(ruleset)
            kernel.install_filter(program)

        return confine

    def _ruleset(self, spec: RunSpec, reads: Sequence[Path], writes: Sequence[Path]) -> int:
        handled = _ALL_V1
        for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
            handled |= right if self._version >= since else 0
        net, scopes = _TCP if self._version >= 4 else 0, _SCOPES if self._version >= 6 else 0
        ruleset = kernel.landlock_ruleset(handled, net, scopes)
        gpus = roots.gpu_devices() if spec.gpu else []
        system = [*roots.system_folders(), *roots.python_folders(), *(roots.gpu_folders() if gpus else [])]
        system += [path for path in roots.system_files().values() if path.exists()]
        for path in (*system, *map(Path, _READABLE), *reads):
            _allow(ruleset, path, _READ & handled)
        for path in spec.lists:
            _allow(ruleset, path, _READ_DIR & handled)
        for path in (*map(Path, _DEVICES), *gpus):
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _IOCTL_DEV) & handled)
        for path in (*writes, Path("/dev/shm")):  # noqa: S108  # torch's workers share tensors there
            _allow(ruleset, path, handled & ~_MAKE_DEVICES)
        return ruleset


@dataclass
class _LandlockCommand(Command):
    writes: tuple[Path, ...] = ()
    temporary: ShortName | None = None
    kept: Mapping[Path, State] = field(default_factory=dict)

    def ended(self) -> str:
        if names := [str(path) for path in changed(self.kept)]:
            self.offence = f"It changed what it was given to read alone: {', '.join(names)}."
        for folder in self.writes:
            take_back(folder)
        return ""

    def close(self) -> None:
        if self.temporary is not None:
            self.temporary.close()


def _inside(reads: Sequence[Path], writes: Sequence[Path]) -> list[Path]:
    """Of what is to be read alone, that which lies in a writable folder: Landlock's rules only ever allow more, so it
    cannot be kept from being changed, but what was changed is found out."""
    tops = [folder.resolve() for folder in writes]
    return [path for path in reads if any(path.resolve().is_relative_to(top) for top in tops)]


def _allow(ruleset: int, path: Path, rights: int) -> None:
    if path.exists():
        kernel.landlock_allow(ruleset, str(path), rights if path.is_dir() else rights & _FILE_RIGHTS)
