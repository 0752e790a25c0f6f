"""The system-call filter of a sandbox, as BPF bytes in pure Python. Knows nothing of how it is installed.

A list of what is denied, not of what is allowed: numeric libraries use too much of the kernel's surface for the other
way. What is denied is what a training script never needs and an escape often does.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# struct seccomp_data: nr at 0, arch at 4, args[n] at 16 + 8n. All arguments looked at are 32 bits wide in the kernel.
_NR, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32
_LD, _AND, _JEQ, _JGE, _JSET, _RET = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NEW_NAMESPACES = 0x7E020000
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_TRUNCATE, _ACCESS, _TO_WRITE = 0o1000, 3, (1, 2)  # O_TRUNC, O_ACCMODE, O_WRONLY and O_RDWR
_UNIX, _INET, _INET6, _NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0

# name: (x86_64, aarch64); None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "move_pages": (279, 239),
    # kernel surface with a history of escapes
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "memfd_secret": (447, 447),
    # memory that no process seems to hold: not counted by who watches over it
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    # the same, and in a sandbox without a number space of its own they would stay after the run
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}

# Calls on a process that is named by number, which the kernel allows between all processes of a user: name: (numbers,
# the arguments that have to be what they are for the calling process itself).
_ON_OTHERS: dict[str, tuple[tuple[int, int], dict[int, int]]] = {
    "prlimit64": ((302, 261), {_ARG0: 0}),
    "sched_setparam": ((142, 118), {_ARG0: 0}),
    "sched_setscheduler": ((144, 119), {_ARG0: 0}),
    "sched_setaffinity": ((203, 122), {_ARG0: 0}),
    "sched_setattr": ((314, 274), {_ARG0: 0}),
    "setpriority": ((141, 140), {_ARG0: 0, _ARG1: 0}),  # PRIO_PROCESS
    "ioprio_set": ((251, 30), {_ARG0: 1, _ARG1: 0}),  # IOPRIO_WHO_PROCESS
}


@dataclass(frozen=True)
class _Machine:
    audit: int  # AUDIT_ARCH_*
    column: int
    clone: int
    clone3: int
    socket: int
    socketpair: int
    ioctl: int
    truncate: int
    open: int | None
    openat: int
    openat2: int = 437


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 0, clone=56, clone3=435, socket=41, socketpair=53, ioctl=16, truncate=76, open=2, openat=257
    ),
    "aarch64": _Machine(
        0xC00000B7, 1, clone=220, clone3=435, socket=198, socketpair=199, ioctl=29, truncate=45, open=None, openat=56
    ),
}


def filter_program(*, ip: bool, others: bool = True, truncate: bool = True, machine: str = "") -> bytes | None:
    """The filter as `struct sock_filter[]` for `machine` (default: this one); None where the machine is not known.

    ip: whether IPv4 and IPv6 sockets may be made (a sandbox with a network namespace of its own can allow them);
    others: whether other processes' limits and priorities may be set (one with process numbers of its own can allow
    it); truncate: whether files may be emptied without being open for writing.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    program = _arch_check(known)
    for numbers in _DENIED.values():
        if (number := numbers[known.column]) is not None:
            program += _when_call(number, [_deny(errno.EPERM)])
    # glibc takes ENOSYS as "old kernel" and falls back to clone, whose flags can be looked at.
    program += _when_call(known.clone3, [_deny(errno.ENOSYS)])
    flags = [_load(_ARG0), _jump(_JSET, _NEW_NAMESPACES, 0, 1), _deny(errno.EPERM), _ret(_ALLOW)]
    program += _when_call(known.clone, flags)
    injection = [_load(_ARG1)]
    for request in _TERMINAL_INJECTION:
        injection += [_jump(_JEQ, request, 0, 1), _deny(errno.EPERM)]
    program += _when_call(known.ioctl, [*injection, _ret(_ALLOW)])
    program += _when_call(known.socket, _socket_families(ip))
    program += _when_call(known.socketpair, _socket_families(False))
    for numbers, own in () if others else _ON_OTHERS.values():
        program += _when_call(numbers[known.column], _only_with(own))
    program += [] if truncate else _no_truncation(known)
    return b"".join([*program, _ret(_ALLOW)])


def _arch_check(machine: _Machine) -> list[bytes]:
    """32-bit and x32 calls have other numbers: a program that uses them is ended."""
    program = [_load(_ARCH), _jump(_JEQ, machine.audit, 1, 0), _ret(_KILL_PROCESS), _load(_NR)]
    if machine.column == 0:
        program += [_jump(_JGE, 0x40000000, 0, 1), _ret(_KILL_PROCESS)]
    return program


def _when_call(number: int, body: list[bytes]) -> list[bytes]:
    """`body` must end in a return; the accumulator still holds the call's number where it is skipped."""
    return [_jump(_JEQ, number, 0, len(body)), *body]


def _socket_families(ip: bool) -> list[bytes]:
    allowed = (_UNIX, _INET, _INET6) if ip else (_UNIX,)
    program = [_load(_ARG0)]
    for family in allowed:
        program += [_jump(_JEQ, family, 0, 1), _ret(_ALLOW)]
    # getifaddrs asks the routing table; every other kind of netlink is kernel surface.
    program += [_jump(_JEQ, _NETLINK, 0, 3), _load(_ARG2), _jump(_JEQ, _NETLINK_ROUTE, 0, 1), _ret(_ALLOW)]
    return [*program, _deny(errno.EAFNOSUPPORT)]


def _only_with(arguments: dict[int, int]) -> list[bytes]:
    program = []
    for place, value in arguments.items():
        program += [_load(place), _jump(_JEQ, value, 1, 0), _deny(errno.EPERM)]
    return [*program, _ret(_ALLOW)]


def _no_truncation(machine: _Machine) -> list[bytes]:
    """By a path at once, or by opening with O_TRUNC but not for writing: to older kernels' Landlock that is reading, or
    (with both bits of the access mode) nothing at all. What openat2 asks for lies in memory, out of sight."""
    program = _when_call(machine.truncate, [_deny(errno.EACCES)])
    program += _when_call(machine.openat2, [_deny(errno.ENOSYS)])
    for number, flags in ((machine.open, _ARG1), (machine.openat, _ARG2)):
        body = [_load(flags), _jump(_JSET, _TRUNCATE, 1, 0), _ret(_ALLOW), _and(_ACCESS)]
        for mode in _TO_WRITE:
            body += [_jump(_JEQ, mode, 0, 1), _ret(_ALLOW)]
        program += [] if number is None else _when_call(number, [*body, _deny(errno.EACCES)])
    return program


def _load(offset: int) -> bytes:
    return struct.pack("<HBBI", _LD, 0, 0, offset)


def _and(mask: int) -> bytes:
    return struct.pack("<HBBI", _AND, 0, 0, mask)


def _jump(code: int, value: int, when_true: int, when_false: int) -> bytes:
    return struct.pack("<HBBI", code, when_true, when_false, value)


def _ret(value: int) -> bytes:
    return struct.pack("<HBBI", _RET, 0, 0, value)


def _deny(error: int) -> bytes:
    return _ret(_ERRNO | error)
