"""A harness that is killed: what was at once goes with it, what was in the background is found again."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.run.sandbox.choice import KINDS
from tests.judge.workshop import Workshop
from tests.run.attacks.test_survival import ROOT, wait_until
from tests.run.test_supervisor import processes_with
from tests.support.compute import require
from tests.support.marks import mark_of
from tests.tools.bench import again

HARNESS = """
import sys
from pathlib import Path
from tests.tools.bench import at_bench
with at_bench(Path(sys.argv[2]), sys.argv[1]) as bench:
    bench.sh(sys.argv[3], background=True, seconds=28)
    bench.sh(sys.argv[4], seconds=28)
"""
in_each = pytest.mark.parametrize("kind", KINDS)


def sleeping(mark: str, seconds: float) -> str:
    return f"(setsid python3 -c 'import time; time.sleep(60)' {mark} &); sleep {seconds}; echo the end"


def killed(kind: str, folder: Path, background: str, at_once: str) -> Workshop:
    """What a harness leaves that was killed once a process of each command ran."""
    require(kind)
    marks = [f"{name}-{mark_of(folder)}" for name in ("background", "at-once")]
    commands = [background.replace("MARK", marks[0]), at_once.replace("MARK", marks[1])]
    harness = subprocess.Popen([sys.executable, "-c", HARNESS, kind, str(folder), *commands], cwd=ROOT)
    try:
        wait_until(lambda: all(processes_with(mark) for mark in marks), seconds=60)
    finally:
        harness.kill()
        harness.wait()
    return Workshop(folder, sandbox=kind)


@in_each
def test_no_process_of_a_command_outlives_a_killed_harness_and_its_session(kind: str, tmp_path: Path) -> None:
    shop = killed(kind, tmp_path, sleeping("MARK", 60), sleeping("MARK", 60))
    wait_until(lambda: processes_with(f"at-once-{mark_of(tmp_path)}") == [], seconds=5)
    assert processes_with(f"background-{mark_of(tmp_path)}")
    with again(shop) as resumed:
        assert resumed.say("look_at", id=1).startswith("job 1: running for ")
        assert resumed.say("look_at", id=2).startswith("job 2: stopped after ")
        assert resumed.sh("echo on").startswith("exit code 0")
        assert processes_with(f"background-{mark_of(tmp_path)}")
    wait_until(lambda: processes_with(f"background-{mark_of(tmp_path)}") == [], seconds=10)


@in_each
def test_one_that_went_on_is_waited_for_or_stopped_by_the_next_session(kind: str, tmp_path: Path) -> None:
    shop = killed(kind, tmp_path, sleeping("MARK", 6), sleeping("MARK", 60))
    with again(shop) as resumed:
        said = resumed.say("wait_for", id=1)
        assert said.startswith("exit code 0 after ") and "the end" in said
    wait_until(lambda: processes_with(f"background-{mark_of(tmp_path)}") == [], seconds=10)


@in_each
def test_one_that_was_found_again_can_be_stopped(kind: str, tmp_path: Path) -> None:
    shop = killed(kind, tmp_path, sleeping("MARK", 60), sleeping("MARK", 60))
    with again(shop) as resumed:
        assert resumed.say("stop", id=1).startswith("job 1: stopped after ")
        wait_until(lambda: processes_with(f"background-{mark_of(tmp_path)}") == [], seconds=10)


def test_what_left_no_trace_of_its_end_is_said_to_be_unknown(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    with again(shop) as bench:
        bench.sh("echo something", background=True)
        bench.say("wait_for", id=1)
    (tmp_path / "bench" / "e" / "logs" / "1.run").unlink()  # another machine does not have it
    with again(shop) as resumed:
        assert resumed.say("look_at", id=1).startswith("FAILED: job 1: nobody knows how it ended")
        assert resumed.say("stop", id=1).startswith("FAILED: job 1: nobody knows how it ended")
