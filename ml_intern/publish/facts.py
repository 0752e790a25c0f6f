"""What card and report say, gathered from plan, evidence and verdicts. Nothing here was typed by a model but prose."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Evidence, Measured
from ml_intern.judge.metrics import OUTSIDE
from ml_intern.judge.order import by_plan
from ml_intern.judge.statistics import mean
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.amendment import Amendment, in_force
from ml_intern.plan.claim import Claim
from ml_intern.plan.grounding import stated, unfounded
from ml_intern.plan.plan import ClaimTest, Experiment, Plan
from ml_intern.publish.escape import sentence
from ml_intern.session.state import Question


class RunInfo(BaseModel):
    """run.json: what of a published run is neither plan nor evidence nor verdict. `brought`: how many runs were in the
    ledger already when the session came from the repository `brought_from`. `version`: of the ml-intern that made it,
    as the card says; folders that do not tell were all made by the first. `quotes`: `grounded`, or why the claims'
    quotes were not checked against the paper; empty in a folder of before, whose words stay as they were."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(default="0.1.0", pattern=r"^[\w.+-]{1,40}$")

    session: str
    model: str
    notes: tuple[str, ...] = ()
    blocked: dict[str, str] = {}
    amendments: tuple[Amendment, ...] = ()
    questions: tuple[Question, ...] = ()
    discussion: str = ""
    published_run: str = ""
    brought: int = 0
    brought_from: str = ""
    quotes: str = ""
    builds_model: bool = True  # whether train.py's build_model makes the published model


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
    paper_effect: str = ""

    @property
    def effect(self) -> str:
        """The effect of the test whose numbers are the verdict's own."""
        own = (item for item in self.tested if item.verdict.metric == self.verdict.metric)
        return next((item.effect for item in own if item.verdict.effect == self.verdict.effect), "–")


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


class Settings(BaseModel):
    """What the plan gives an experiment's variants to train with. `names`: of the settings that they differ in; `rows`:
    each variant with its values of those; `common`: what all have alike."""

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    common: str


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
        found = next((experiment for experiment in self.plan.experiments if experiment.id == name), None)
        if found is None:
            raise MlInternError(f"The plan has no experiment {name}.", "evidence names it")
        return found

    def settings(self, name: str) -> Settings:
        """The settings of an experiment's variants, as they were in force, side by side."""
        experiment = in_force(self.plan, self.info.amendments, name)
        common = experiment.settings | (experiment.smoke if self.smoke else {})
        full = [common | variant.settings for variant in experiment.variants]
        keys = list(dict.fromkeys(key for one in full for key in one))
        different = [key for key in keys if len({_value(one, key) for one in full}) > 1]
        return Settings(
            names=tuple(different),
            rows=tuple(
                (variant.name, tuple(_value(one, key) for key in different))
                for variant, one in zip(experiment.variants, full, strict=True)
            ),
            common=", ".join(f"{key} {_value(full[0], key)}" for key in keys if key not in different),
        )

    def names(self, name: str) -> str:
        """What exchanging the names of an experiment's variants has shown, in a line; empty where it was not tried."""
        checks = [r.names for r in self.evidence if r.experiment == name and r.phase == "confirm" and r.names]
        if checks:
            return sentence(f"Names of variants: {checks[-1].said}")
        runs = any(r.experiment == name and r.phase == "confirm" for r in self.evidence)
        several = len(self.experiment(name).variants) > 1
        return "Names of variants: it was not tried whether train.py does anything by them." if runs and several else ""

    @property
    def published_experiment(self) -> Experiment | None:
        return self.experiment(self.published.experiment) if self.published else None

    @property
    def unchecked(self) -> str:
        """Why the claims' quotes were not checked against what they come from; empty where they were."""
        return "" if self.info.quotes in ("", "grounded") else self.info.quotes

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
        return f"{sentence(text)} {self.brought}".strip()

    @property
    def brought(self) -> str:
        """Which runs were not measured where this was published, in a sentence; empty where all were."""
        if not self.info.brought:
            return ""
        return (
            f"But {self.info.brought} of the {len(self.evidence)} runs were measured before, as a rule on another "
            f"machine, and came with the session from {self.info.brought_from}; the machine that published this cannot "
            "vouch for them."
        )

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
    def open_questions(self) -> tuple[Question, ...]:
        """Those that nobody answered."""
        return tuple(question for question in self.info.questions if question.outcome != "answered")

    @property
    def arxiv_link(self) -> str:
        match = re.search(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", self.plan.paper.arxiv_id)
        return f"https://arxiv.org/abs/{match[0]}" if match else ""


def gather(plan: Plan, evidence: Sequence[Evidence], verdicts: Sequence[Verdict], info: RunInfo) -> Facts:
    """The same for every order in which the runs have ended."""
    evidence = by_plan(plan, evidence)
    by_claim = {verdict.claim: verdict for verdict in verdicts}
    tests = [test for experiment in plan.experiments for test in experiment.tests]
    guards = {f"{guard.name}: {guard.message}" for record in evidence for guard in record.guards}
    return Facts(
        plan=plan,
        info=info,
        evidence=evidence,
        claims=tuple(_claim(claim, by_claim[claim.id], tests, info) for claim in plan.claims),
        scores=tuple(_scores(plan, evidence)),
        published=next((record for record in evidence if record.run_id == info.published_run), None),
        hardware=tuple(sorted({record.hardware for record in evidence})),
        sandbox=tuple(sorted({record.sandbox for record in evidence})),
        guards=tuple(sorted(guards)),
        hours=sum(record.wall_seconds for record in evidence) / 3600,
    )


def _claim(claim: Claim, verdict: Verdict, tests: Sequence[ClaimTest], info: RunInfo) -> ClaimFacts:
    own = [test for test in tests if test.claim == claim.id]
    # `decide` gives a claim's parts in the order of the plan's tests.
    parts = (verdict.parts or (verdict,)) if own else ()
    tested = [Tested(test=test, verdict=part) for test, part in zip(own, parts, strict=True)]
    effect = _paper_effect(claim, own, before=not info.quotes)
    return ClaimFacts(claim=claim, verdict=verdict, tested=tuple(tested), paper_effect=effect)


def _paper_effect(claim: Claim, tests: Sequence[ClaimTest], before: bool) -> str:
    """What the paper says of the effect: the plan's words where every number in them is the claim's, else the numbers
    of the claim itself."""
    said = dict.fromkeys(test.paper_effect for test in tests if test.paper_effect)
    words = "; ".join(one for one in said if before or not unfounded(one, claim))
    if words or before or not tests:
        return words
    numbers = stated(claim)
    return f"in the words quoted, with {', '.join(numbers)}" if numbers else "no number given in the words quoted"


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


def _value(settings: Mapping[str, Any], key: str) -> str:
    """As in the plan; a dash where a variant has no such setting."""
    value = settings.get(key, "–")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _mean_chance(measured: Sequence[Measured]) -> float | None:
    """Over the seeds: with a split of its own, each has a chance level of its own."""
    levels = [one.chance for one in measured if one.chance is not None]
    return mean(levels) if levels else None
