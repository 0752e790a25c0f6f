"""Inputs that give the label away but for noise, near copies of rows, and honest tasks that look a little like them."""

import string
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris

from ml_intern.judge.alarms import too_good
from ml_intern.judge.splits import check_split, draw_split
from ml_intern.plan.plan import DataSpec, MetricSpec
from tests.judge.workshop import DATA, Workshop, changed

RNG = np.random.default_rng(0)
LEAK, DUPLICATES, SAID = (
    ("leak: label in inputs", True),
    ("leak: near duplicates", True),
    ("label from one input", False),
)


def found(x: Any, y: Any, task: str = "classification", split: Any = None) -> list[tuple[str, bool]]:
    x, y = (list(map(str, one)) if isinstance(one[0], str) else np.asarray(one).tolist() for one in (x, y))
    columns = {"x": x, "y": y} | ({"split": split} if split else {})
    spec = {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "task": task}
    data = DataSpec.model_validate(spec | {"split": "given" if split else "per-seed"})
    table = pa.table(columns)
    return sorted({(one.name, one.fatal) for one in check_split(table, data, draw_split(table, data, 3))})


def with_column(x: Any, column: Any) -> Any:
    return np.column_stack([x, column])


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-4])
def test_a_label_with_noise_among_the_inputs_is_refused(size: float) -> None:
    x, classes = RNG.normal(size=(400, 5)), RNG.integers(0, 3, 400)
    numbers = x.sum(1) + RNG.normal(size=400)
    noise = size * RNG.normal(size=400)
    assert found(x, classes) == found(x, numbers, "regression") == []
    assert found(with_column(x, classes + noise), classes) == [LEAK]
    assert found(with_column(x, [[3, 1, 2][k] for k in classes] + noise), classes) == [LEAK], "in another order"
    for leak in (numbers, 2 * numbers, 1 - numbers / 3):
        assert found(with_column(x, leak + noise), numbers, "regression") == [LEAK]
        assert found(with_column(x, leak + noise), numbers[:, None], "regression") == [LEAK], "labels of one number"


def test_tasks_that_one_input_solves_are_said_and_not_refused() -> None:
    line = RNG.uniform(-1, 1, size=(400, 1))
    assert found(line, 3 * line[:, 0] + 1, "regression") == found(line, np.tanh(line[:, 0]), "regression") == [SAID]
    x = RNG.normal(size=(400, 5))
    assert found(x, np.exp(x[:, 0]), "regression") == found(x, (x[:, 0] > 0).astype(int)) == [SAID]


def test_honest_data_are_silent() -> None:
    line = RNG.uniform(-9, 9, size=(400, 1))
    assert found(line, np.sin(line[:, 0]), "regression") == []
    assert found(line, line[:, 0] + np.sin(line[:, 0]) ** 2, "regression") in ([], [SAID])
    assert found(np.linspace(-3, 3, 300)[:, None], np.cos(np.linspace(-3, 3, 300)), "regression") == []
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    assert found(grid, grid.sum(1) + RNG.normal(size=400), "regression") == found(grid, RNG.integers(0, 2, 400)) == []
    assert found(*load_digits(return_X_y=True)) == found(*load_diabetes(return_X_y=True), "regression") == []
    x, y = load_iris(return_X_y=True)
    assert [one for one in found(x, y) if one[1]] == []
    curve = np.stack([f(line[:, 0]) for f in (np.sin, np.cos, np.square, np.abs)], 1)
    assert [one for one in found(curve, RNG.normal(size=400), "regression") if one[1]] == []


@pytest.mark.parametrize(("task", "columns"), [("regression", 6), ("regression", 2), ("classification", 3)])
def test_copies_with_noise_are_refused_whatever_the_task(task: str, columns: int) -> None:
    split = ["train"] * 300 + ["validation"] * 50 + ["test"] * 100
    x = RNG.normal(size=(450, columns))
    y = RNG.integers(0, 2, 450) if task == "classification" else RNG.normal(size=450)
    assert found(x, y, task, split) == []
    x[350:] = x[200:300] + RNG.normal(0, 1e-6, (100, columns))
    assert found(x, y, task, split) == [DUPLICATES]


def test_copies_in_the_last_rows_of_a_large_table_are_found() -> None:
    split = ["train"] * 9_000 + ["validation"] * 50 + ["test"] * 3_000
    x, y = RNG.normal(size=(12_050, 5)), RNG.integers(0, 2, 12_050)
    assert found(x, y, split=split) == []
    x[10_050:] = x[7_000:9_000] + 1e-6
    assert found(x, y, split=split) == [DUPLICATES]


WORDS = [" ".join("".join(RNG.choice(list(string.ascii_lowercase), 5)) for _ in range(6)) for _ in range(350)]


@pytest.mark.parametrize("change", ["{}.", "{}!", "“{}”", " {} ", "{},"])
def test_texts_with_other_punctuation_are_copies(change: str) -> None:
    split = ["train"] * 250 + ["validation"] * 50 + ["test"] * 50
    y = RNG.integers(0, 2, 350).tolist()
    assert found(WORDS, y, split=split) == []
    texts = [*WORDS[:300], *[change.format(text) for text in WORDS[:50]]]
    assert found(texts, [*y[:300], *y[:50]], split=split) == [DUPLICATES]


def test_signs_that_mean_something_make_other_texts() -> None:
    split = ["train"] * 250 + ["validation"] * 50 + ["test"] * 50
    sums = [f"{n} {'+' if n % 2 else '-'} {n // 2}" for n in range(300)]
    assert found([*sums, *[text.translate({43: "-", 45: "+"}) for text in sums[:50]]], [0, 1] * 175, split=split) == []
    asked = [*WORDS[:300], *[f"{text}?" for text in WORDS[:50]]]
    assert found(asked, [0] * 300 + [1] * 50, split=split) == [], "the sign is the label"


def test_answers_within_the_texts_are_said() -> None:
    answers = [text.split()[2] for text in WORDS]
    assert found(WORDS, answers, "sequence") == [("label within inputs", False)]
    assert found(WORDS, [text[::-1] for text in WORDS], "sequence") == []
    assert found(WORDS, [text[0] for text in WORDS], "sequence") == [], "a letter stands in many"


def test_a_simple_predictor_that_is_perfect_itself_is_an_alarm() -> None:
    accuracy = MetricSpec(name="accuracy")
    (alarm,) = too_good(accuracy, 1.0, {"nearest neighbour": 1.0, "linear probe": 0.5}, None)
    assert not alarm.fatal and "is the label in the data?" in alarm.message
    assert too_good(accuracy, 0.99, {"nearest neighbour": 1.0}, None) == []


def test_what_is_said_of_the_data_stands_in_the_evidence(tmp_path: Any) -> None:
    truth = "y = (x[:, 1:].sum(1) + 0.2 * x[:, 0] + generator.normal(0, 0.5, 400) > 0).astype(int)"
    data = changed(DATA, truth, "y = (x[:, 1] > 0).astype(int)")
    assert "label from one input" in Workshop(tmp_path, {"data.py": data}).confirmed(1).guards
