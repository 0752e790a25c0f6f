"""Plans and verdicts for a person, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_intern.judge.base_models import withheld
from ml_intern.judge.decide import looks_of
from ml_intern.judge.statistics import power
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Experiment, Plan, StartingModel
from ml_intern.read.show import printable
from ml_intern.run.resources import packages

_WITHHELD = 8  # names that are shown
_STYLES = {
    "reproduced": "green",
    "measured": "green",
    "partly": "yellow",
    "not reproduced": "red",
    "inconclusive": "yellow",
}


def show_plan(plan: Plan, console: Console) -> None:
    """Claims with their fate, experiments with what they cost, and the power to see a difference."""
    source = "task" if plan.paper.task else "paper"
    about = f"the task {printable(plan.paper.title)!r}" if plan.paper.task else repr(printable(plan.paper.title))
    console.print(Text(f"Plan for {about}, scale {plan.scale}", style="bold"))
    fates = {left.claim: f"not tested: {left.reason}" for left in plan.left_out}
    for experiment in plan.experiments:
        for test in experiment.tests:
            text = f"{experiment.id}: {test.criterion}"
            # A claim may be tested in several places.
            fates[test.claim] = f"{fates[test.claim]}; and {text}" if test.claim in fates else text
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("claim", "statement", "where", "how it is tested"):
        table.add_column(column, overflow="fold")
    for claim in plan.claims:
        table.add_row(claim.id, Text(printable(claim.statement)), claim.anchor, Text(printable(fates[claim.id])))
    console.print(table)
    for experiment in plan.experiments:
        minutes = experiment.runs * experiment.expected_seconds / 60
        seeds = experiment.seeds
        names = ", ".join(variant.name for variant in experiment.variants)
        lines = [
            f"{experiment.id}: {experiment.title}",
            f"  variants {names}; seeds: {seeds.explore} to explore, {seeds.confirm} to confirm"
            + (f", {seeds.extra} more if a claim stays open" if seeds.extra else ""),
            f"  data {experiment.data.name} ({experiment.data.revision}), split {experiment.data.split}",
            f"  setting: {experiment.setting}" + (f", {experiment.scale_factors}" if experiment.scale_factors else ""),
            f"  about {minutes:.1f} core-minutes, ${experiment.expected_cost_usd:.2f}; {_power(plan, experiment)}",
        ]
        lines += [f"  fetches {resource.name}: {resource.shown}" for resource in experiment.resources]
        lines += [_own(model) for model in experiment.base_models if model.path]
        lines += [
            f"  installs {packages.shown(one)}, for its scripts alone" for one in experiment.requirements if " " in one
        ]
        lines += [f"  MAY REACH {', '.join(experiment.hosts)} from data.py and train.py"] if experiment.hosts else []
        lines += [f"  deviates: {deviation}" for deviation in experiment.deviations]
        console.print(Text(printable("\n".join(lines))))
    if plan.findings:
        console.print(Text(f"Contradictions in the {source}:", style="bold"))
        for finding in plan.findings:
            console.print(Text(f"  {printable(finding.text)}"))
    console.print(Text(f"{plan.dropped} proposed claims were dropped: the {source} does not say them.", style="dim"))


def _own(model: StartingModel) -> str:
    """The person's files that training starts from, and what beside them no script sees."""
    left = withheld(model)
    shown = ", ".join(left[:_WITHHELD]) + (f" and {len(left) - _WITHHELD} more" if len(left) > _WITHHELD else "")
    return f"  reads {model.path} of this machine" + (f"; no script sees {shown} there" if left else "")


def _power(plan: Plan, experiment: Experiment) -> str:
    """The power to see a difference of one standard deviation, at the level of the interval that decides."""
    if plan.scale == "smoke":
        return "a smoke run decides nothing"
    looks, level = looks_of(plan, experiment)
    seeds = experiment.seeds
    counts = [seeds.confirm, seeds.confirm + seeds.extra][:looks]
    powers = " and ".join(f"{power(count, 1.0, level):.2f} with {count} seeds" for count in counts)
    return f"power to see one standard deviation by an interval of {100 * level:.4g} %: {powers}"


def show_verdicts(verdicts: Sequence[Verdict], statements: dict[str, str], console: Console) -> None:
    """A table of verdicts with their setting; how far each setting is from the paper's stands below, once."""
    table = Table(title="Verdicts", title_justify="left")
    for column in ("claim", "statement", "verdict", "effect", "why"):
        table.add_column(column, overflow="fold")
    for v in verdicts:
        interval = f" [{v.low:.3g}, {v.high:.3g}]" if v.low is not None and v.high is not None else ""
        effect = f"{v.effect:.3g}{interval}" if v.effect is not None else "–"
        style = _STYLES.get(v.outcome, "dim")
        statement = printable(statements.get(v.claim, ""))
        table.add_row(v.claim, Text(statement), Text(v.short, style=style), effect, Text(printable(v.reason)))
    console.print(table)
    for experiment, setting, scale in dict.fromkeys((v.experiment, v.setting, v.scale) for v in verdicts if v.scale):
        console.print(Text(printable(f"{experiment}, {setting}: {scale}"), style="dim"))
