"""A run whose supervisor was killed although nobody stopped it says nothing about the experiment."""

import threading
from pathlib import Path

import pytest

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.spec import RunResult, RunSpec
from tests.judge.workshop import Workshop
from tests.support.compute import FORKED, Shared


class Losing(Shared):
    """Loses the first so many runs of a script, as where their supervisors are killed."""

    def __init__(self, script: str, times: int) -> None:
        super().__init__(FORKED, 1)
        self.script, self.left = script, times

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        if spec.script.name == self.script and self.left:
            self.left -= 1
            return self._lost(spec)
        return super().execute(spec, stop)


def measured(folder: Path, compute: LocalCompute | None = None) -> dict[str, tuple[str, dict[str, float]]]:
    workshop = Workshop(folder)
    workshop.laboratory(compute).confirm(2)
    return {one.run_id: (one.outcome, one.metrics) for one in workshop.ledger.evidence}


@pytest.mark.parametrize("script", ["train.py", "predict.py"])
def test_it_is_run_once_more_and_measures_the_same(tmp_path: Path, script: str) -> None:
    lost = Losing(script, 1)
    assert measured(tmp_path / "lost", lost) == measured(tmp_path / "whole")
    assert lost.left == 0


def test_one_that_is_lost_twice_is_recorded_as_killed(tmp_path: Path) -> None:
    outcomes = [outcome for outcome, _ in measured(tmp_path, Losing("train.py", 2)).values()]
    assert sorted(outcomes) == ["killed", "ok", "ok", "ok"]
