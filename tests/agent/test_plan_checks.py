"""A plan.yaml edited by hand: what is wrong beyond its form is named with its line, before anything is run."""

import pytest

from ml_intern.agent.plan_checks import check_quotes, read_plan, without_unfounded
from ml_intern.errors import PlanError
from ml_intern.plan.plan import Plan
from ml_intern.plan.plan_file import dump_plan, parse_plan
from ml_intern.read.task import read_task
from tests.judge.synthetic import criterion, experiment, plan_of

VARIANTS = [{"name": "method", "settings": {"units": 64}}, {"name": "baseline", "settings": {"units": 4}}]
PLAN = plan_of(experiment(variants=VARIANTS, recipe="dropout"))
TEXT = dump_plan(PLAN)


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if words in line)


def told(text: str, builder: str = "") -> str:
    with pytest.raises(PlanError) as caught:
        read_plan(text, "my.yaml", builder)
    return str(caught.value)


def quoting(*quotes: str) -> Plan:
    tests = [criterion(claim=f"C{place}") for place, _ in enumerate(quotes, start=1)]
    plan = plan_of(experiment(*tests, variants=VARIANTS))
    claims = [claim.model_copy(update={"quote": quote}) for claim, quote in zip(plan.claims, quotes, strict=True)]
    return plan.model_copy(update={"claims": tuple(claims)})


def test_a_plan_that_keeps_the_rules_is_read_as_it_stands() -> None:
    assert read_plan(TEXT, builder="recipes") == PLAN


@pytest.mark.parametrize(
    ("old", "new", "line_with", "said"),
    [
        ("recipe: dropout", "recipe: drop-out", "recipe:", "Did you mean dropout?"),
        ("name: accuracy", "name: acuracy", "name: acuracy", "metric that the harness lacks: acuracy"),
        ("units: 4\n", "units: 64\n", "name: baseline", "the same settings: method and baseline"),
        (
            "select_higher_is_better: true",
            "select_higher_is_better: false",
            "select_higher_is_better",
            "says that lower accuracy is better",
        ),
    ],
)
def test_a_mistake_beyond_the_form_is_named_with_its_line(old: str, new: str, line_with: str, said: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    words = told(text)
    assert said in words and f"my.yaml, line {line_of(text, line_with)}:" in words


def test_two_claims_of_one_id_are_refused_but_a_plan_of_before_can_be_opened() -> None:
    (claim,) = PLAN.claims
    text = dump_plan(PLAN.model_copy(update={"claims": (claim, claim.model_copy(update={"statement": "Another."}))}))
    words = told(text)
    assert f"my.yaml, line {line_of(text, 'Another.') - 1}: Two claims have the same id, C1." in words
    assert "an id of its own" in words
    assert len(parse_plan(text).claims) == 2


def test_a_metric_of_no_name_is_told_the_nearest_one() -> None:
    assert "Did you mean accuracy?" in told(TEXT.replace("name: accuracy", "name: acuracy"))


def test_the_recipes_build_nothing_that_names_no_recipe() -> None:
    text = TEXT.replace("    recipe: dropout\n", "")
    assert text != TEXT and read_plan(text, builder="openai/gpt-5")
    assert f"my.yaml, line {line_of(text, 'id: e')}: Experiment e names no recipe" in told(text, "recipes")


def test_a_quote_that_the_paper_does_not_hold_is_named_with_its_line() -> None:
    paper = read_task("The fine method is better than the baseline. It needs few steps to get there.")
    plan = quoting("The fine method is better than the baseline", "It cures the common cold as well")
    text = dump_plan(plan)
    with pytest.raises(PlanError) as caught:
        check_quotes(plan, paper, text, "my.yaml")
    assert f"my.yaml, line {line_of(text, 'cures')}: claim C2: its quote does not stand" in str(caught.value)
    assert "C1" not in str(caught.value)


def test_a_wrong_anchor_of_a_quote_that_is_there_is_mended() -> None:
    paper = read_task("Some words.\n\nThe fine method is better than the baseline.")
    plan = quoting("The fine method is better than the baseline")
    assert [claim.anchor for claim in check_quotes(plan, paper, dump_plan(plan)).claims] == ["sec:1/par:2"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("60.3 against 57.8", True),
        ("2.5 points, of 60.3", True),
        ("a ResNet-18 on CIFAR-10 reaches 60.3", True),
        ("61.3 against 57.8", False),
        ("84 % relative", False),
        ("stated without a number", True),
    ],
)
def test_words_about_the_papers_effect_stay_only_with_numbers_that_the_claim_gives(words: str, kept: bool) -> None:
    (one,) = quoting("Warm starting reaches 57.8, random weights 60.3").experiments
    tests = (one.tests[0].model_copy(update={"paper_effect": words}),)
    plan = quoting("Warm starting reaches 57.8, random weights 60.3").model_copy(
        update={"experiments": (one.model_copy(update={"tests": tests}),)}
    )
    left, dropped = without_unfounded(plan)
    assert left.experiments[0].tests[0].paper_effect == (words if kept else "")
    assert [("C1" in line) for line in dropped] == ([] if kept else [True])
