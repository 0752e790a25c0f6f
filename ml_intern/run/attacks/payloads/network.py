"""Attacks over sockets. Started inside a sandbox as `network.py NAME JSON`; what arrives is seen by who listens."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import Any

from payload import attempt, main

Told = dict[str, Any]
_IO_URING_SETUP = 425  # on x86_64 and aarch64 alike
_KERNEL_CRYPTO, _VSOCK, _BLUETOOTH, _CAN = 38, 40, 31, 29
_QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07planted\x07example\x03com\x00\x00\x01\x00\x01"


def tcp(told: Told) -> str:
    with socket.create_connection(("127.0.0.1", told["tcp"]), timeout=2):
        return "reached a TCP port of this machine"


def tcp_six(told: Told) -> str:
    with socket.create_connection(("::1", told["tcp_six"]), timeout=2):
        return "reached a TCP port of this machine (IPv6)"


def udp(told: Told) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"planted", ("127.0.0.1", told["udp"]))
    return ""


def dns(told: Told) -> str:
    """A name that carries a message out, asked of the machine's resolver (here: of who listens in its place)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", told["udp"]))
        sender.send(_QUERY)
    return ""


def unix_socket(told: Told) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(told["unix"])
    return "reached a service of this machine (as docker.sock would be)"


def abstract_socket(told: Told) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(b"\x00" + told["abstract"].encode())
    return "reached an abstract unix socket of this machine"


def vsock(_told: Told) -> str:
    return _made(_VSOCK, socket.SOCK_STREAM, 0)


def packet_socket(_told: Told) -> str:
    return _made(socket.AF_PACKET, socket.SOCK_RAW, 0)


def raw_socket(_told: Told) -> str:
    return _made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def odd_families(_told: Told) -> str:
    """Families with kernel code that a script never needs."""
    kinds = [(_KERNEL_CRYPTO, socket.SOCK_SEQPACKET, 0), (_BLUETOOTH, socket.SOCK_RAW, 1), (_CAN, socket.SOCK_RAW, 1)]
    return ", ".join(filter(None, (attempt(lambda kind=kind: _made(*kind)) for kind in kinds)))


def netlink(_told: Told) -> str:
    """Kernel events and auditing; asking for routes (0) is what every name lookup does."""
    return ", ".join(
        filter(None, (attempt(lambda n=n: _made(socket.AF_NETLINK, socket.SOCK_RAW, n)) for n in (9, 12, 15)))
    )


def io_uring(_told: Told) -> str:
    """Calls made through it pass no filter."""
    descriptor = ctypes.CDLL(None).syscall(_IO_URING_SETUP, 4, ctypes.create_string_buffer(120))
    return "has io_uring" if descriptor >= 0 else ""


def inherited_sockets(_told: Told) -> str:
    """A socket that somebody left open is a way out, whatever may be made anew."""
    entries = [
        (entry, attempt(lambda n=entry: os.readlink(f"/proc/self/fd/{n}"))) for entry in os.listdir("/proc/self/fd")
    ]
    return ", ".join(f"{entry}: {link}" for entry, link in entries if int(entry) > 2 and link and "socket" in link)


def other_folders_sockets(told: Told) -> str:
    """A relative path, a folder's descriptor, a link: three more ways to name the same unix socket."""
    Path("way").symlink_to(Path(told["unix"]).parent)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"way/{Path(told['unix']).name}")
    return "reached a service of this machine through a link"


def _made(family: int, kind: int, protocol: int) -> str:
    with socket.socket(family, kind, protocol):
        return f"made a socket of family {family}"


if __name__ == "__main__":
    main(globals())
