"""Scores too good to be true: simple predictors, the paper's own number, and the honest runs that must stay silent."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes, load_digits

from ml_intern.judge.alarms import papers_numbers, too_good
from ml_intern.judge.baselines import Baselines
from ml_intern.judge.metrics import metric_names
from ml_intern.plan.plan import DataSpec, MetricSpec
from tests.judge.synthetic import claim, criterion, experiment, plan_of
from tests.judge.workshop import DATA, TRAIN, Workshop, changed

ACCURACY = MetricSpec(name="accuracy")
SIMPLE = {"nearest neighbour": 0.9, "linear probe": 0.8}


def data_of(task: str) -> DataSpec:
    return DataSpec(name="n", revision="r", inputs=("x",), label="y", task=task)  # type: ignore[arg-type]


def table_of(x: Any, y: Any) -> pa.Table:
    return pa.table({"x": np.asarray(x).tolist(), "y": np.asarray(y).tolist()})


def test_simple_predictors_reach_on_digits_what_they_are_known_to_reach() -> None:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x)).tolist()
    found = Baselines(table_of(x / 16, y), data_of("classification"))
    scores = found.scores("accuracy", order[:1100], order[1100:1550])
    assert 0.95 < scores["nearest neighbour"] < 1 and 0.9 < scores["linear probe"] < 0.98
    for metric in set(metric_names("classification")) - {"wall_seconds", "peak_memory_mb", "parameters"}:
        assert len(found.scores(metric, order[:1100], order[1100:1550])) == 2, metric


def test_the_linear_probe_is_ridge_regression_with_few_and_with_many_features() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mean_squared_error
    from sklearn.preprocessing import StandardScaler

    x, y = load_diabetes(return_X_y=True)
    wide = np.concatenate([x, np.random.default_rng(0).normal(size=(len(x), 400))], axis=1)
    for inputs in (x, wide):
        scores = Baselines(table_of(inputs, y), data_of("regression")).scores("mse", range(300), range(300, 442))
        scaler = StandardScaler().fit(inputs[:300])
        model = Ridge(alpha=1.0).fit(scaler.transform(inputs[:300]), y[:300])
        wanted = mean_squared_error(y[300:], model.predict(scaler.transform(inputs[300:])))
        assert scores["linear probe"] == pytest.approx(wanted, rel=1e-6)


def test_a_split_is_fitted_once_and_another_split_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = load_digits(return_X_y=True)
    found = Baselines(table_of(x[:300], y[:300]), data_of("classification"))
    fitted: list[int] = []
    predict = found._predict
    monkeypatch.setattr(found, "_predict", lambda *given: (fitted.append(1), predict(*given))[1])
    for metric in ("accuracy", "f1", "log_loss"):
        found.scores(metric, range(200), range(200, 300))
    found.scores("accuracy", range(100), range(200, 300))
    assert len(fitted) == 2


def test_texts_missing_numbers_and_large_tables_are_no_trouble() -> None:
    texts = pa.table({"x": ["1", "b", "c", "d"], "y": [0, 1, 0, 1]})
    assert Baselines(texts, data_of("classification")).scores("accuracy", [0, 1], [2, 3]) == {}
    assert Baselines(texts, data_of("sequence")).scores("bleu", [0, 1], [2, 3]) == {}
    x = np.random.default_rng(0).normal(size=(8000, 3))
    y = (x[:, 0] > 0).astype(int)
    x[::5, 1] = np.nan
    scores = Baselines(table_of(x, y), data_of("classification")).scores("accuracy", range(5000), range(5000, 8000))
    assert min(scores.values()) > 0.8
    assert round(scores["linear probe"] * 1000, 9).is_integer(), "a thousand sealed rows are enough"


@pytest.mark.parametrize(
    ("value", "simple", "paper", "alarm"),
    [
        (1.0, SIMPLE, None, True),
        (1.0, {"nearest neighbour": 0.96, "linear probe": 0.5}, None, False),  # an easy task
        (0.99, SIMPLE, None, False),  # far above, but the paper gives no number
        (0.99, SIMPLE, 0.95, True),
        (0.99, SIMPLE, 0.995, False),
        (0.97, SIMPLE, 0.95, False),  # better than the paper, but the task is not hard
        (1.0, {}, 0.5, False),
    ],
)
def test_when_a_score_is_too_good(value: float, simple: dict[str, float], paper: float | None, alarm: bool) -> None:
    found = too_good(ACCURACY, value, simple, paper)
    assert bool(found) == alarm
    assert all(not one.fatal and "nearest neighbour reaches 0.9" in one.message for one in found)


def test_too_good_where_less_is_better_and_where_there_is_no_best() -> None:
    error, time_taken = MetricSpec(name="mse"), MetricSpec(name="wall_seconds")
    simple = {"nearest neighbour": 3.0, "linear probe": 2.0}
    assert too_good(error, 0.4, simple, 0.6) and not too_good(error, 0.7, simple, 0.6)
    assert too_good(error, 0.6, simple, 0.7) == [], "not far enough"
    assert too_good(time_taken, 0.0, simple, 1.0) == []


def test_the_papers_number_is_the_tests_target_or_the_best_that_its_claim_states() -> None:
    def numbers(*texts: str, **changes: Any) -> dict[str, float]:
        one = experiment(criterion(**changes))
        stated = [{"text": text, "anchor": "sec:1/par:1"} for text in texts]
        claims = [claim("C1").model_copy(update={"numbers": tuple(type("N", (), n) for n in stated)})]
        plan = plan_of(one)
        return papers_numbers(plan.model_copy(update={"claims": tuple(claims)}), one)

    assert numbers("91.2 %", "93.5", "0.2") == {"accuracy@test": pytest.approx(0.935)}
    assert numbers("two", "128 000") == {}
    assert numbers("93.5", target=0.97) == {"accuracy@test": 0.97}
    assert numbers("0.02", metric={"name": "mse"}, higher_is_better=False) == {}
    assert numbers("0.02", metric={"name": "mse"}, higher_is_better=False, target=0.5) == {"mse@test": 0.5}
    assert numbers("28.4", metric={"name": "wall_seconds"}, higher_is_better=False) == {}


def test_baselines_stand_in_the_evidence_of_confirmation_runs_and_an_honest_run_is_no_alarm(tmp_path: Any) -> None:
    found = Workshop(tmp_path).confirmed(2)
    assert found.guards == set()
    for record in found.evidence:
        scores = record.baselines["accuracy@test"]
        assert set(scores) == {"nearest neighbour", "linear probe"} and min(scores.values()) > 0.7
        assert list(record.baselines) == ["accuracy@test"], "validation is not sealed"


def test_a_run_that_beats_the_papers_number_by_far_is_an_alarm_that_changes_no_verdict(tmp_path: Any) -> None:
    """A product of three signs, which neither a neighbour nor a line can tell; training knows how."""
    signs = "y = (x[:, 1:].sum(1) + 0.2 * x[:, 0] + generator.normal(0, 0.5, 400) > 0).astype(int)"
    data = changed(DATA, signs, "y = (x[:, 0] * x[:, 1] * x[:, 2] + generator.normal(0, 0.001, 400) > 0).astype(int)")
    train = changed(TRAIN, "x = x[:, :features]", "x = np.stack([20 * x[:, :3].prod(1)] * features, 1)")
    predict = """
import argparse, json
from pathlib import Path
import numpy as np
import pyarrow as pa
from safetensors.numpy import load_file

parser = argparse.ArgumentParser()
for name in ("model", "inputs", "out"):
    parser.add_argument(f"--{name}", type=Path)
args = parser.parse_args()
(weights,) = load_file(args.model / "model.safetensors").values()
with pa.OSFile(str(args.inputs / "data-00000-of-00001.arrow")) as source:
    x = np.array(pa.ipc.open_stream(source).read_all().column("x").to_pylist())
p = 1 / (1 + np.exp(-np.clip(20 * x[:, :3].prod(1) * weights.sum(), -30, 30)))
args.out.write_text("".join(json.dumps({"prediction": [1 - q, q]}) + "\\n" for q in p.tolist()))
"""
    test = criterion(contrast={"zebra": 1.0, "okapi": -1.0}, target=0.6).model_dump()
    found = Workshop(
        tmp_path, {"data.py": data, "train.py": train, "predict.py": predict}, {"tests": [test]}
    ).confirmed()
    alarms = [guard for record in found.evidence for guard in record.guards if guard.name == "too good"]
    assert len(alarms) == len(found.evidence) and not any(alarm.fatal for alarm in alarms)
    assert all("linear probe reaches 0." in alarm.message for alarm in alarms)
    assert "a guard was raised" not in found.verdict.reason
