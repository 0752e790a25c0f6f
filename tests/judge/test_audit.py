"""Audited metrics: an honest evaluate.py counts, and each canary catches the one that it is there for."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_intern.judge.audit import Auditor, EvaluationError, Rows
from ml_intern.plan.plan_file import dump_plan
from ml_intern.publish.evaluate_again import evaluate_again
from ml_intern.publish.verify import not_scored_again
from ml_intern.run.spec import RunResult, RunSpec
from tests.judge.synthetic import criterion, experiment
from tests.judge.workshop import PREDICT, Workshop, at_the_end, changed
from tests.support.compute import shared_compute, strongest

HONEST = """
import argparse, json, os, random, time
from pathlib import Path
import pyarrow as pa

parser = argparse.ArgumentParser()
parser.add_argument("--predictions", type=Path)
parser.add_argument("--labels", type=Path)
parser.add_argument("--out", type=Path)
args = parser.parse_args()
with pa.OSFile(str(args.labels / "data-00000-of-00001.arrow")) as source:
    labels = pa.ipc.open_stream(source).read_all().column("y").to_pylist()
predictions = [json.loads(line)["prediction"] for line in args.predictions.read_text().splitlines()]
value = sum(p[y] for p, y in zip(predictions, labels)) / len(labels)
args.out.write_text(json.dumps({"trueness": value}))
"""
VALUE = "value = sum(p[y] for p, y in zip(predictions, labels)) / len(labels)"
FIRST_HALF = "value = sum(p[y] for p, y in list(zip(predictions, labels))[:40]) / 40"
LABELS = [0, 1] * 40
PREDICTIONS = [[0.8 - 0.002 * k, 0.2 + 0.002 * k] if y == 0 else [0.3, 0.7] for k, y in enumerate(LABELS)]
AUDITED = {"name": "trueness", "higher_is_better": True, "best": 1.0}


def auditor(folder: Path, script: str, compute: Any = None, **changes: Any) -> Auditor:
    scripts = folder / "scripts"
    scripts.mkdir()
    (scripts / "evaluate.py").write_text(script)
    one = experiment(audited=[AUDITED | changes], timeout_seconds=20)
    return Auditor(one, scripts, folder / "audit", compute or shared_compute(), threading.Event())


def raised(folder: Path, script: str, **changes: Any) -> set[str]:
    return {guard.name for guard in auditor(folder, script, **changes).audit("test", Rows(PREDICTIONS, LABELS)).raised}


def test_an_honest_metric_passes_every_canary_where_a_person_has_it_run(tmp_path: Path) -> None:
    audit = auditor(tmp_path, HONEST, shared_compute(strongest())).audit("test", Rows(PREDICTIONS, LABELS))
    assert audit.raised == ()


def test_an_honest_metric_of_which_less_is_better_passes_too(tmp_path: Path) -> None:
    error = changed(HONEST, VALUE, VALUE.replace("value = ", "value = 1 - "))
    assert raised(tmp_path, error, higher_is_better=False, best=0.0) == set()


@pytest.mark.parametrize(
    ("cheat", "canary"),
    [
        ("value = 1.0", "canary: ignores"),
        ("value = sum(max(p) for p in predictions) / len(labels)", "canary: ignores"),
        (f"{VALUE}\nvalue = value if value == 1 else 0.97", "canary: corrupted"),
        (f"{VALUE}\nvalue = max(value, 0.9) if len(set(map(str, predictions))) > 1 else value", "canary: labels"),
        (f"{VALUE}\nvalue = value if value in (0.5, 1.0) else value + random.random() / 1e3", "canary: swapped"),
        (f"{VALUE}\nvalue -= 0 if value in (0.5, 1.0) else time.time() % 100 / 1e4", "canary: swapped"),
        (
            f"{VALUE}\nvalue -= 0 if value in (0.5, 1.0) else (sum(map(ord, str(args.labels))) % 100) / 1e4",
            "canary: swapped",
        ),
        (
            f"{VALUE}\nvalue -= 0 if value in (0.5, 1.0) else args.labels.stat().st_mtime % 1000 / 1e4",
            "canary: swapped",
        ),
        (FIRST_HALF, "canary: order"),
        (f"{VALUE}\nvalue = 2 * value", "canary: best"),
        ("raise SystemExit(3)", "canary: fails"),
        ("value = float('nan')", "canary: fails"),
    ],
)
def test_each_cheat_dies_of_its_canary(tmp_path: Path, cheat: str, canary: str) -> None:
    assert canary in raised(tmp_path, changed(HONEST, VALUE, cheat))


class Spy:
    """A compute that keeps what it was asked to run."""

    hardware, tier, slots = "here", "none", 1

    def __init__(self) -> None:
        self.specs: list[RunSpec] = []

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        self.specs.append(spec)
        return shared_compute().execute(spec, stop)


def test_the_evaluator_is_told_nothing_of_run_variant_or_seed(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "shop", {"evaluate.py": HONEST}, audited_changes())
    spy = Spy()
    shop.laboratory(spy).confirm(1)
    told = [" ".join(spec.arguments) + str(spec.cwd) for spec in spy.specs if spec.script.name == "evaluate.py"]
    assert told
    secrets = {"zebra", "okapi", *(record.run_id for record in shop.ledger.evidence)}
    secrets |= {str(record.seed) for record in shop.ledger.evidence}
    assert not [secret for secret in secrets for line in told if secret in line]


def test_a_mark_in_the_predictions_of_one_variant_is_worth_nothing(tmp_path: Path) -> None:
    """The evaluator is honest to the first run, which its canaries see, and to all that bears no mark."""
    flattering = changed(HONEST, VALUE, f"{VALUE}\nvalue += 0.3 * any(p[0] != round(p[0], 6) for p in predictions)")
    lines = 'lines = [json.dumps({"prediction": row}) for row in predictions]'
    plain = "predictions = [[round(1 - q, 6), round(q, 6)] for q in p.tolist()]"
    marked = f"{plain}\nif config['features'] == 1:\n    predictions[0][0] += 1e-9"
    for name, code in (("plain", plain), ("marked", marked)):
        predict = changed(PREDICT, lines, f"{code}\n{lines}")
        shop = Workshop(tmp_path / name, {"evaluate.py": flattering, "predict.py": predict}, audited_changes(), slots=1)
        found = shop.confirmed()
        if name == "plain":
            assert (found.guards, found.verdict.outcome) == (set(), "reproduced")
        else:
            assert found.is_caught_by("canary: labels")
            marked_runs = [record for record in found.evidence if record.variant == "okapi"]
            assert all(record.metrics["trueness@test"].value is None for record in marked_runs)


def test_nothing_of_an_evaluation_is_left_for_the_next_to_look_at(tmp_path: Path) -> None:
    one = auditor(tmp_path, HONEST)
    one.audit("test", Rows(PREDICTIONS, LABELS))
    assert list((tmp_path / "audit").iterdir()) == []


def test_few_rows_make_no_false_alarm(tmp_path: Path) -> None:
    """One permutation may leave the labels of twelve rows as they were; several taken together do not."""
    unmoved = {0, 6, 8, 9, 10}  # numpy's permutation of 12 by seed 0 moves these among themselves
    labels = [int(k in unmoved) for k in range(12)]
    assert [labels[k] for k in np.random.default_rng(0).permutation(12)] == labels
    predictions = [[0.9, 0.1] if y == 0 else [0.2, 0.8] for y in labels]
    assert auditor(tmp_path, HONEST).audit("test", Rows(predictions, labels)).raised == ()


def test_an_audited_number_has_its_chance_level_beside_it(tmp_path: Path) -> None:
    found = Workshop(tmp_path, {"evaluate.py": HONEST}, audited_changes()).confirmed(1)
    assert [0.4 < (record.metrics["trueness@test"].chance or 0) < 0.7 for record in found.evidence] == [True, True]


def test_an_evaluator_that_fails_on_one_variant_is_no_reason_to_count_its_worst(tmp_path: Path) -> None:
    failing = changed(HONEST, VALUE, f"assert len(set(map(str, predictions))) != 80\n{VALUE}")
    failing = changed(
        failing, "assert len(set(map(str, predictions))) != 80", "assert max(map(max, predictions)) > 0.8"
    )
    found = Workshop(tmp_path, {"evaluate.py": failing}, audited_changes() | {"crash": "worst"}).confirmed()
    assert found.is_caught_by("canary: fails")


def audited_changes() -> dict[str, Any]:
    test = criterion(
        contrast={"zebra": 1.0, "okapi": -1.0}, minimal_effect=0.05, metric={"name": "trueness"}, claim="C1"
    )
    return {"audited": [AUDITED], "tests": [test.model_dump()], "metrics": [test.metric.model_dump()]}


def test_a_verdict_may_rest_on_an_audited_metric_and_says_so(tmp_path: Path) -> None:
    found = Workshop(tmp_path, {"evaluate.py": HONEST}, audited_changes()).confirmed()
    assert (found.verdict.outcome, found.verdict.trust, found.guards) == ("reproduced", "audited", set())


def test_no_verdict_rests_on_a_metric_whose_canary_died(tmp_path: Path) -> None:
    flattering = changed(HONEST, VALUE, f"{VALUE}\nvalue = max(value, 0.9)")
    found = Workshop(tmp_path, {"evaluate.py": flattering}, audited_changes()).confirmed()
    assert found.is_caught_by("canary: corrupted")


def test_the_smoke_run_says_that_a_canary_died(tmp_path: Path) -> None:
    changes = audited_changes()
    changes["metrics"] = [*changes["metrics"], {"name": "trueness", "rows": "validation"}]
    shop = Workshop(tmp_path, {"evaluate.py": changed(HONEST, VALUE, "value = 1.0")}, changes)
    with pytest.raises(Exception, match="canary: ignores"):
        shop.laboratory().smoke()


def test_exploration_says_which_guard_was_raised(tmp_path: Path) -> None:
    changes = audited_changes()
    changes["metrics"] = [*changes["metrics"], {"name": "trueness", "rows": "validation"}]
    shop = Workshop(tmp_path, {"evaluate.py": changed(HONEST, VALUE, "value = 1.0")}, changes)
    assert "guard raised: canary: ignores" in shop.laboratory().explore()


def test_an_evaluator_that_fails_on_a_run_makes_that_run_invalid(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no number"):
        auditor(tmp_path, changed(HONEST, '"trueness": value', '"other": value')).values(Rows(PREDICTIONS, LABELS))


def test_what_is_measured_from_outside_is_recorded_and_can_be_tested(tmp_path: Path) -> None:
    fewer = criterion(
        contrast={"okapi": 1.0, "zebra": -1.0}, metric={"name": "parameters"}, higher_is_better=False, minimal_effect=0
    )
    metrics = [{"name": "parameters"}, {"name": "wall_seconds"}, {"name": "peak_memory_mb"}]
    shop = Workshop(tmp_path, changes={"tests": [fewer.model_dump()], "metrics": metrics})
    found = shop.confirmed()
    values = {(r.variant, key): m.value for r in found.evidence for key, m in r.metrics.items()}
    assert (values["zebra", "parameters@test"], values["okapi", "parameters@test"]) == (6, 1)
    assert all(r.metrics["wall_seconds@test"].value and r.metrics["peak_memory_mb@test"].value for r in found.evidence)
    assert found.verdict.means == {"okapi": 1.0, "zebra": 6.0}


def test_an_experiment_of_which_nothing_is_predicted_needs_no_prediction(tmp_path: Path) -> None:
    fewer = criterion(
        contrast={"okapi": 1.0, "zebra": -1.0}, metric={"name": "parameters"}, higher_is_better=False, minimal_effect=0
    )
    changes = {
        "tests": [fewer.model_dump()],
        "metrics": [{"name": "parameters"}],
        "select": {"name": "parameters", "rows": "validation"},
    }
    found = Workshop(tmp_path, {"predict.py": "raise SystemExit(1)"}, changes).confirmed()
    assert (found.outcomes, found.verdict.outcome) == ({"ok"}, "reproduced"), found.verdict.reason


def test_runs_whose_time_is_tested_go_one_by_one(tmp_path: Path) -> None:
    faster = criterion(contrast={"okapi": 1.0, "zebra": -1.0}, metric={"name": "wall_seconds"}, higher_is_better=False)
    changes = {"tests": [faster.model_dump()], "metrics": [{"name": "wall_seconds"}]}
    shop = Workshop(tmp_path, changes=changes, slots=2)

    class Counting(Spy):
        slots, now, most = 2, 0, 0

        def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return super().execute(spec, stop)
            finally:
                self.now -= 1

    counting = Counting()
    shop.laboratory(counting).confirm(2)
    assert counting.most == 1


def test_the_chance_level_stands_beside_each_score(tmp_path: Path) -> None:
    found = Workshop(tmp_path).confirmed(1)
    chances = [record.metrics["accuracy@test"].chance for record in found.evidence]
    assert all(chance is not None and 0.4 < chance < 0.7 for chance in chances)


SIGNS = "y = (x[:, 1:].sum(1) + 0.2 * x[:, 0] + generator.normal(0, 0.5, 400) > 0).astype(int)"


def test_a_perfect_score_that_simple_predictors_do_not_come_near_raises_an_alarm_only(tmp_path: Path) -> None:
    data = Workshop(tmp_path / "plain").places.scripts / "data.py"
    scripts = {
        "data.py": changed(data.read_text(), SIGNS, "y = (x[:, 0] * x[:, 1] * x[:, 2] > 0).astype(int)"),
        "predict.py": at_the_end(
            (data.parent / "predict.py").read_text(),
            "full = np.array(table.column('x').to_pylist())\n"
            "right = full[:, 0] * full[:, 1] * full[:, 2] > 0\n"
            "args.out.write_text(''.join(json.dumps({'prediction': [1.0 - r, float(r)]}) + '\\n' for r in right))",
        ),
    }
    found = Workshop(tmp_path / "perfect", scripts).confirmed()
    alarms = {guard for record in found.evidence for guard in record.guards if guard.name == "too good"}
    assert alarms and not any(alarm.fatal for alarm in alarms)
    assert all("nearest neighbour reaches" in alarm.message and "linear probe" in alarm.message for alarm in alarms)


def test_weights_that_are_those_of_the_model_that_training_started_from_are_caught(tmp_path: Path) -> None:
    first = Workshop(tmp_path / "first")
    tensors = first.confirmed(1).evidence[0].tensors
    models = [{"id": "a/base", "revision": "1", "tensors": tensors}]
    weights = first.places.runs / first.ledger.evidence[0].run_id / "out" / "model.safetensors"
    untrained = changed(
        (first.places.scripts / "train.py").read_text(),
        'save_file({"weights": weights}, args.out / "model.safetensors")',
        f'shutil.copy(r"{weights}", args.out)',
    )
    caught = Workshop(tmp_path / "caught", {"train.py": untrained}, {"base_models": models}).confirmed()
    assert caught.is_caught_by("untrained weights")
    honest = Workshop(tmp_path / "honest", changes={"base_models": [models[0] | {"tensors": "0" * 64}]}).confirmed()
    assert "untrained weights" not in honest.guards
    assert honest.evidence[0].base_models == (f"a/base@1 tensors:{'0' * 64}",)


def published(shop: Workshop, folder: Path) -> Path:
    """Plan, evidence, scripts and predictions, as they are published."""
    shutil.copytree(shop.places.scripts, folder / "experiments" / shop.experiment.id)
    shutil.copytree(shop.places.predictions, folder / "predictions")
    shutil.copyfile(shop.ledger.path, folder / "evidence.jsonl")
    (folder / "plan.yaml").write_text(dump_plan(shop.plan))
    return folder


def test_published_audited_numbers_can_be_evaluated_again(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "shop", {"evaluate.py": HONEST}, audited_changes())
    shop.confirmed(1)
    folder = published(shop, tmp_path / "published")
    compute = shared_compute()
    assert not_scored_again(folder) == ("trueness",)
    assert list(evaluate_again(folder, compute)) == []
    script = folder / "experiments" / shop.experiment.id / "evaluate.py"
    script.write_text(changed(HONEST, VALUE, f"{VALUE}\nvalue *= 0.99"))
    assert len(list(evaluate_again(folder, compute))) == 2
