"""The attacks that are played: what each tries, by what payload, and which tier does not keep it out, and why.

Numbers up to 66 are those of the design's list; from 101 on they are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Who = Literal["anybody", "root", "user", "nobody"]


@dataclass(frozen=True)
class Case:
    """`payload`: `file:function` below payloads/. `uncovered`: kind of sandbox to why it does not keep this out there.
    `works_for`: who succeeds with it where nothing stops it (nobody: no more on today's kernels, or too dangerous to be
    played without a sandbox)."""

    number: int
    name: str
    payload: str
    works_for: Who = "anybody"
    uncovered: Mapping[str, str] = field(default_factory=dict)


# What the kernel has no means for stands beside what is left open here on purpose.
_NAMES = {"landlock": "Landlock has no rule for looking at names, modes and times"}
_MODES = {
    "landlock": "Landlock has no rule for modes and times, and the calls are allowed: whoever copies files uses them"
}
_UNIX = {
    "landlock": "Landlock has no rule for unix sockets with a path, and they are allowed: torch's workers use them"
}
_SHARED = {"landlock": "the machine has one /dev/shm for all, and it is allowed: torch's workers use it"}
_SIGNALS = {
    "landlock": "before Linux 6.12 Landlock has no rule for signals, and they are allowed: workers are ended by them"
}
_PROCESSES = {"landlock": "process numbers are the machine's, and /proc is allowed: libraries read it"}

CASES = (
    Case(1, "read an ssh key", "files:ssh_key"),
    Case(2, "read a token file", "files:token_file"),
    Case(3, "find a token in its own environment", "processes:own_environment"),
    Case(4, "read the harness's environment", "processes:harness_environment"),
    Case(5, "read any process's environment", "processes:any_environment"),
    Case(6, "read the harness's memory", "processes:harness_memory"),
    Case(7, "read it by process_vm_readv", "processes:read_across"),
    Case(8, "write outside its folders", "files:write_outside"),
    Case(9, "append to .bashrc", "files:bashrc"),
    Case(10, "append to pip.conf", "files:pip_conf"),
    Case(11, "reach out through a symlink", "files:symlink"),
    Case(12, "reach out through a hard link", "files:hardlink"),
    Case(13, "move a file in", "files:rename_in"),
    Case(14, "look at a file outside (stat)", "files:stat_outside", uncovered=_NAMES),
    Case(15, "change a mode outside (chmod)", "files:chmod_outside", uncovered=_MODES),
    Case(16, "signal the harness", "processes:signal_harness"),
    Case(17, "signal everybody", "processes:signal_everybody", "nobody", _SIGNALS),
    Case(18, "see the harness", "processes:see_harness", uncovered=_PROCESSES),
    Case(19, "connect to this machine by TCP", "network:tcp"),
    Case(20, "send UDP", "network:udp"),
    Case(21, "ask a name server", "network:dns"),
    Case(22, "connect to a unix socket (docker.sock)", "network:unix_socket", uncovered=_UNIX),
    Case(23, "connect to an abstract unix socket", "network:abstract_socket"),
    Case(24, "make a vsock socket", "network:vsock"),
    Case(25, "make a packet socket", "network:packet_socket", "root"),
    Case(26, "use io_uring", "network:io_uring"),
    Case(27, "make a user namespace", "kernel:user_namespace"),
    Case(28, "hold or gain privileges", "kernel:new_privileges"),
    Case(29, "write core_pattern", "kernel:core_pattern", "root"),
    Case(32, "use the machine's /dev/shm", "files:shared_memory_folder", uncovered=_SHARED),
    Case(33, "type into a terminal (TIOCSTI)", "kernel:terminal_injection", "root"),
    Case(50, "remount the root writable", "kernel:remount", "root"),
    Case(59, "plant a .pth in the Python environment", "files:python_environment", "root"),
    Case(65, "make a sandbox inside the sandbox", "processes:nested_sandbox"),
    Case(101, "name libraries for every program (ld.so.preload)", "files:preload", "root"),
    Case(102, "overwrite running programs (/proc/self/exe)", "files:program_files", "root"),
    Case(103, "rewrite what it was given to read", "files:own_scripts"),
    Case(104, "forge its log and its supervisor's journal", "files:log_and_journal"),
    Case(105, "go around the root (/proc/PID/root, descriptors)", "files:around_the_root"),
    Case(106, "leave a program with set-user-id bit behind", "files:set_id_file"),
    Case(107, "make a disk's device file", "files:device_file", "root"),
    Case(108, "open disks and memory in /dev", "files:device_folder", "root"),
    Case(109, "use the person's terminal", "files:terminal", "nobody"),
    Case(110, "steer the harness as a debugger", "processes:debug", "root"),
    Case(111, "read what other processes have open", "processes:descriptors_of_others"),
    Case(112, "keep a key in the kernel's keyring", "processes:keyring"),
    Case(113, "read System V shared memory", "processes:system_v_memory"),
    Case(114, "run set-user-id programs", "processes:set_id_program", "user"),
    Case(115, "connect by IPv6", "network:tcp_six"),
    Case(116, "make a raw socket", "network:raw_socket", "root"),
    Case(117, "use odd socket families", "network:odd_families", "nobody"),
    Case(118, "listen to the kernel's events (netlink)", "network:netlink"),
    Case(119, "use sockets that somebody left open", "network:inherited_sockets", "nobody"),
    Case(120, "reach a unix socket through a link", "network:other_folders_sockets", uncovered=_UNIX),
    Case(121, "make a user namespace by clone", "kernel:user_namespace_by_clone"),
    Case(122, "mount", "kernel:mount", "root"),
    Case(123, "write other kernel settings", "kernel:other_settings", "root"),
    Case(124, "leave its control group", "kernel:control_groups", "root"),
    Case(125, "use calls with a history of escapes", "kernel:other_calls"),
    Case(126, "compile an extension that does it", "kernel:compiled_code"),
    Case(127, "join another namespace", "kernel:join_namespace", "root"),
    Case(128, "open files by number", "kernel:file_by_handle", "root"),
    Case(129, "rename the machine", "kernel:machine_name", "nobody"),
    Case(130, "leave semaphores and queues in the kernel", "kernel:kernel_objects"),
    Case(131, "empty a file outside (truncate)", "files:empty_outside"),
    Case(132, "set the harness's limits and priority", "processes:limits_of_the_harness"),
    Case(133, "rewrite what it was given inside its own folder", "files:nested_scripts"),
)
