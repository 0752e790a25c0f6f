"""Which recipe serves as an example for an experiment that somebody else plans."""

import pytest

from ml_intern.recipes.book import Recipe, load_book
from ml_intern.recipes.nearest import nearest_recipe
from tests.judge.synthetic import claim, experiment, plan_of

BOOK = load_book()


@pytest.mark.parametrize(
    ("title", "statement", "task", "nearest"),
    [
        ("mixing pairs of images", "Training with mixup improves calibration (ECE).", "classification", "mixup"),
        ("regularising a net", "Dropout prevents overfitting on few digits.", "classification", "dropout"),
        ("continuing from old weights", "Warm-started networks generalise worse.", "classification", "warm-starting"),
        ("heads", "A Transformer with one attention head is worse.", "sequence", "transformer-ablations"),
        ("extrapolating", "Snake extrapolates a sine.", "regression", "periodic-extrapolation"),
    ],
)
def test_the_recipe_with_the_most_telling_words_is_nearest(title: str, statement: str, task: str, nearest: str) -> None:
    data = {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "task": task}
    one = experiment(title=title, data=data)
    plan = plan_of(one).model_copy(update={"claims": (claim("C1").model_copy(update={"statement": statement}),)})
    found = nearest_recipe(plan, one)
    assert isinstance(found, Recipe) and found.id == nearest


def test_there_is_no_example_where_no_recipe_has_the_task() -> None:
    one = experiment()
    assert nearest_recipe(plan_of(one), one, ()) is None


def test_an_experiment_that_shares_no_word_still_gets_an_example_of_the_form() -> None:
    data = {"name": "qqq", "revision": "r", "inputs": ["zzz"], "label": "y", "task": "classification"}
    one = experiment(title="xyzzy", data=data)
    found = nearest_recipe(plan_of(one), one)
    assert found is not None and found.experiment["data"].get("task", "classification") == "classification"
