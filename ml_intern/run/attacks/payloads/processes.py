"""Attacks on other processes, above all on the harness. Started inside a sandbox as `processes.py NAME JSON`."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from payload import attempt, main

Told = dict[str, Any]
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_ADD_KEY = {"x86_64": 248, "aarch64": 217}


def own_environment(told: Told) -> str:
    return ", ".join(name for name, value in os.environ.items() if told["secret"] in value)


def harness_environment(told: Told) -> str:
    return _has_secret(told, Path(f"/proc/{told['pid']}/environ"))


def any_environment(told: Told) -> str:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := attempt(lambda place=entry: _has_secret(told, place / "environ"))):
            return str(found)
    return ""


def harness_memory(told: Told) -> str:
    with Path(f"/proc/{told['pid']}/mem").open("rb", buffering=0) as memory:
        memory.seek(told["address"])
        return "read the harness's memory" if told["secret"].encode() in memory.read(told["length"]) else ""


def read_across(told: Told) -> str:
    """process_vm_readv: another road to the same bytes."""
    buffer = ctypes.create_string_buffer(told["length"])

    class Part(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    local = Part(ctypes.cast(buffer, ctypes.c_void_p), told["length"])
    remote = Part(told["address"], told["length"])
    read = ctypes.CDLL(None).process_vm_readv(
        told["pid"], ctypes.byref(local), ctypes.c_ulong(1), ctypes.byref(remote), ctypes.c_ulong(1), ctypes.c_ulong(0)
    )
    return "read the harness's memory" if read > 0 and told["secret"].encode() in buffer.raw else ""


def debug(told: Told) -> str:
    libc = ctypes.CDLL(None)
    if libc.ptrace(ctypes.c_long(_PTRACE_SEIZE), ctypes.c_long(told["pid"]), None, None) != 0:
        return ""
    libc.ptrace(ctypes.c_long(_PTRACE_DETACH), ctypes.c_long(told["pid"]), None, None)
    return "may steer the harness as a debugger does"


def signal_harness(told: Told) -> str:
    if _is_the_harness(told):
        os.kill(told["pid"], signal.SIGTERM)
    else:
        os.kill(told["pid"], 0)
    return ""


def limits_of_the_harness(told: Told) -> str:
    """Set to what they are already: with other values (RLIMIT_CPU of a second) the kernel would end it."""
    if not _is_the_harness(told):
        return ""
    pid = told["pid"]
    ways = {
        "prlimit": lambda: resource.prlimit(pid, resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU)),
        "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 0) or "set",
        "sched_setaffinity": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(0)) or "set",
        "sched_setscheduler": lambda: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)) or "set",
    }
    return ", ".join(f"{name} on the harness" for name, way in ways.items() if attempt(way))


def signal_everybody(told: Told) -> str:
    """kill(-1): only where the harness is out of sight, so that a sandbox without process numbers of its own fails the
    test without ending everything."""
    if _is_the_harness(told):
        return "sees the harness, and would signal it with everything else"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(-1, signal.SIGTERM)
    return ""


def see_harness(told: Told) -> str:
    return f"sees process {told['pid']}" if _is_the_harness(told) else ""


def descriptors_of_others(told: Told) -> str:
    """Files that other processes have open, through /proc."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for link in attempt(lambda place=entry: os.listdir(place / "fd")) or []:
                place = entry / "fd" / link
                if attempt(place.is_file) and attempt(lambda place=place: _has_secret(told, place)):
                    return f"read what process {entry.name} has open"
    return ""


def nested_sandbox(told: Told) -> str:
    if not told["bubblewrap"]:
        return ""
    nested = [told["bubblewrap"], "--unshare-user", "--unshare-pid", "--bind", "/", "/", "--proc", "/proc", "true"]
    return "made a sandbox of its own inside" if subprocess.run(nested, capture_output=True).returncode == 0 else ""


def keyring(_told: Told) -> str:
    number = _ADD_KEY.get(os.uname().machine, -1)
    session_keyring = ctypes.c_long(-3)
    key = ctypes.CDLL(None).syscall(number, b"user", b"ml-intern", b"x", ctypes.c_long(1), session_keyring)
    return "keeps a key in the kernel" if key > 0 else ""


def system_v_memory(told: Told) -> str:
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(told["segment"], 0, 0)
    address = libc.shmat(segment, None, 0o10000) if segment >= 0 else None  # SHM_RDONLY
    if address in (None, ctypes.c_void_p(-1).value):
        return ""
    return "read shared memory" if told["secret"].encode() in ctypes.string_at(address, 64) else ""


def set_id_program(_told: Told) -> str:
    """A program with the set-user-id bit must not give its owner's rights."""
    if os.getuid() == 0:
        return ""
    for name in ("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd", "/bin/mount"):
        if Path(name).exists() and Path(name).stat().st_mode & 0o4000:
            started = subprocess.Popen([name, "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            owner = attempt(lambda place=started.pid: os.stat(f"/proc/{place}").st_uid)
            allowed = "NoNewPrivs:\t0" in Path("/proc/self/status").read_text()
            started.wait()
            if allowed and owner is not None:
                return f"{name} runs with rights of its own"
    return ""


def _has_secret(told: Told, path: Path) -> str:
    with path.open("rb") as file:
        return f"read {path}" if told["secret"].encode() in file.read(1 << 20) else ""


def _is_the_harness(told: Told) -> bool:
    found = attempt(lambda: Path(f"/proc/{told['pid']}/cmdline").read_bytes())
    return found is not None and told["mark"].encode() in found


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main(globals())
