"""The paper of a plan by hand is read once more where it can be had, and else it is said that nothing was checked."""

import hashlib
from pathlib import Path

import pytest

from ml_intern.agent.pipeline import plan_phase
from ml_intern.agent.reading import quotes_of, read_again
from ml_intern.errors import PlanError
from ml_intern.plan.plan import PaperRef, Plan
from ml_intern.plan.plan_file import dump_plan
from tests.agent.test_plan_checks import quoting
from tests.agent.test_review import Planner, at_work

TRUE = "The fine method is better than the baseline"
PAPER = rf"\documentclass{{article}}\title{{Nets}}\begin{{document}}\section{{A}}{TRUE}.\end{{document}}"


def plan_for(folder: Path, quote: str = TRUE, **changes: str) -> Plan:
    """A plan made from a paper that lies in `folder`."""
    path = folder / "paper.tex"
    path.write_text(PAPER)
    named = {"title": "Nets", "sha256": hashlib.sha256(PAPER.encode()).hexdigest(), "locator": str(path)}
    return quoting(quote).model_copy(update={"paper": PaperRef.model_validate(named | changes)})


def planned(folder: Path, plan: Plan) -> tuple[Plan, str]:
    """The session's plan, and what card and report say of its quotes. What is known then is not found out again, nor
    told: the paper may be gone."""
    text = dump_plan(plan)
    with at_work(folder, Planner({})) as context:
        context.emit("session.created", settings={"plan_text": text})
        paper = read_again(context, text)
        made = plan_phase(context, paper, text, "small")
        told = len(context.state.notes)
        (folder / "paper.tex").unlink()
        assert read_again(context, text) == paper and len(context.state.notes) == told
        return made, quotes_of(context.state)


def test_a_plan_whose_paper_is_at_hand_is_grounded_again(tmp_path: Path) -> None:
    plan, quotes = planned(tmp_path, plan_for(tmp_path))
    assert (plan.claims[0].quote, quotes) == (TRUE, "grounded")


def test_an_invented_quote_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"line \d+: claim C1: its quote does not stand in the paper"):
        planned(tmp_path, plan_for(tmp_path, "The fine method cures the common cold"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "is not what the plan was made from"),
        ({"locator": ""}, "does not say where it is"),
        ({"locator": "gone.tex"}, "There is no file gone.tex"),
        ({"locator": "http://10.0.0.1/reset"}, "a URL, which is not fetched"),
    ],
)
def test_where_the_paper_is_not_at_hand_it_is_said(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    plan, quotes = planned(tmp_path, plan_for(tmp_path, "The fine method cures the common cold", **changes))
    assert said in quotes
    assert plan.claims[0].quote == "The fine method cures the common cold"


def test_another_paper_beside_the_plan_is_refused(tmp_path: Path) -> None:
    text = dump_plan(plan_for(tmp_path, sha256="0" * 64))
    right = dump_plan(plan_for(tmp_path))
    with at_work(tmp_path, Planner({})) as context:
        paper = read_again(context, right)
        assert paper is not None
        with pytest.raises(PlanError, match="not the one that the plan was made from"):
            plan_phase(context, paper, text, "small")


def test_words_about_an_effect_with_numbers_of_another_paper_are_told_and_the_plan_stays(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    (one,) = plan.experiments
    test = one.tests[0].model_copy(update={"paper_effect": "60.3 against 57.8"})
    plan = plan.model_copy(update={"experiments": (one.model_copy(update={"tests": (test,)}),)})
    text = dump_plan(plan)
    with at_work(tmp_path, Planner({})) as context:
        made = plan_phase(context, read_again(context, text), text, "small")
        assert made.digest() == plan.digest()
        assert any("effect on C1 is not printed: 60.3, 57.8" in note for note in context.state.notes)


def test_a_task_is_grounded_in_the_words_that_stand_in_the_plan(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, task=f"{TRUE}.", locator="")
    assert planned(tmp_path, plan)[1] == "grounded"
    (tmp_path / "other").mkdir()
    with pytest.raises(PlanError, match="does not stand"):
        planned(tmp_path / "other", plan_for(tmp_path, task="Something else entirely.", locator=""))
