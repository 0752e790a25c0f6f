"""Attacks on the kernel's own doors: namespaces, mounts, settings. Started inside as `kernel.py NAME JSON`."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

from payload import attempt, main

Told = dict[str, Any]
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_REMOUNT, _BIND, _REC, _PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_MACHINE = os.uname().machine
_CLONE = {"x86_64": 56, "aarch64": 220}
_CALLS = {  # name: (x86_64, aarch64)
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "name_to_handle_at": (303, 264),
}


def user_namespace(_told: Told) -> str:
    return "made a user namespace" if _libc().unshare(_NEWUSER) == 0 else ""


def user_namespace_by_clone(_told: Told) -> str:
    """The same through clone, whose flags a filter has to look at."""
    child = _libc().syscall(_CLONE.get(_MACHINE, -1), ctypes.c_long(_NEWUSER | 17), None, None, None, None)
    if child == 0:
        os._exit(0)
    if child > 0:
        os.waitpid(child, 0)
    return "made a user namespace" if child > 0 else ""


def mount(_told: Told) -> str:
    Path("place").mkdir()
    if _libc().mount(b"none", b"place", b"tmpfs", 0, None) != 0:
        return ""
    _libc().umount2(b"place", 2)
    return "may mount file systems"


def remount(told: Told) -> str:
    """Read-only binds made writable again; not tried where nothing but the machine's own root is there."""
    if told["bare"]:
        return mount(told)
    for place in (b"/", b"/usr", os.fsencode(sys.prefix), b"/proc/sys"):
        if _libc().mount(None, place, None, _REMOUNT | _BIND, None) == 0:
            return f"remounted {place.decode()} writable"
    return ""


def new_privileges(_told: Told) -> str:
    status = Path("/proc/self/status").read_text()
    held = [line for line in status.splitlines() if line.startswith(("CapEff", "CapPrm")) and int(line.split()[1], 16)]
    return ", ".join([*held, *(["may gain privileges"] if "NoNewPrivs:\t0" in status else [])])


def core_pattern(_told: Told) -> str:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return "may choose a program that the kernel starts as root"


def other_settings(_told: Told) -> str:
    names = (
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/proc/sys/vm/overcommit_memory",
        "/proc/1/oom_score_adj",
    )
    open_ones = [name for name in names if attempt(lambda place=name: os.open(place, os.O_WRONLY)) is not None]
    return ", ".join(name for name in open_ones if "oom_score" not in name)


def control_groups(_told: Told) -> str:
    """Leaving the group that limits it, or naming a program that is started when a group empties."""
    for name in ("cgroup.procs", "release_agent", "memory/cgroup.procs", "unified/cgroup.procs", "rdma/release_agent"):
        if attempt(lambda place=name: os.open(f"/sys/fs/cgroup/{place}", os.O_WRONLY)) is not None:
            return f"may write /sys/fs/cgroup/{name}"
    return ""


def terminal_injection(_told: Told) -> str:
    """TIOCSTI types into a terminal; tried on one of its own."""
    _master, slave = os.openpty()
    if os.fork():
        return "typed into a terminal" if os.waitstatus_to_exitcode(os.wait()[1]) == 0 else ""
    os.setsid()
    try:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        fcntl.ioctl(slave, termios.TIOCSTI, b"x")
    except OSError:
        os._exit(1)
    os._exit(0)


def other_calls(_told: Told) -> str:
    """Calls with a history of escapes: not allowed is EPERM, whatever the arguments."""
    column = {"x86_64": 0, "aarch64": 1}.get(_MACHINE, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    reachable = []
    for name, numbers in _CALLS.items():
        ctypes.set_errno(0)
        if libc.syscall(numbers[column], -1, -1, -1, -1, -1) >= 0 or ctypes.get_errno() not in (
            errno.EPERM,
            errno.ENOSYS,
        ):
            reachable.append(name)
    return ", ".join(reachable)


def compiled_code(_told: Told) -> str:
    """An extension that is compiled at run time may run, and gets no further than Python does."""
    source = "int unshare(int); int open(const char *, int); int tried(void) { return unshare(0x10000000); }"
    Path("x.c").write_text(source)
    if subprocess.run(["cc", "-shared", "-fPIC", "-o", "x.so", "x.c"], capture_output=True).returncode != 0:
        return user_namespace({})  # no compiler here: the same by other means
    return "compiled code made a user namespace" if ctypes.CDLL("./x.so").tried() == 0 else ""


def join_namespace(_told: Told) -> str:
    for process in ("1", "self"):
        for name in ("mnt", "user", "net"):
            handle = attempt(lambda place=f"/proc/{process}/ns/{name}": os.open(place, os.O_RDONLY))
            if handle is not None and _libc().setns(handle, 0) == 0:
                return f"joined the {name} namespace of process {process}"
    return ""


def file_by_handle(_told: Told) -> str:
    """open_by_handle_at reaches any file of a mounted file system by its number (the root folder's is 2)."""
    handle = struct.pack("Ii8s", 8, 1, struct.pack("II", 2, 0))
    number = {"x86_64": 304, "aarch64": 265}.get(_MACHINE, -1)
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(".", os.O_RDONLY)
    found = libc.syscall(number, folder, ctypes.c_char_p(handle), os.O_RDONLY)
    return "may open files by number" if found >= 0 or ctypes.get_errno() != errno.EPERM else ""


def machine_name(told: Told) -> str:
    if told["bare"]:
        return ""
    name = b"planted"
    return "renamed the machine" if _libc().sethostname(name, len(name)) == 0 else ""


def kernel_objects(_told: Told) -> str:
    """Semaphores and message queues take memory that belongs to no process, and stay when their maker has gone."""
    made = []
    if (semaphores := _libc().semget(0, 1, 0o1600)) >= 0:
        _libc().semctl(semaphores, 0, 0)  # IPC_RMID
        made.append("semaphores")
    if (queue := _libc().msgget(0, 0o1600)) >= 0:
        _libc().msgctl(queue, 0, None)
        made.append("a message queue")
    return f"left {' and '.join(made)} in the kernel" if made else ""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main(globals())
