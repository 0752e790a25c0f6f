"""Ending a tree of processes: quickly, and also where one of them does not wait for its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.run import usage

_TREE = """
import os, subprocess, sys, time
from ml_intern.run.usage import end_descendants, ended_children
# A child that never waits: its own child stays a zombie.
child = subprocess.Popen([sys.executable, "-c", "import os, time\\nif os.fork() == 0: os._exit(0)\\nprint(flush=True)\\ntime.sleep(60)"], stdout=subprocess.PIPE)
child.stdout.readline()
time.sleep(0.1)
began = time.monotonic()
end_descendants(lambda: list(ended_children()))
print(time.monotonic() - began)
"""  # noqa: E501


def test_a_zombie_of_a_stopped_parent_does_not_hold_up_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", _TREE], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < 5, "it waited for its deadline"


_ORPHAN = """
import os, subprocess, sys
import psutil
from ml_intern.run import usage
from ml_intern.run.sandbox.kernel import adopt_orphans
adopt_orphans()
script = "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=-3, stderr=-3).pid, flush=True); input()"
parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
orphan = psutil.Process(int(parent.stdout.readline()))
look = usage.descendants
def look_while_the_parent_ends(pid):
    usage.descendants = look
    parent.kill()
    os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
    return [parent.pid]
usage.descendants = look_while_the_parent_ends
usage.end_descendants(lambda: list(usage.ended_children()))
print("left behind" if orphan.is_running() and orphan.status() != "zombie" else "ended")
"""

_FIRST_THREAD = """
import subprocess, sys, time
import psutil
from ml_intern.run import usage
script = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); "
script += "ctypes.CDLL(None).pthread_exit(None)"
process = psutil.Process(subprocess.Popen([sys.executable, "-c", script], stdout=-3, stderr=-3).pid)
while process.status() != "zombie":
    time.sleep(0.01)
assert process.num_threads() == 2
usage.end_descendants(lambda: None)
print("left behind" if process.num_threads() == 2 else "ended")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere orphans do not come to whom they descend from")
@pytest.mark.parametrize("code", [_ORPHAN, _FIRST_THREAD], ids=["a parent that ends now", "one without first thread"])
def test_nobody_is_left_behind(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n"


def test_what_others_delete_does_not_hide_what_is_written_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    used = iter([{1: 500}, {1: 100}, {1: 460}])
    monkeypatch.setattr(usage, "used_on", lambda _: next(used))
    watch = usage.FolderWatch([tmp_path])
    assert watch.grown() == 0, "another process deleted 400"
    assert watch.grown() == 360
