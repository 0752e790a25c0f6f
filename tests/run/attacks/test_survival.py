"""What lives on, and what does not, when the harness, the supervisor or both are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_intern.run import journal
from ml_intern.run.sandbox.choice import KINDS
from ml_intern.run.spec import Limits, RunSpec
from tests.run.test_supervisor import processes_with
from tests.support.compute import every_kind, require, shared_compute

ROOT = Path(__file__).parents[3]
HARNESS = """
import sys, threading
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.spec import RunSpec
from tests.support.compute import chosen
compute = LocalCompute(chosen(sys.argv[1]), 1, warm=sys.argv[1] == 'warm')
compute.warm_up("torch")
print(compute.execute(RunSpec.model_validate_json(sys.argv[2]), threading.Event()).outcome)
"""

# A harness with a warm start needs some ten seconds: two of the tests below have one, too.
every_start = pytest.mark.parametrize("kind", KINDS)


class Started:
    """A harness of its own process, in the middle of a run that sleeps for `seconds`, with a child that has a mark."""

    def __init__(self, kind: str, folder: Path, seconds: float, inputs: str = "as before") -> None:
        require(kind)
        self.kind, self.mark = kind, f"survivor-{folder.name}-{kind}"
        script = folder / "script" / "script.py"
        script.parent.mkdir()
        child = f"[sys.executable, '-c', 'import time; time.sleep(60)', {self.mark!r}]"
        script.write_text(
            "import subprocess, sys, time\n"
            f"subprocess.Popen({child}, start_new_session=True)\n"
            f"time.sleep({seconds})\nprint('came to its end')\n"
        )
        self.spec = RunSpec(
            run_id="r1",
            script=script,
            arguments=(),
            cwd=folder / "cwd",
            log=folder / "log.txt",
            limits=Limits(seconds=60),
            inputs=inputs,
        )
        command = [sys.executable, "-c", HARNESS, kind, self.spec.model_dump_json()]
        self.harness = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: bool(processes_with(self.mark)), seconds=60.0)

    @property
    def supervisor(self) -> int:
        return journal.standing(self.spec.journal).pid


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@every_kind
def test_35_a_run_outlives_its_harness_and_the_next_one_takes_it_over(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=3)
    started.harness.kill()
    started.harness.wait()
    assert processes_with(started.mark)
    result = shared_compute(kind).execute(started.spec, threading.Event())
    assert (result.outcome, result.tail) == ("ok", "came to its end\n")
    assert result.wall_seconds > 2.9
    assert processes_with(started.mark) == []


@every_start
def test_a_run_that_ended_while_nobody_looked_is_taken_as_it_ended(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=0.5)
    started.harness.kill()
    wait_until(lambda: not journal.standing(started.spec.journal).alive)
    supervisor = started.supervisor
    result = shared_compute(kind).execute(started.spec, threading.Event())
    assert (result.outcome, result.tail) == ("ok", "came to its end\n")
    assert started.supervisor == supervisor  # it was not run again
    other = started.spec.model_copy(update={"inputs": "something else"})
    assert shared_compute(kind).execute(other, threading.Event()).outcome == "ok"
    assert started.supervisor != supervisor


@every_start
def test_a_run_that_nobody_may_take_over_ends_with_its_harness(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=60, inputs="")
    started.harness.kill()
    started.harness.wait()
    wait_until(lambda: processes_with(started.mark) == [], seconds=5)
    wait_until(lambda: not journal.standing(started.spec.journal).alive)
    result = journal.standing(started.spec.journal).result
    assert result is not None and result.outcome == "killed"


@every_start
def test_a_run_whose_inputs_nobody_knows_is_run_again(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=0.5)
    assert started.harness.wait(timeout=60) == 0
    supervisor = started.supervisor
    unknown = started.spec.model_copy(update={"inputs": ""})
    for _ in range(2):
        assert shared_compute(kind).execute(unknown, threading.Event()).outcome == "ok"
        assert started.supervisor != supervisor
        supervisor = started.supervisor


@every_start
def test_a_run_dies_with_its_supervisor_and_the_harness_says_so(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=60)
    os.kill(started.supervisor, signal.SIGKILL)
    assert started.harness.communicate(timeout=10)[0] == "killed\n"
    wait_until(lambda: processes_with(started.mark) == [])


@every_kind
def test_nothing_lives_on_after_both_are_killed(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=60)
    supervisor = started.supervisor
    started.harness.kill()
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: processes_with(started.mark) == [])
    assert not journal.standing(started.spec.journal).alive


@every_start
def test_a_stop_reaches_a_run_that_was_taken_over(kind: str, tmp_path: Path) -> None:
    started = Started(kind, tmp_path, seconds=60)
    started.harness.kill()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert shared_compute(kind).execute(started.spec, stop).outcome == "killed"
    assert processes_with(started.mark) == []
