"""A draft of a plan cannot change what a task asks: its numbers, its side, its rows."""

from typing import Any

import pytest

from ml_intern.agent.task import check_task, without_threshold
from ml_intern.errors import PlanError
from ml_intern.plan.claim import StatedNumber
from ml_intern.plan.numbers import quantities
from ml_intern.plan.plan import Plan
from ml_intern.read.task import read_task
from tests.judge.synthetic import claim, criterion, experiment, task_of


def plan_with(quote: str, **changes: Any) -> Plan:
    test = criterion(**{"kind": "threshold", **changes})
    own = claim("C1", "threshold").model_copy(update={"quote": quote, "metric": test.metric.name})
    return task_of(experiment(test), claims=[own])


@pytest.mark.parametrize(
    ("quote", "target", "metric", "higher"),
    [
        ("at least 90 % on the held-out part", 0.9, "accuracy", True),
        ("at least 90% accuracy", 0.9, "accuracy", True),
        ("an accuracy of 0.9.", 0.9, "accuracy", True),
        ("ninety percent, that is 90 percent", 0.9, "accuracy", True),
        ("an error of at most 5 %", 0.95, "accuracy", True),
        ("an error rate below .05", 0.95, "accuracy", True),
        ("a BLEU of 28.4", 28.4, "bleu", True),
        ("a mean squared error below 1e-3", 0.001, "mse", False),
        ("fewer than 10k parameters", 10_000, "parameters", False),
        ("fewer than 10,000 parameters", 10_000, "parameters", False),
    ],
)
def test_a_target_may_be_what_the_person_wrote(quote: str, target: float, metric: str, higher: bool) -> None:
    check_task(plan_with(quote, target=target, metric={"name": metric}, higher_is_better=higher))


@pytest.mark.parametrize(
    ("quote", "changes", "said"),
    [
        ("at least 90 % accuracy", {"target": 0.5}, "none of the numbers in the quote: 90 %"),
        ("at least 90 % accuracy", {"target": 0.1}, "none of the numbers"),
        ("at least 90 % accuracy", {"target": 90}, "beyond the best value"),
        ("as good as it gets", {"target": 0.5}, "there is none"),
        ("at least 90 % accuracy", {"target": 0.9, "higher_is_better": False}, "higher is better"),
        ("an mse of 0.1", {"target": 0.1, "metric": {"name": "mse"}}, "lower is better"),
        ("10k parameters", {"target": 10_000, "metric": {"name": "parameters"}}, "lower is better"),
        ("90 % accuracy", {"target": 0.9, "metric": {"name": "accuracy", "rows": "train"}}, "rows that training sees"),
        ("at least 90 % accuracy", {"kind": "direction"}, "tested by kind threshold, not direction"),
    ],
)
def test_another_number_side_row_or_kind_is_refused(quote: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        check_task(plan_with(quote, **changes))


@pytest.mark.parametrize(
    ("quote", "rows", "asked"),
    [
        ("90 % accuracy on the held-out part", "test", True),
        ("90 % accuracy on images taken at night", "test:night", True),
        ("90 % accuracy on Night images", "test:night-image", True),
        ("90 % accuracy on images taken at night", "test:day", False),
        ("90 % accuracy on images taken at night", "test:night-easy", False),
        ("90 % accuracy on the held-out part", "test:easy", False),
        ("90 % accuracy on the held-out part", "test:held-out_part", False),
        ("90 % accuracy on the held-out part", "test:90", False),
        ("90 % accuracy on the held-out part", "test:-", False),
        ("90 % accuracy on the held-out part", "test:on", False),
        ("90 % accuracy on the held-out part", "test:accuracy", False),
        ("90 % accuracy on the test set", "test:sets", False),
        ("90 % accuracy on the test splits", "test:splits", False),
        ("90 % accuracy on the held-out part", "test:s", False),
        ("90 % accuracy on digit 1", "test:digit_1", True),
        ("90 % accuracy on the Digits 1", "test:digit1", True),
        ("90 % accuracy on class 3 of the test set", "test:class_3", True),
        ("90 % accuracy on images at night", "test:images_at_night", True),
        ("90 % accuracy on the digits", "test:digit_1", False),
        ("90 % accuracy on digit 10", "test:digit_1", False),
        ("90 % accuracy on all digits, 1 hour of training", "test:digit_1", False),
        ("90 % accuracy on each digit after 1 epoch", "test:digit_1", False),
        ("90 % accuracy on images of the zoo at night", "test:night-image", False),
    ],
)
def test_a_number_is_reached_on_all_sealed_rows_or_on_those_that_the_quote_names(
    quote: str, rows: str, asked: bool
) -> None:
    plan = plan_with(quote, target=0.9, metric={"name": "accuracy", "rows": rows})
    if asked:
        check_task(plan)
    else:
        with pytest.raises(PlanError, match=f"measured on {rows} alone, of which the quote does not speak"):
            check_task(plan)


MANY = [
    ("train it on 90 % of the rows, with at least 95 % accuracy", "accuracy", True, 0.9, 0.95),
    ("with at least 95 % accuracy, trained on 90 % of the rows", "accuracy", True, 0.9, 0.95),
    ("Use 90 % of rows; the accuracy must then be 95 %", "accuracy", True, 0.9, 0.95),
    ("classify 95 % of the images correctly, training on 10 % of the rows", "accuracy", True, 0.1, 0.95),
    ("an error of at most 5 %", "accuracy", True, 0.05, 0.95),
    ("an accuracy of 90 % and an error of log loss 0.2", "accuracy", True, 0.2, 0.9),
    ("a log loss below 0.3 after 0.5 hours", "log_loss", False, 0.5, 0.3),
    ("in 10 epochs a mean squared error below 0.1", "mse", False, 10.0, 0.1),
    ("an F1 of 0.8 and 0.7 AUC", "f1", True, 0.7, 0.8),
    ("fewer than 10k weights in 20k steps", "parameters", False, 20_000, 10_000),
    ("with 0.5 of the data, reach 0.9", "accuracy", True, 0.5, 0.9),
]


@pytest.mark.parametrize(("quote", "metric", "higher", "lower", "asked"), MANY)
def test_of_several_numbers_a_plan_cannot_take_an_easier_one(
    quote: str, metric: str, higher: bool, lower: float, asked: float
) -> None:
    side = {"metric": {"name": metric}, "higher_is_better": higher}
    check_task(plan_with(quote, target=asked, **side))
    with pytest.raises(PlanError, match="not the number that the quote asks of"):
        check_task(plan_with(quote, target=lower, **side))


def test_where_the_words_do_not_tell_each_number_may_be_meant_and_the_claims_own_decides() -> None:
    quote = "at least 85 % accuracy on zebras and 90 % accuracy on okapis"
    for target in (0.85, 0.9):
        check_task(plan_with(quote, target=target))
    plan = plan_with(quote, target=0.85)
    named = plan.claims[0].model_copy(update={"numbers": (StatedNumber(text="90", anchor="sec:1/par:1"),)})
    with pytest.raises(PlanError, match="not the number"):
        check_task(plan.model_copy(update={"claims": (named,)}))


def test_a_number_to_reach_is_not_only_measured() -> None:
    with pytest.raises(PlanError, match="states a number to reach, and the plan only measures"):
        check_task(plan_with("at least 90 % accuracy", kind="measurement"))
    both = [criterion("threshold", target=0.9), criterion("measurement")]
    own = claim("C1", "threshold").model_copy(update={"quote": "at least 90 % accuracy"})
    check_task(task_of(experiment(*both), claims=[own]))


def test_a_test_on_another_metric_than_the_claims_is_refused() -> None:
    plan = plan_with("at least 90 % accuracy", target=0.9)
    other = task_of(experiment(criterion("threshold", target=0.9, metric={"name": "auc"})), claims=plan.claims)
    with pytest.raises(PlanError, match="is about accuracy, not about auc"):
        check_task(other)


def test_numbers_that_nobody_took_up_are_named() -> None:
    paper = read_task("Use 3 layers and reach 90 % accuracy in 10 minutes.")
    own = claim("C1", "threshold").model_copy(update={"quote": "reach 90 % accuracy"})
    assert without_threshold(paper, (own,)) == ("3", "10")
    assert "90 %" in without_threshold(paper, ())


def test_a_number_is_read_as_it_may_be_meant() -> None:
    text = "8x8 images, 1 000 rows, v2.1, 97.5 %, .5, 3M weights, 2e-4."
    assert quantities(text) == {
        "8": (8.0,), "1 000": (1000.0,), "97.5 %": (97.5, 0.975), ".5": (0.5,), "3M": (3e6,), "2e-4": (2e-4,),
    }  # fmt: skip


def test_a_tasks_paragraphs_have_anchors_and_its_title_is_its_beginning() -> None:
    paper = read_task("  Train\ta net.\nOn digits.\n\n\x1b[31mAt least 90 %.\n")
    assert [(p.anchor, p.text) for p in paper.sections[0].paragraphs] == [
        ("sec:1/par:1", "Train a net. On digits."), ("sec:1/par:2", "[31mAt least 90 %."),
    ]  # fmt: skip
    assert paper.title == "Train a net"
    assert len(read_task("many words " * 50).title) <= 82
