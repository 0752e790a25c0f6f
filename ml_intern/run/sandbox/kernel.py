"""System calls that Python does not have: Landlock, seccomp, prctl. Thin, without policy; Linux only, else OSError.

Source: landlock(7), seccomp(2), prctl(2). Numbers are the same on x86_64 and aarch64 where one stands here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_ALL_NAMESPACES = 0x7E020000
_SECCOMP_MODE_FILTER = 2
_RULE_PATH_BENEATH = 1
_CREATE_RULESET_VERSION = 1


def _libc() -> ctypes.CDLL:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "only Linux has this")
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def die_with_parent() -> None:
    """This process is killed when the thread that started it ends; does nothing where there is no such thing."""
    if sys.platform.startswith("linux"):
        _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def undumpable() -> None:
    """Other processes of the same user cannot read this one's memory or environment. Raises OSError."""
    _checked(_libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def adopt_orphans() -> None:
    """Children of children that lose their parent become this process's own. Raises OSError."""
    _checked(_libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def no_new_privileges() -> None:
    """Nothing that is executed from here on gains rights by set-user-id bits. Raises OSError."""
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def install_filter(program: bytes) -> None:
    """Installs a `struct sock_filter[]`, for this thread and what it starts. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _checked(_libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0))


def enter_namespaces(pidfd: int) -> None:
    """Moves this process into all namespaces of the process of `pidfd`; what it forks from then on lives in its process
    numbers, too. Needs a process with one thread. Raises OSError."""
    _checked(_libc().setns(pidfd, _ALL_NAMESPACES))


def drop_capabilities() -> None:
    """Gives up every capability, for this process and whatever it executes. Raises OSError."""
    libc = _libc()
    for capability in range(64):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # past the last one that this kernel knows
    _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    header, none = struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
    _checked(libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(none)))


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    try:
        return _checked(_libc().syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION))
    except OSError:
        return 0


def landlock_ruleset(files: int, net: int = 0, scopes: int = 0) -> int:
    """A descriptor of a rule set that handles these rights; raises OSError. Fields that the kernel does not know must
    be 0."""
    attributes = struct.pack("QQQ", files, net, scopes)
    size = 24 if scopes else 16 if net else 8
    return _checked(_libc().syscall(_LANDLOCK_CREATE_RULESET, ctypes.c_char_p(attributes), ctypes.c_size_t(size), 0))


def landlock_allow(ruleset: int, path: str, rights: int) -> None:
    """Allows `rights` at and below `path`. Raises OSError."""
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        attributes = ctypes.c_char_p(struct.pack("=Qi", rights, handle))
        _checked(_libc().syscall(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, attributes, 0))
    finally:
        os.close(handle)


def landlock_restrict(ruleset: int) -> None:
    """Puts this thread, and what it starts, under the rules. Raises OSError."""
    _checked(_libc().syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0))
