"""Ending a tree of processes: quickly, and also where one of them does not wait for its own."""

import subprocess
import sys

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
