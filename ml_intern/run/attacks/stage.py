"""What an attack could reach, set up to be reached: a home folder open to everybody, services, a stand-in harness.

Everything is as inviting as it can be made, so that what keeps an attack out is the sandbox and not a file's mode.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from ml_intern.run.sandbox.bubblewrap import find_bubblewrap

_HARNESS = """
import ctypes, os, sys, time
secret = ctypes.create_string_buffer(os.environ["ML_INTERN_PLANTED_SECRET"].encode())
print(ctypes.addressof(secret), flush=True)
kept = open(sys.argv[2])
time.sleep(600)
"""
_PROGRAM = "-c"
_CREATE, _READABLE = 0o1000, 0o666


class Stage:
    """A context manager. `told`: what payloads are given; `damage`: what they did outside, in words."""

    def __init__(self, parent: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="stage-", dir=parent))
        self.root.chmod(0o777)
        self.home = self.root / "home"
        self.secret = f"planted-secret-{secrets.token_hex(12)}"
        self.mark = f"ml-intern-{secrets.token_hex(6)}"
        self.told: dict[str, Any] = {}
        self._files: dict[Path, str] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        try:
            self._plant_files()
            self._open.callback(_remove_shared, self.mark)
            Path("/dev/shm", f"{self.mark}-planted").write_text(self.secret)  # noqa: S108
            segment = self._plant_segment()
            self._listen()
            address = self._start_harness()
            bubblewrap = find_bubblewrap()
            self.told |= {
                "home": str(self.home),
                "secret": self.secret,
                "mark": self.mark,
                "segment": segment,
                "pid": self.harness.pid,
                "address": address,
                "length": len(self.secret),
                "bubblewrap": str(bubblewrap) if bubblewrap else "",
                "bare": False,
            }
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def damage(self, workspace: Path) -> str:
        """What is no longer as it was planted; it is put right again for the next attack."""
        found = [f"{path.name} was changed" for path, text in self._files.items() if _differs(path, text)]
        found += [f"{path} was written" for path in self._strange()]
        found += ["the harness was ended"] if self.harness.poll() is not None else []
        found += ["what was sent arrived"] if self._arrived() else []
        found += [f"{name} was left behind" for name in _left_in(workspace)]
        if found:
            self._plant_files()
            for path in self._strange():
                path.unlink(missing_ok=True)
            if self.harness.poll() is not None:
                self.told["address"] = self._start_harness()
                self.told["pid"] = self.harness.pid
        return "; ".join(found)

    def _plant_files(self) -> None:
        names = (".ssh/id_ed25519", ".cache/huggingface/token", ".bashrc", ".config/pip/pip.conf")
        self._files = {self.home / name: f"{self.secret} {name}\n" for name in names}
        for path, text in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o666)
        for folder in (self.home, *(path for path in self.home.rglob("*") if path.is_dir())):
            folder.chmod(0o777)

    def _plant_segment(self) -> int:
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        key = secrets.randbelow(2**30) + 1
        segment = libc.shmget(key, 4096, _CREATE | _READABLE)
        if segment >= 0:
            self._open.callback(libc.shmctl, segment, 0, None)
            address = libc.shmat(segment, None, 0)
            ctypes.memmove(address, self.secret.encode(), len(self.secret))
            libc.shmdt(ctypes.c_void_p(address))
        return key

    def _listen(self) -> None:
        tcp = self._bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._udp = self._bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._udp.setblocking(False)
        service = self.home / "docker.sock"
        self._bound(socket.AF_UNIX, socket.SOCK_STREAM, str(service))
        service.chmod(0o777)
        self._bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\x00{self.mark}")
        self.told |= {
            "tcp": tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "unix": str(service),
            "abstract": self.mark,
            "tcp_six": 0,
        }
        with contextlib.suppress(OSError):  # a machine without IPv6
            self.told["tcp_six"] = self._bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)).getsockname()[1]

    def _bound(self, family: int, kind: int, address: Any) -> socket.socket:
        made = self._open.enter_context(socket.socket(family, kind))
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen(8)
        return made

    def _start_harness(self) -> int:
        """The address of its secret."""
        command = [sys.executable, _PROGRAM, _HARNESS, self.mark, str(self.home / ".ssh" / "id_ed25519")]
        environment = {**os.environ, "ML_INTERN_PLANTED_SECRET": self.secret}
        self.harness = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        self._open.callback(_end, self.harness)
        return int((self.harness.stdout or sys.stdin.buffer).readline())

    def _strange(self) -> list[Path]:
        """Files that nobody planted, where a script must not write; what another stage's scripts do is not its own."""
        mine = {*self._files, self.home / "docker.sock"}
        found = [path for path in (*self.home.rglob("*"), *self.root.glob("planted")) if path not in mine]
        shared = [Path("/dev/shm", self.mark)]  # noqa: S108
        pure = Path(sysconfig.get_paths()["purelib"])
        importing = dict.fromkeys([*sys.path, str(pure), str(pure.parent), sys.prefix, sys.base_prefix])
        beside = [Path(folder, f"{self.mark}.pth") for folder in importing if folder]
        return [path for path in found if not path.is_dir()] + [p for p in (*shared, *beside) if p.exists()]

    def _arrived(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(self._udp.recv(2048))
        return False


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text() != text or path.stat().st_mode & 0o777 != 0o666
    except OSError:
        return True


def _left_in(workspace: Path) -> list[str]:
    """Files with a set-id bit, and devices, as the harness finds them after a run."""
    found = []
    for path in workspace.rglob("*"):
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if (mode & 0o6000 and path.is_file()) or path.is_block_device():
                found.append(path.name)
    return found


def _remove_shared(mark: str) -> None:
    for name in (mark, f"{mark}-planted"):
        Path("/dev/shm", name).unlink(missing_ok=True)  # noqa: S108


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()
