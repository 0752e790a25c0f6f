"""Long runs: one call waits for the end, or until a rule that was set fires; the model is asked nothing meanwhile."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_intern.llm.protocol import ToolCall
from ml_intern.tools import waiting
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Toolbox
from ml_intern.tools.shell import tools
from tests.tools.bench import AtBench, at_bench


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_LAST_LOOK", 0.1)


def away(bench: AtBench, why: Callable[[], str]) -> AtBench:
    """The same bench, called away for what `why` gives."""
    before = bench.bench
    called = Bench(before.laboratory, before.compute, before.stop, before.folder, called_away=why)
    return AtBench(bench.workshop, called, Toolbox(tools(called)))


def test_a_wait_lasts_as_long_as_the_command_and_tells_of_the_end_once(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        command = """for i in 1 2 3; do echo '{"step": '$i', "train_loss": 0.'$i'}' >> metrics.jsonl; sleep 0.3; done"""
        bench.sh(f"{command}; seq 9000; exit 4", background=True)
        said = bench.say("wait_for", id=1, quiet_minutes=0.1)
        assert said.startswith("FAILED: failed after") and "exit code 4" in said
        assert "metrics.jsonl: step 3, train_loss 0.3" in said and "shows all of it" in said and len(said) < 10_000


@pytest.mark.parametrize("value", ["NaN", "-1e999"])
def test_it_ends_at_a_number_that_is_none_with_the_command_still_running(value: str, tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        good, bad = (f'{{"step": {step}, "train_loss": {loss}}}' for step, loss in ((1, 0.5), (2, value)))
        log = "out/metrics.jsonl"
        bench.sh(f"mkdir out; echo '{good}' > {log}; sleep 0.3; echo '{bad}' >> {log}; sleep 60", background=True)
        started = time.monotonic()
        said = bench.say("wait_for", id=1)
        assert said.startswith("Not waited for any longer, train_loss is ") and "job 1: running" in said
        assert time.monotonic() - started < 20
        assert bench.say("wait_for", id=1, nan=False, minutes=0.005).startswith(
            "Not waited for any longer, the time that was asked for is over"
        )


def test_a_number_that_was_none_for_a_moment_is_passed_over(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"step": n, "loss": loss}) + "\n" for n, loss in ((1, float("inf")), (2, 0.5)))
    with at_bench(tmp_path) as bench:
        bench.sh(f"printf '%s' '{rows}' > metrics.jsonl; sleep 0.5", background=True)
        assert bench.say("wait_for", id=1).startswith("exit code 0")


@pytest.mark.parametrize("writes", ["echo on", "echo '{}' >> metrics.jsonl"])
def test_it_ends_when_nothing_new_comes_and_not_before(writes: str, tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        bench.sh(f"for i in 1 2 3 4 5 6; do {writes}; sleep 0.3; done; sleep 60", background=True)
        started = time.monotonic()
        said = bench.say("wait_for", id=1, quiet_minutes=0.02)
        assert said.startswith("Not waited for any longer, nothing new was written for ")
        assert 2.5 < time.monotonic() - started < 20, "six signs of life come first"


def test_it_ends_when_a_person_says_something_or_the_time_of_the_run_is_used_up(tmp_path: Path) -> None:
    said: list[str] = []
    with at_bench(tmp_path) as bench:
        bench.sh("sleep 60", background=True)
        threading.Timer(0.3, lambda: said.append("a person said something")).start()
        heard = away(bench, lambda: "".join(said)).say("wait_for", id=1)
    assert heard.startswith("Not waited for any longer, a person said something.\njob 1: running for ")


def test_waiting_takes_next_to_no_time_of_the_machine(tmp_path: Path) -> None:
    with at_bench(tmp_path) as bench:
        bench.sh("sleep 1", background=True)
        call = ToolCall(id="1", name="wait_for", arguments='{"id": 1}')
        used = time.thread_time()
        assert bench.toolbox.carry_out(call).startswith("exit code 0")
        assert time.thread_time() - used < 0.2
