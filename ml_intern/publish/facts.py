"""What card and report say, gathered from plan, evidence and verdicts. Nothing here was typed by a model but prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ml_intern.judge.evidence import Evidence
from ml_intern.judge.statistics import mean
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import ClaimTest, Experiment, Plan


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


class ClaimFacts(BaseModel):
    """One claim, its test and its verdict."""

    model_config = ConfigDict(frozen=True)

    claim: Claim
    verdict: Verdict
    test: ClaimTest | None = None

    @property
    def interval(self) -> str:
        """Effect and interval in words, or a dash."""
        v = self.verdict
        if v.effect is None:
            return "–"
        if v.low is None or v.high is None:
            return f"{v.effect:.4g}"
        return f"{v.effect:.4g} [{v.low:.4g}, {v.high:.4g}]"


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

    @property
    def shown(self) -> str:
        if not self.values:
            return "no value"
        low, high = min(self.values), max(self.values)
        return f"{mean(self.values):.4g} ({low:.4g} to {high:.4g})"


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

    def experiment(self, name: str) -> Experiment:
        return next(experiment for experiment in self.plan.experiments if experiment.id == name)

    @property
    def published_experiment(self) -> Experiment | None:
        return self.experiment(self.published.experiment) if self.published else None

    @property
    def arxiv_link(self) -> str:
        match = re.search(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", self.plan.paper.arxiv_id)
        return f"https://arxiv.org/abs/{match[0]}" if match else ""


def gather(plan: Plan, evidence: Sequence[Evidence], verdicts: Sequence[Verdict], info: RunInfo) -> Facts:
    by_claim = {verdict.claim: verdict for verdict in verdicts}
    tests = {test.claim: test for experiment in plan.experiments for test in experiment.tests}
    guards = {f"{guard.name}: {guard.message}" for record in evidence for guard in record.guards}
    return Facts(
        plan=plan,
        info=info,
        evidence=tuple(evidence),
        claims=tuple(ClaimFacts(claim=c, verdict=by_claim[c.id], test=tests.get(c.id)) for c in plan.claims),
        scores=tuple(_scores(plan, evidence)),
        published=next((record for record in evidence if record.run_id == info.published_run), None),
        hardware=tuple(sorted({record.hardware for record in evidence})),
        sandbox=tuple(sorted({record.sandbox for record in evidence})),
        guards=tuple(sorted(guards)),
        hours=sum(record.wall_seconds for record in evidence) / 3600,
    )


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
                        )
                    )
    return out
