"""What a plan must keep beyond its form, whoever wrote it; an error in a plan.yaml names the line.

Not in the model of a plan: plans of before can still be opened.
"""

from __future__ import annotations

from difflib import get_close_matches

from ml_intern.agent.criteria import check_criteria
from ml_intern.agent.task import check_task
from ml_intern.errors import PlanError
from ml_intern.judge.language import objectives
from ml_intern.judge.metrics import fits, is_metric, metric_names
from ml_intern.judge.names import names_only
from ml_intern.plan.grounding import ground_again, unfounded
from ml_intern.plan.plan import Plan
from ml_intern.plan.plan_file import at_line, parse_plan
from ml_intern.read.paper import Paper
from ml_intern.recipes.book import load_book


def read_plan(text: str, name: str = "plan.yaml", builder: str = "") -> Plan:
    """A plan.yaml that somebody may have edited, to be built by the model `builder`. Raises PlanError that names the
    line in `name`."""
    plan = parse_plan(text, name)
    try:
        check_plan(plan)
        if builder == "recipes":
            _check_that_recipes_build(plan)
    except PlanError as error:
        raise at_line(error, text, name) from None
    return plan


def check_plan(plan: Plan) -> None:
    """Raises PlanError."""
    check_ids(plan)
    check_metrics(plan)
    check_settings(plan)
    check_task(plan)
    check_recipes(plan)


def check_quotes(plan: Plan, paper: Paper, text: str, name: str = "plan.yaml") -> Plan:
    """The plan with every claim at its anchor in the paper. Raises PlanError that names the line of each claim that the
    paper does not make."""
    claims, problems = ground_again(paper, plan.claims)
    if not problems:
        return plan.model_copy(update={"claims": claims})
    source = "task" if plan.paper.task else "paper"
    told = [
        at_line(PlanError(f"claim {claim.id}: {problems[claim.id]}", place=("claims", place, "quote")), text, name).what
        for place, claim in enumerate(plan.claims)
        if claim.id in problems
    ]
    raise PlanError(
        "\n".join(told),
        f"a claim is what the {source} says, in its words",
        f"Copy the quote as it stands in the {source}, or take the claim and its tests out.",
    )


def without_unfounded(plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """The plan without those words about the paper's effect that have a number which the claim does not give (card and
    report print none); and what was dropped, in a line each."""
    claims = {claim.id: claim for claim in plan.claims}
    dropped = []
    experiments = []
    for experiment in plan.experiments:
        tests = []
        for test in experiment.tests:
            loose = unfounded(test.paper_effect, claims[test.claim])
            if loose:
                numbers = f"{', '.join(loose)} stands neither in its quote nor among its numbers"
                dropped.append(f"What the plan says of the paper's effect on {test.claim} is not printed: {numbers}")
            tests.append(test.model_copy(update={"paper_effect": ""}) if loose else test)
        experiments.append(experiment.model_copy(update={"tests": tuple(tests)}))
    return plan.model_copy(update={"experiments": tuple(experiments)}), tuple(dropped)


def check_ids(plan: Plan) -> None:
    """Raises PlanError where it is not clear which of two claims a test is about."""
    if place := plan.claim_twice:
        raise PlanError(
            f"Two claims have the same id, {plan.claims[place].id}.",
            "a test names its claim by the id, and each verdict stands under one",
            "Give each claim an id of its own, and each a test or a reason under `left_out`.",
            ("claims", place),
        )


def check_metrics(plan: Plan) -> None:
    """Raises PlanError where a metric is not the harness's for the task nor audited, is both, or is turned around."""
    for place, experiment in enumerate(plan.experiments):
        audited = {metric.name for metric in experiment.audited}
        listed = [(("metrics", number, "name"), metric) for number, metric in enumerate(experiment.metrics)]
        for where, metric in [*listed, (("select", "name"), experiment.select)]:
            if not fits(metric.name, experiment.data.task) and metric.name not in audited:
                names = metric_names(experiment.data.task)
                raise PlanError(
                    f"Experiment {experiment.id} uses a metric that the harness lacks: {metric.name}.",
                    f"its task is {experiment.data.task}",
                    f"{_nearest(metric.name, names)}Use one of {', '.join(names)}, or list it under `audited`.",
                    ("experiments", place, *where),
                )
        if len(objectives(experiment)) > 1:
            raise PlanError(
                f"Experiment {experiment.id} measures one model as causal and as masked language model.",
                place=("experiments", place, "metrics"),
            )
        if taken := sorted(name for name in audited if is_metric(name)):
            raise PlanError(
                f"Experiment {experiment.id} audits {taken[0]}, which the harness computes itself.",
                place=("experiments", place, "audited"),
            )
    check_criteria(plan)


def check_settings(plan: Plan) -> None:
    """Raises PlanError where variants that are compared differ in nothing that a person could read in the plan."""
    for place, experiment in enumerate(plan.experiments):
        if same := names_only(experiment):
            names = [variant.name for variant in experiment.variants]
            raise PlanError(
                f"Experiment {experiment.id} compares variants with the same settings: {' and '.join(same)}.",
                "their names are labels: what a script does by name alone nobody has approved",
                "Say in the `settings` of each what makes it another variant.",
                ("experiments", place, "variants", names.index(same[1])),
            )


def check_recipes(plan: Plan) -> None:
    """Raises PlanError where an experiment names a recipe that is not in the book."""
    known = [recipe.id for recipe in load_book()]
    for place, experiment in enumerate(plan.experiments):
        if experiment.recipe and experiment.recipe not in known:
            raise PlanError(
                f"Experiment {experiment.id}: there is no recipe {experiment.recipe!r}.",
                next=f"{_nearest(experiment.recipe, known)}Name one of {', '.join(known)}, or leave `recipe` out.",
                place=("experiments", place, "recipe"),
            )


def _check_that_recipes_build(plan: Plan) -> None:
    for place, experiment in enumerate(plan.experiments):
        if not experiment.recipe:
            raise PlanError(
                f"Experiment {experiment.id} names no recipe, and the built-in recipes write no other scripts.",
                next="Write `recipe: ID` (`ml-intern recipes` lists them), or let a language model write: --model ID.",
                place=("experiments", place),
            )


def _nearest(name: str, names: list[str] | tuple[str, ...]) -> str:
    found = get_close_matches(name, names, 1)
    return f"Did you mean {found[0]}? " if found else ""
