"""Whether a recipe's tests ask for all that its statement says: made-up values, and what is decided of them."""

import pytest

from ml_intern.judge.decide import decide
from ml_intern.plan.plan import ClaimTest, Experiment
from ml_intern.recipes.book import ClaimPattern, Recipe, load_book
from tests.judge.synthetic import plan_of, runs

BOOK = {recipe.id: recipe for recipe in load_book()}
JITTER = (0.0, 0.001, -0.001, 0.002, -0.002)


def pattern_of(subject: str) -> tuple[Recipe, ClaimPattern]:
    recipe = BOOK[subject.split("/")[0]]
    return recipe, next(pattern for pattern in recipe.claims if pattern.id == subject.split("/")[1])


def outcome(subject: str, means: dict[str, float]) -> str:
    """What is decided of the claim where each variant's metric lies about its mean."""
    recipe, pattern = pattern_of(subject)
    tests = [ClaimTest.model_validate({**test, "claim": "C1"}) for test in pattern.tests]
    one = Experiment.model_validate({**recipe.at("small"), "tests": [test.model_dump() for test in tests]})
    spread = {
        name: [mean * (1 + jitter * (place + 1) / 10) for jitter in JITTER]
        for place, (name, mean) in enumerate(means.items())
    }
    (key,) = {test.metric.key for test in tests}
    (verdict,) = decide(plan_of(one), runs(spread, key=key, experiment=one.id))
    return verdict.outcome


@pytest.mark.parametrize(
    ("subject", "means"),
    [
        ("mixup/ece-has-a-minimum", {"none": 0.10, "mixup": 0.05, "mixup-uniform": 0.08}),
        ("mixup/overconfidence-falls-with-alpha", {"none": 0.10, "mixup": 0.06, "mixup-uniform": 0.03}),
        (
            "periodic-digits/lowest-training-loss",
            {"snake": 0.001, "relu": 0.03, "tanh": 0.05, "sin": 0.02, "x-plus-sin": 0.02},
        ),
        ("warm-starting/shrink-perturb", {"random": 0.95, "warm": 0.90, "shrink-perturb": 0.93}),
        (
            "warm-starting/weight-decay",
            {"random": 0.95, "warm": 0.90, "random-decay": 0.95, "warm-decay": 0.94},
        ),
        ("transformer-ablations/order-needs-positions", {"base": 0.9, "no-positions": 0.15}),
        ("periodic-extrapolation/standard-fail", {"relu": 4.0, "tanh": 3.0}),
        ("periodic-extrapolation/all-fit-inside", {"snake": 0.002, "relu": 0.004, "tanh": 0.001}),
        ("periodic-sum/snake-extrapolates-sum", {"snake": 0.03, "relu": 2.0, "tanh": 1.0}),
        ("periodic-sum/standard-fail-on-sum", {"relu": 2.0, "tanh": 1.0}),
    ],
)
def test_a_claim_all_parts_of_which_hold_is_reproduced(subject: str, means: dict[str, float]) -> None:
    assert outcome(subject, means) == "reproduced"


@pytest.mark.parametrize(
    ("subject", "means"),
    [
        ("mixup/ece-has-a-minimum", {"none": 0.10, "mixup": 0.05, "mixup-uniform": 0.04}),
        ("mixup/overconfidence-falls-with-alpha", {"none": 0.10, "mixup": 0.01, "mixup-uniform": 0.03}),
        ("mixup/overconfidence-falls-with-alpha", {"none": 0.05, "mixup": 0.10, "mixup-uniform": 0.03}),
        (
            "periodic-digits/lowest-training-loss",
            {"snake": 0.02, "relu": 0.03, "tanh": 0.05, "sin": 0.001, "x-plus-sin": 0.03},
        ),
        (
            "periodic-digits/lowest-training-loss",
            {"snake": 0.02, "relu": 0.03, "tanh": 0.05, "sin": 0.03, "x-plus-sin": 0.001},
        ),
        ("warm-starting/shrink-perturb", {"random": 0.90, "warm": 0.95, "shrink-perturb": 0.96}),
        (
            "warm-starting/weight-decay",
            {"random": 0.90, "warm": 0.95, "random-decay": 0.90, "warm-decay": 0.97},
        ),
        ("transformer-ablations/order-needs-positions", {"base": 0.99, "no-positions": 0.97}),
        ("transformer-ablations/order-needs-positions", {"base": 0.10, "no-positions": 0.15}),
        ("periodic-extrapolation/standard-fail", {"relu": 4.0, "tanh": 0.05}),
        ("periodic-extrapolation/all-fit-inside", {"snake": 0.002, "relu": 0.004, "tanh": 0.4}),
        ("periodic-sum/snake-extrapolates-sum", {"snake": 0.03, "relu": 2.0, "tanh": 0.01}),
    ],
)
def test_a_claim_of_which_one_part_does_not_hold_is_not_reproduced(subject: str, means: dict[str, float]) -> None:
    assert outcome(subject, means) in ("partly", "not reproduced")


def test_shrinking_that_closes_a_tenth_of_the_gap_is_not_said_to_remove_it() -> None:
    _, pattern = pattern_of("warm-starting/shrink-perturb")
    means = {"random": 0.95, "warm": 0.90, "shrink-perturb": 0.905}
    assert outcome("warm-starting/shrink-perturb", means) == "reproduced"
    assert "reduces" in pattern.statement and "remove" not in pattern.statement
