"""What a script holds where no walk over its folders finds it: caught by what the disk has lost, or by being closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.run.hidden import Writer, Written, written_by_others, written_since
from tests.support.compute import every_kind, run_script

BEGIN = """
import ctypes, mmap, os, socket, sys, time
kept = []
def nameless():
    file = open("x", "w+b")
    os.unlink("x")
    os.posix_fallocate(file.fileno(), 0, 60 << 20)
    return file
"""
SENT = """
for _ in range(6):
    kept += socket.socketpair()
    file = nameless()
    socket.send_fds(kept[-1], [b"x"], [file.fileno()])
    file.close()
"""
MAPPED = """
for _ in range(6):
    file = nameless()
    kept.append(ctypes.CDLL(None).mmap(None, 4096, 1, 1, file.fileno(), 0))
    file.close()
"""
ONE_SENT = """
kept += socket.socketpair()
file = nameless()
socket.send_fds(kept[-1], [b"x"], [file.fileno()])
file.close()
"""
SMALL_SENT = """
kept += socket.socketpair()
with open("y", "w") as file:
    socket.send_fds(kept[-1], [b"x"], [file.fileno()])
"""


@every_kind
@pytest.mark.parametrize("code", [SENT, MAPPED], ids=["sent", "mapped"])
def test_files_kept_in_sockets_or_mappings_alone_count(kind: str, code: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, f"{BEGIN}{code}time.sleep(20)", disk_mb=100, seconds=15)
    assert result.outcome == "disk"
    assert "nobody can count" in result.detail


def test_one_that_is_passed_on_within_the_limit_is_no_offence(tmp_path: Path) -> None:
    """As DataLoader's workers do it."""
    result = run_script("none", tmp_path, f"{BEGIN}{ONE_SENT}time.sleep(1)\nprint('ended')", seconds=15)
    assert (result.outcome, result.tail) == ("ok", "ended\n")


def test_what_others_write_to_the_disk_meanwhile_is_not_the_scripts(tmp_path: Path) -> None:
    """A parallel run, or any other process that may be looked at."""
    write = (
        "import os, pathlib, sys, time\n"
        "while not pathlib.Path(sys.argv[1], 'cwd', 'begun').exists(): time.sleep(0.05)\n"
        "with open(pathlib.Path(sys.argv[1], 'other'), 'wb') as file:\n"
        "    for _ in range(150): file.write(os.urandom(1 << 20))\n"
        "    file.flush(); os.fsync(file.fileno()); open(pathlib.Path(sys.argv[1], 'written'), 'w'); time.sleep(30)\n"
    )
    wait = f"while not os.path.exists({str(tmp_path / 'written')!r}): time.sleep(0.05)\ntime.sleep(1)\nprint('ended')"
    with subprocess.Popen([sys.executable, "-c", write, tmp_path]) as other:
        try:
            code = f"{BEGIN}{SMALL_SENT}time.sleep(0.5)\nopen('begun', 'w').close()\n{wait}"
            result = run_script("none", tmp_path, code, disk_mb=100, seconds=60)
        finally:
            other.kill()
    assert (result.outcome, result.tail) == ("ok", "ended\n")


def test_what_a_process_that_is_gone_had_written_is_neither_new_nor_its_successors() -> None:
    shell, child, other = Writer(10, 1), Writer(11, 2), Writer(12, 3)
    before = {shell: Written(5, 1), child: Written(1000, 10), other: Written(7, 1)}
    assert written_since(before, {shell: Written(6, 1), child: Written(1004, 10), other: Written(7, 1)}) == 5
    # The shell has waited for its child and counts what that wrote.
    assert written_since(before, {shell: Written(1009, 1), other: Written(7, 1)}) == 4
    # Another process has the child's number now.
    assert written_since(before, {shell: Written(1005, 1), Writer(11, 9): Written(30, 10), other: Written(7, 1)}) == 30
    assert written_since({}, {other: Written(7, 1)}) == 7


def test_what_was_written_two_generations_below_is_not_new_either() -> None:
    make, compiler, backend = Writer(10, 1), Writer(11, 2), Writer(12, 3)
    before = {make: Written(0, 1), compiler: Written(0, 10), backend: Written(500, 11)}
    assert written_since(before, {make: Written(510, 1)}) == 10


def test_a_process_is_found_with_its_parent() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        found = {writer.pid: one for writer, one in written_by_others([os.getpid()]).items()}
        process.communicate()
    assert found[process.pid].parent == os.getpid() and os.getpid() not in found


@every_kind
def test_a_process_that_makes_itself_unreadable_is_ended_or_still_counted(kind: str, tmp_path: Path) -> None:
    hide = "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nfor _ in range(6):\n    kept.append(nameless())\n"
    result = run_script(kind, tmp_path, f"{BEGIN}{hide}time.sleep(20)", disk_mb=100, seconds=15)
    assert result.outcome == "disk"


IN_SOCKETS = """
for _ in range(1500):
    kept += socket.socketpair()
    kept[-1].setblocking(False)
    try:
        while True:
            kept[-1].send(bytes(65536))
    except BlockingIOError:
        pass
"""
# Reading maps one and the same page of zeros again and again: nothing is resident, but the tables are.
IN_PAGE_TABLES = """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
place = libc.mmap(None, ctypes.c_size_t(60 << 30), 1, 0x4022, -1, 0)
libc.madvise(ctypes.c_void_p(place), ctypes.c_size_t(60 << 30), 15)
for at in range(place, place + (60 << 30), 2 << 20):
    ctypes.c_char.from_address(at).value
"""


@every_kind
@pytest.mark.parametrize("code", [IN_SOCKETS, IN_PAGE_TABLES], ids=["sockets", "page tables"])
def test_memory_that_the_kernel_keeps_for_it_counts(kind: str, code: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, f"{BEGIN}{code}time.sleep(20)", memory_mb=100, seconds=15)
    assert result.outcome == "memory", result.tail
