"""Run inside a sandbox by the self-check: tries what a hostile script would try first, and prints what came of it.

One JSON object on stdout: name of the attempt to what it reached (empty: nothing). Uses the standard library alone, and
nothing of this package: it is started as a script.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NEW_USER_NAMESPACE = 0x10000000
_SECRETS = ("TOKEN", "_KEY", "SECRET", "PASSWORD", "CREDENTIALS")  # what names of such variables end in


def read_outside(told: dict[str, Any]) -> str:
    return f"read {told['canary']}" if Path(told["canary"]).read_bytes() else ""


def write_outside(told: dict[str, Any]) -> str:
    Path(told["forbidden"]).write_text("written from inside")
    # In a view of its own a script may write into a folder that only looks like the one outside.
    return f"wrote {told['forbidden']}" if Path(told["canary"]).exists() else ""


def empty_outside(told: dict[str, Any]) -> str:
    """By its path, and opened with O_TRUNC but not for writing, which some filters take for reading."""
    canary = Path(told["canary"])
    with contextlib.suppress(OSError):
        os.truncate(canary, 0)
    for mode in (os.O_RDONLY, os.O_ACCMODE):
        with contextlib.suppress(OSError):
            os.close(os.open(canary, mode | os.O_TRUNC))
    return f"emptied {canary}" if canary.exists() and canary.stat().st_size == 0 else ""


def harness_environment(told: dict[str, Any]) -> str:
    if not _is_same_process(told):
        return ""
    return "read the harness's environment" if Path(f"/proc/{told['pid']}/environ").read_bytes() else ""


def own_environment(_told: dict[str, Any]) -> str:
    return ", ".join(name for name in os.environ if name.endswith(_SECRETS))


def signal_harness(told: dict[str, Any]) -> str:
    os.kill(told["pid"], 0)
    return "may signal the harness" if _is_same_process(told) else ""


def tcp(told: dict[str, Any]) -> str:
    with socket.create_connection(("127.0.0.1", told["port"]), timeout=2):
        return "reached a TCP port of this machine"


def abstract_socket(told: dict[str, Any]) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(b"\x00" + told["abstract"].encode())
    return "reached an abstract unix socket of this machine"


def virtual_machine_socket(_told: dict[str, Any]) -> str:
    with socket.socket(getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM):
        return "made a socket to the machine's host (vsock)"


def capabilities(_told: dict[str, Any]) -> str:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = [name for name in ("CapEff", "CapPrm", "CapBnd" if os.getuid() == 0 else "CapInh") if int(status[name], 16)]
    if status["NoNewPrivs"].strip() != "1":
        held.append("new privileges")
    return ", ".join(held)


def kernel_settings(_told: dict[str, Any]) -> str:
    descriptor = os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
    os.close(descriptor)
    return "may write /proc/sys/kernel/core_pattern"


def user_namespace(_told: dict[str, Any]) -> str:
    return "made a user namespace" if ctypes.CDLL(None).unshare(_NEW_USER_NAMESPACE) == 0 else ""


def workspace(_told: dict[str, Any]) -> str:
    """What a script needs: its folder, a child process. Here silence is what is hoped for, too."""
    Path("written").write_text("x")
    child = subprocess.run([sys.executable, "-I", "-S", "-c", "print(6 * 7)"], capture_output=True, text=True)
    return "" if child.stdout == "42\n" else f"cannot start Python inside: {child.stderr[-300:]}"


ATTEMPTS: tuple[Callable[[dict[str, Any]], str], ...] = (
    read_outside,
    write_outside,
    empty_outside,
    harness_environment,
    own_environment,
    signal_harness,
    tcp,
    abstract_socket,
    virtual_machine_socket,
    capabilities,
    kernel_settings,
    user_namespace,
)


def _is_same_process(told: dict[str, Any]) -> bool:
    """Whether the harness's number means the harness here, and not a process of a number space of its own."""
    try:
        text = Path(f"/proc/{told['pid']}/stat").read_text()
    except PermissionError:
        return True
    return bool(text.rsplit(")", 1)[1].split()[19] == told["born"])


def main() -> None:
    told = json.loads(sys.argv[1])
    found = {}
    for attempt in ATTEMPTS:
        try:
            found[attempt.__name__] = attempt(told)
        except (OSError, ValueError):
            found[attempt.__name__] = ""
    try:
        found["workspace"] = workspace(told)
    except OSError as error:
        found["workspace"] = f"cannot work inside: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
