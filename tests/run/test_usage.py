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


def test_what_others_delete_does_not_hide_what_is_written_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    used = iter([{1: 500}, {1: 100}, {1: 460}])
    monkeypatch.setattr(usage, "used_on", lambda _: next(used))
    watch = usage.FolderWatch([tmp_path])
    assert watch.grown() == 0, "another process deleted 400"
    assert watch.grown() == 360
