"""What card and report say, gathered from plan, evidence and verdicts. Nothing here was typed by a model but prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ml_intern.judge.evidence import Evidence, Measured
from ml_intern.judge.metrics import OUTSIDE
from ml_intern.judge.statistics import mean
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import ClaimTest, Experiment, Plan
from ml_intern.publish.escape import sentence


class RunInfo(BaseModel):
    """run.json: what of a published run is neither plan nor evidence nor verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: str
    model: str
    notes: tuple[str, ...] = ()
    blocked: dict[str, str] = {}
    amendments: tuple[str, ...] = ()
    discussion: str = ""
    published_run: str = ""


class Tested(BaseModel):
    """One test of a claim, with what came of it."""

    model_config = ConfigDict(frozen=True)

    test: ClaimTest
    verdict: Verdict

    @property
    def effect(self) -> str:
        """Effect, interval and what it is a number of, in words; or a dash."""
        v = self.verdict
        if v.effect is None:
            return "–"
        interval = "" if v.low is None or v.high is None else f" [{v.low:.4g}, {v.high:.4g}]"
        return f"{v.effect:.4g}{interval} {self._unit}"

    @property
    def _unit(self) -> str:
        test, metric = self.test, self.test.metric.name
        if test.kind == "failure":
            return "of the seeds beyond the floor"
        if test.kind == "value":
            return f"{metric} away from the target"
        if test.kind == "threshold":
            return f"in {metric} beyond {test.target:g}"
        if test.kind == "measurement":
            return metric
        if test.transform == "log10":
            return f"powers of ten in {metric}"
        return f"in {metric}"


class ClaimFacts(BaseModel):
    """One claim, its verdict, and each test that the verdict rests on."""

    model_config = ConfigDict(frozen=True)

    claim: Claim
    verdict: Verdict
    tested: tuple[Tested, ...] = ()

    @property
    def effect(self) -> str:
        """The effect of the test whose numbers are the verdict's own."""
        own = (item for item in self.tested if item.verdict.metric == self.verdict.metric)
        return next((item.effect for item in own if item.verdict.effect == self.verdict.effect), "–")

    @property
    def paper_effect(self) -> str:
        return "; ".join(dict.fromkeys(item.test.paper_effect for item in self.tested if item.test.paper_effect))


class Score(BaseModel):
    """A metric of one variant over the confirmation seeds."""

    model_config = ConfigDict(frozen=True)

    experiment: str
    variant: str
    metric: str
    values: tuple[float, ...]
    seeds: int
    n: int
    trust: str
    chance: float | None = None

    @property
    def shown(self) -> str:
        if not self.values:
            return "no value"
        low, high = min(self.values), max(self.values)
        return f"{mean(self.values):.4g} ({low:.4g} to {high:.4g})"

    @property
    def shown_chance(self) -> str:
        return "–" if self.chance is None else f"{self.chance:.3g}"


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True)

    plan: Plan
    info: RunInfo
    evidence: tuple[Evidence, ...]
    claims: tuple[ClaimFacts, ...]
    scores: tuple[Score, ...]
    published: Evidence | None
    hardware: tuple[str, ...]
    sandbox: tuple[str, ...]
    guards: tuple[str, ...]
    hours: float

    @property
    def smoke(self) -> bool:
        return self.plan.scale == "smoke"

    @property
    def task(self) -> str:
        """The words of the task; empty for a paper."""
        return self.plan.paper.task

    @property
    def source(self) -> str:
        """What the claims come from, in a word."""
        return "task" if self.task else "paper"

    def experiment(self, name: str) -> Experiment:
        return next(experiment for experiment in self.plan.experiments if experiment.id == name)

    @property
    def published_experiment(self) -> Experiment | None:
        return self.experiment(self.published.experiment) if self.published else None

    @property
    def measured(self) -> str:
        """Who measured the numbers, and on which rows, as far as that differs from number to number."""
        metrics = [metric for experiment in self.plan.experiments for metric in experiment.all_metrics]
        seen = sorted({metric.key for metric in metrics if metric.rows == "train" and metric.name not in OUTSIDE})
        chosen = sorted({metric.key for metric in metrics if metric.rows == "validation"})
        audited = sorted({metric.name for experiment in self.plan.experiments for metric in experiment.audited})
        text = "the harness scored the predictions of each run"
        text += (
            ", on rows that training never saw" if not seen else f"; {', '.join(seen)} on the rows of training itself"
        )
        text += f"; {', '.join(chosen)} on rows that training could look at" if chosen else ""
        text += f"; {', '.join(audited)} by the experiment's own evaluate.py, under canaries" if audited else ""
        return sentence(text)

    @property
    def simple(self) -> tuple[str, ...]:
        """What simple predictors reach on the same sealed rows: a line for each metric, means over the runs."""
        found: dict[tuple[str, str], dict[str, list[float]]] = {}
        for record in self.evidence:
            for key, scores in record.baselines.items():
                for name, value in scores.items():
                    found.setdefault((record.experiment, key), {}).setdefault(name, []).append(value)
        return tuple(
            f"On {key} of {experiment}, "
            + " and ".join(f"a {name} reaches {mean(values):.3g}" for name, values in sorted(by_name.items()))
            + "."
            for (experiment, key), by_name in sorted(found.items())
        )

    @property
    def arxiv_link(self) -> str:
        match = re.search(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", self.plan.paper.arxiv_id)
        return f"https://arxiv.org/abs/{match[0]}" if match else ""


def gather(plan: Plan, evidence: Sequence[Evidence], verdicts: Sequence[Verdict], info: RunInfo) -> Facts:
    by_claim = {verdict.claim: verdict for verdict in verdicts}
    tests = [test for experiment in plan.experiments for test in experiment.tests]
    guards = {f"{guard.name}: {guard.message}" for record in evidence for guard in record.guards}
    return Facts(
        plan=plan,
        info=info,
        evidence=tuple(evidence),
        claims=tuple(_claim(claim, by_claim[claim.id], tests) for claim in plan.claims),
        scores=tuple(_scores(plan, evidence)),
        published=next((record for record in evidence if record.run_id == info.published_run), None),
        hardware=tuple(sorted({record.hardware for record in evidence})),
        sandbox=tuple(sorted({record.sandbox for record in evidence})),
        guards=tuple(sorted(guards)),
        hours=sum(record.wall_seconds for record in evidence) / 3600,
    )


def _claim(claim: Claim, verdict: Verdict, tests: Sequence[ClaimTest]) -> ClaimFacts:
    own = [test for test in tests if test.claim == claim.id]
    # `decide` gives a claim's parts in the order of the plan's tests.
    parts = (verdict.parts or (verdict,)) if own else ()
    tested = [Tested(test=test, verdict=part) for test, part in zip(own, parts, strict=True)]
    return ClaimFacts(claim=claim, verdict=verdict, tested=tuple(tested))


def _scores(plan: Plan, evidence: Sequence[Evidence]) -> list[Score]:
    out = []
    for experiment in plan.experiments:
        for metric in experiment.all_metrics:
            for variant in experiment.variants:
                records = sorted(
                    (
                        r
                        for r in evidence
                        if r.phase == "confirm" and r.experiment == experiment.id and r.variant == variant.name
                    ),
                    key=lambda record: record.seed,
                )
                measured = [record.metrics[metric.key] for record in records if metric.key in record.metrics]
                values = tuple(m.value for m in measured if m.value is not None)
                if records:
                    out.append(
                        Score(
                            experiment=experiment.id,
                            variant=variant.name,
                            metric=metric.key,
                            values=values,
                            seeds=len(records),
                            n=max((m.n for m in measured), default=0),
                            trust=measured[0].trust if measured else "harness",
                            chance=_mean_chance(measured),
                        )
                    )
    return out


def _mean_chance(measured: Sequence[Measured]) -> float | None:
    """Over the seeds: with a split of its own, each has a chance level of its own."""
    levels = [one.chance for one in measured if one.chance is not None]
    return mean(levels) if levels else None
