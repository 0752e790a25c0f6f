"""A draft of a plan cannot change what a task asks: its numbers, its side, its rows."""

from typing import Any

import pytest

from ml_intern.agent.task import check_task, without_threshold
from ml_intern.errors import PlanError
from ml_intern.plan.grounding import quantities
from ml_intern.plan.plan import Plan
from ml_intern.read.task import read_task
from tests.judge.synthetic import claim, criterion, experiment, task_of


def plan_with(quote: str, **changes: Any) -> Plan:
    test = criterion(**{"kind": "threshold", **changes})
    own = claim("C1", "threshold").model_copy(update={"quote": quote})
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
        ("10k parameters", {"target": 10_000, "metric": {"name": "parameters"}}, "less parameters is better"),
        ("90 % accuracy", {"target": 0.9, "metric": {"name": "accuracy", "rows": "train"}}, "rows that training sees"),
        ("at least 90 % accuracy", {"kind": "direction"}, "tested by kind threshold, not direction"),
    ],
)
def test_another_number_side_row_or_kind_is_refused(quote: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        check_task(plan_with(quote, **changes))


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
