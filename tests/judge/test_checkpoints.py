"""A training that was broken off with its supervisor goes on from the checkpoint that its script kept."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ml_intern.judge.evidence import Evidence
from ml_intern.judge.steps import CAME
from ml_intern.run import journal
from ml_intern.run.spec import RunResult, RunSpec
from tests.judge.workshop import HONEST, TRAIN, Workshop, changed
from tests.support.compute import every_kind, require, shared_compute

# Keeps weights, generator and step every 50 steps; the first life then waits to be killed.
_SMOKE = 'parser.add_argument("--smoke", action="store_true")\n'
_LOOP = 'with (args.out / "metrics.jsonl").open("w") as log:\n    for step in range(1, 201):\n'
_KEEPING = """import pickle, time
kept, first = args.out / "checkpoint" / "state", 1
if args.resume:
    first, weights, generator = pickle.loads(kept.read_bytes())
with (args.out / "metrics.jsonl").open("a") as log:
    for step in range(first, 201):
        if step == 101 and not args.resume and args.variant == "zebra":
            kept.parent.mkdir()
            kept.write_bytes(pickle.dumps((step, weights, generator)))
            time.sleep(WAIT)
"""
CAREFUL = "WAIT = 60\n" + changed(changed(TRAIN, _SMOKE, _SMOKE + _SMOKE.replace("smoke", "resume")), _LOOP, _KEEPING)

PATIENT = CAREFUL.replace("WAIT = 60", "WAIT = 0.01")


class Killed(BaseException):
    """The harness dies with the supervisor."""


class Dying:
    """A compute whose first training is killed, supervisor and all, once it has a checkpoint."""

    def __init__(self, kind: str) -> None:
        self._real = shared_compute(kind)
        self.asked: list[RunSpec] = []
        self.dies = True

    hardware = property(lambda self: self._real.hardware)
    tier = property(lambda self: self._real.tier)
    slots = 1

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        if stop.is_set():
            raise Killed  # the second job of a harness that is dead already
        self.asked.append(spec)
        if not (self.dies and spec.script.name == "train.py"):
            return self._real.execute(spec, stop)
        killer = threading.Thread(target=self._kill, args=(spec,))
        killer.start()
        self._real.execute(spec, stop)
        killer.join()
        stop.set()
        raise Killed

    def _kill(self, spec: RunSpec) -> None:
        kept = Path(spec.arguments[spec.arguments.index("--out") + 1]) / "checkpoint" / "state"
        deadline = time.monotonic() + 60
        while not kept.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        pid = journal.standing(spec.journal).pid
        assert pid and kept.exists(), "it never came to its checkpoint"
        os.kill(pid, signal.SIGKILL)


def broken_off(
    folder: Path, scripts: dict[str, str], kind: str = "none", **changes: Any
) -> tuple[list[Evidence], Dying]:
    """What is measured after a crash in the first training, and what was asked of the compute."""
    workshop = Workshop(folder, scripts, sandbox=kind, changes=changes)
    dying = Dying(kind)
    with pytest.raises(Killed):
        workshop.laboratory(dying).confirm(1)
    dying.dies = False
    return workshop.laboratory(dying).confirm(1), dying


@every_kind
def test_it_goes_on_from_its_checkpoint_and_measures_the_same(kind: str, tmp_path: Path) -> None:
    require(kind)
    found, dying = broken_off(tmp_path / "broken", {**HONEST, "train.py": CAREFUL}, kind)
    assert [spec.arguments[-1] == "--resume" for spec in dying.asked if spec.script.name == "train.py"] == [
        False, True, False,
    ]  # fmt: skip
    wanted = Workshop(tmp_path / "undisturbed", {**HONEST, "train.py": PATIENT}, sandbox=kind).laboratory().confirm(1)
    assert [one.tensors for one in found] == [one.tensors for one in wanted]
    assert [one.metrics for one in found] == [one.metrics for one in wanted]
    assert [[guard.name for guard in one.guards if not guard.fatal] for one in found] == [["resumed"], []]
    assert not any(guard.fatal for one in found for guard in one.guards)


def test_with_a_way_to_the_plans_hosts_it_goes_on_too_though_each_harness_has_its_own_proxy(tmp_path: Path) -> None:
    found, dying = broken_off(tmp_path, {**HONEST, "train.py": CAREFUL}, hosts=["example.org"])
    trained = [spec for spec in dying.asked if spec.script.name == "train.py"]
    assert [spec.arguments[-1] == "--resume" for spec in trained] == [False, True, False]
    assert trained[0].proxy and trained[1].proxy and trained[0].proxy != trained[1].proxy
    assert [one.outcome for one in found] == ["ok", "ok"]


def moved(folder: Path, kind: str, there: Workshop) -> tuple[list[Evidence], list[bool]]:
    """What is measured `there`, where the output of a broken-off training has come along, as an upload brings it; and
    which trainings went on from a checkpoint."""
    here, dying = Workshop(folder / "here", {**HONEST, "train.py": CAREFUL}, sandbox=kind), Dying(kind)
    with pytest.raises(Killed):
        here.laboratory(dying).confirm(1)
    (spec,) = [spec for spec in dying.asked if spec.script.name == "train.py"]
    run = there.places.runs / spec.run_id
    shutil.copytree(here.places.runs / spec.run_id / "out", run / "out", copy_function=shutil.copyfile)
    (run / CAME).write_text(json.dumps({"inputs": spec.inputs}))
    alive = Dying(kind)
    alive.dies = False
    found = there.laboratory(alive).confirm(1)
    return found, [spec.arguments[-1] == "--resume" for spec in alive.asked if spec.script.name == "train.py"]


@every_kind
def test_on_another_machine_it_goes_on_from_the_checkpoint_that_came_along(kind: str, tmp_path: Path) -> None:
    require(kind)
    there = Workshop(tmp_path / "there", {**HONEST, "train.py": CAREFUL}, sandbox=kind)
    found, resumed = moved(tmp_path, kind, there)
    assert resumed == [True, False]
    wanted = Workshop(tmp_path / "undisturbed", {**HONEST, "train.py": PATIENT}, sandbox=kind).laboratory().confirm(1)
    assert [one.tensors for one in found] == [one.tensors for one in wanted]
    (guard,) = [guard for one in found for guard in one.guards]
    assert guard.name == "resumed" and "on another machine" in guard.message and not guard.fatal


def test_a_checkpoint_that_other_scripts_made_is_not_gone_on_from(tmp_path: Path) -> None:
    there = Workshop(tmp_path / "there", {**HONEST, "train.py": PATIENT})
    found, resumed = moved(tmp_path, "none", there)
    assert resumed == [False, False]
    assert [guard.name for one in found for guard in one.guards] == []


def test_a_script_that_does_not_know_resume_is_started_afresh(tmp_path: Path) -> None:
    blunt = CAREFUL.replace("--resume", "--again").replace("args.resume", "args.again")
    workshop = Workshop(tmp_path, {**HONEST, "train.py": blunt})
    dying = Dying("none")
    with pytest.raises(Killed):
        workshop.laboratory(dying).confirm(1)
    (first,) = [spec for spec in dying.asked if spec.script.name == "train.py"]
    kept = Path(first.arguments[first.arguments.index("--out") + 1]) / "checkpoint"
    assert kept.exists()
    with pytest.raises(Killed):
        workshop.laboratory(dying).confirm(1)
    assert "--resume" not in dying.asked[-1].arguments


def test_a_checkpoint_is_shown_neither_to_predict_nor_to_anybody_else(tmp_path: Path) -> None:
    _, dying = broken_off(tmp_path, {**HONEST, "train.py": CAREFUL})
    models = [Path(spec.arguments[1]) for spec in dying.asked if spec.script.name == "predict.py"]
    (resumed,) = {model for model in models if (model.parents[1] / "out" / "checkpoint").exists()}  # the canary's, too
    assert not (resumed / "checkpoint").exists()
