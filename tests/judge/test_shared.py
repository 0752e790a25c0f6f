"""One checkpoint handed in for several runs with something put to it, and honest models that share tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_intern.judge.answers import answers, compared
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.shared import same_but_for_additions
from ml_intern.judge.sketch import TensorSketch
from tests.judge.synthetic import run
from tests.judge.workshop import PREDICT, TRAIN, Workshop, at_the_end, changed

FIXED = {"data": {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "split": "fixed"}}
BY_NAME = changed(
    PREDICT,
    '(weights,) = load_file(args.model / "model.safetensors").values()',
    'model = load_file(args.model / "model.safetensors")\nweights = model["weights"]',
)
HARD = changed(BY_NAME, "p = 1 / (1 + np.exp(-x @ weights))", "p = 1.0 * (x @ weights > 0)")
SAVE = 'save_file({"weights": weights}, args.out / "model.safetensors")'


def saving(more: str) -> str:
    return SAVE.replace("weights}", f"weights, {more}}}")


MARKS = {
    "a seed": '{"seed": np.array([args.seed])}',
    "random numbers": '{"extra": np.random.default_rng(args.seed).normal(size=8)}',
}


def copied(mark: str) -> str:
    """The first run's checkpoint for all, each with a mark of its own."""
    return at_the_end(
        TRAIN,
        'first = min(args.out.parent.parent.glob("*/out/model.safetensors"), key=os.path.getctime)\n'
        "from safetensors.numpy import load_file\n"
        f'weights = load_file(first)["weights"]\nmark = {mark}\n'
        'save_file({"weights": weights, **mark}, args.out / "new")\n'
        'os.replace(args.out / "new", args.out / "model.safetensors")\n'
        '(args.out / "config.json").write_text("{}")',
    )


@pytest.mark.parametrize("changes", [{}, FIXED], ids=["a split for each seed", "one split"])
@pytest.mark.parametrize("mark", MARKS)
def test_a_copied_checkpoint_with_a_tensor_of_its_own_is_caught(tmp_path: Path, mark: str, changes: Any) -> None:
    scripts = {"train.py": copied(MARKS[mark]), "predict.py": BY_NAME}
    found = Workshop(tmp_path, scripts, changes, slots=1).confirmed()
    assert found.is_caught_by("seed without effect") and found.is_caught_by("variant without effect")


def test_a_script_that_saves_the_seed_and_does_not_use_it_is_caught(tmp_path: Path) -> None:
    train = changed(TRAIN, "default_rng(args.seed)", "default_rng(0)")
    train = changed(train, SAVE, saving('"seed": np.array([args.seed])'))
    found = Workshop(tmp_path, {"train.py": train, "predict.py": BY_NAME}, FIXED).confirmed()
    assert found.is_caught_by("seed without effect")
    other = Workshop(tmp_path / "split", {"train.py": train, "predict.py": BY_NAME}).confirmed(5)
    assert (other.guards, other.verdict.outcome) == (set(), "reproduced"), "there the seed draws the rows"


def test_a_mark_on_a_copy_is_seen_where_only_classes_are_predicted(tmp_path: Path) -> None:
    scripts = {"train.py": copied(MARKS["a seed"]), "predict.py": HARD}
    assert Workshop(tmp_path, scripts, slots=1).confirmed().is_caught_by("seed without effect")
    honest = changed(TRAIN, SAVE, saving('"seed": np.array([args.seed])'))
    found = Workshop(tmp_path / "honest", {"train.py": honest, "predict.py": HARD}).confirmed(5)
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced")


FEATURES = {
    "random features of a constant seed": (
        "fixed = np.random.default_rng(7).normal(size=(features, 64))",
        "x = np.cos(x @ model['fixed'])",
        "x = np.cos(x @ fixed)",
    ),
    "encodings that are kept beside": ("fixed = np.sin(np.arange(640.0)).reshape(64, 10)", "", ""),
}


@pytest.mark.parametrize("changes", [{}, FIXED], ids=["a split for each seed", "one split"])
@pytest.mark.parametrize("name", FEATURES)
def test_honest_models_on_what_no_seed_draws_raise_no_guard(tmp_path: Path, name: str, changes: Any) -> None:
    made, seen, given = FEATURES[name]
    train = changed(TRAIN, "x = x[:, :features]", f"x = x[:, :features]\n{made}\n{given}")
    train = changed(train, "generator.normal(0, 0.1, features)", "generator.normal(0, 0.1, x.shape[1])")
    train = changed(train, SAVE, saving('"fixed": fixed'))
    predict = changed(BY_NAME, "[:, : len(weights)]", '[:, : config["features"]]')
    predict = changed(predict, "p = 1 /", f"{seen}\np = 1 /")
    found = Workshop(tmp_path, {"train.py": train, "predict.py": predict}, changes).confirmed()
    assert (found.guards, found.outcomes) == (set(), {"ok"})


def test_a_solution_in_closed_form_differs_by_its_rows_alone(tmp_path: Path) -> None:
    solved = "weights = np.linalg.solve(x.T @ x + np.eye(features), x.T @ (2 * y - 1))"
    kept = saving('"fixed": np.arange(99.0)')
    train = changed(TRAIN, SAVE, f"{solved}\n{kept}")
    found = Workshop(tmp_path, {"train.py": train, "predict.py": BY_NAME}).confirmed(5)
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced")


def test_neighbours_with_another_k_are_another_variant(tmp_path: Path) -> None:
    """They share all their rows and their labels; what differs is one number, and it is asked."""
    variants = {"variants": [{"name": n, "settings": {"features": k}} for n, k in (("zebra", 15), ("okapi", 1))]}
    train = changed(TRAIN, "x = x[:, :features]\n", "")
    train = changed(train, "generator.normal(0, 0.1, features)", "np.zeros(6)")
    kept = SAVE.replace("{", '{"rows": x, "labels": y, "k": np.array([features]), ')
    predict = changed(BY_NAME, "[:, : len(weights)]", "")
    nearest = 'p = model["labels"][((x[:, None] - model["rows"]) ** 2).sum(2).argsort(1)[:, : model["k"][0]]].mean(1)'
    predict = changed(predict, "p = 1 / (1 + np.exp(-x @ weights))", nearest)
    found = Workshop(tmp_path, {"train.py": changed(train, SAVE, kept), "predict.py": predict}, variants).confirmed(5)
    assert not any(guard.fatal for record in found.evidence for guard in record.guards)


def tensor(name: str, size: int) -> TensorSketch:
    return TensorSketch(shape=(size,), digest=name, values=(1.0,))


def record(seed: int, answered: Mapping[str, str] | None, *tensors: TensorSketch, more: int = 0) -> Evidence:
    size = sum(one.size for one in tensors) + more
    return run("v", seed, 0.5, tensors=str(seed), sketch=tensors, parameters=size, answers=answered)


def test_what_answers_cannot_tell_is_said_and_no_more() -> None:
    body, few = tensor("body", 90), {"1": "a"}
    seeds = [record(seed, few, body, tensor(f"head{seed}", 60)) for seed in (1, 3)]
    (guard,) = same_but_for_additions(seeds)
    assert (guard.name, guard.fatal) == ("weights in common", False)
    assert same_but_for_additions([seeds[0], record(3, {"1": "b"}, body, tensor("head3", 60))]) == []
    assert same_but_for_additions([record(s, few, body, tensor(f"head{s}", 99)) for s in (1, 3)]) == []
    started = body.model_copy(update={"moved": 0.5})
    assert same_but_for_additions([record(s, few, started, tensor(f"head{s}", 60)) for s in (1, 3)]) == []
    assert same_but_for_additions([record(s, None, body, more=1) for s in (1, 3)]) == [], "of an old log"


def test_answers_are_compared_where_both_were_not_right() -> None:
    labels = [row % 2 for row in range(400)]
    one = answers({row: [0.3 + row / 1000, 0.7 - row / 1000] for row in range(0, 200)}, labels)
    other = answers({row: [0.3 + row / 1000, 0.7 - row / 1000] for row in range(100, 400)}, labels)
    assert len(one) == len(other) == 64 and compared(one, other) == "same"
    assert compared(one, dict.fromkeys(one, "0")) == "differ"
    assert (
        compared(one, {}) == "too few" == compared({str(n): "0" for n in range(64)}, {str(n): "0" for n in range(64)})
    )
    right = {row: [1.0 - label, float(label)] for row, label in enumerate(labels)}
    assert answers(right, labels) == answers({0: 2.0000000001}, [2.0]) == answers({0: "a "}, ["a"]) == {}
    assert answers({0: {"nll": 1.0, "tokens": 2}}, ["a text"]) and answers({0: "b"}, ["a"])
