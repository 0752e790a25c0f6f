"""The Plan: which claims are tested, how, and what will count as reproduced; written before anything runs.

Knows nothing of how it is drafted or carried out. Frozen by `digest()` once a person has approved it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ml_intern.plan.claim import Claim, Kind
from ml_intern.plan.mistakes import OWN
from ml_intern.run.network.hosts import is_pattern
from ml_intern.run.resources.packages import is_exact
from ml_intern.run.resources.resource import Resource

Scale = Literal["smoke", "small", "paper"]
Setting = Literal["same", "scaled down", "analogue"]


_LONGEST_NAME = 80  # names of folders and files are made from it


def _is_identifier(value: str) -> str:
    if not value or value[0] in ".-" or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in value):
        raise ValueError(f"{value!r} is not a name: letters, digits, '-', '_' and '.', not beginning with '-' or '.'")
    if len(value) > _LONGEST_NAME:
        raise ValueError(f"a name of {len(value)} characters is too long: at most {_LONGEST_NAME}")
    return value


Name = Annotated[str, AfterValidator(_is_identifier)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricSpec(_Strict):
    """A metric of `judge.metrics` and the rows it is computed on: `test`, `test:SLICE`, `validation` or `train`."""

    name: str
    rows: str = Field(default="test", pattern=r"^(test|test:[\w.-]+|validation|train)$")

    @property
    def key(self) -> str:
        """Key in evidence, like `mse@test:outside`."""
        return f"{self.name}@{self.rows}"


class AuditedMetric(_Strict):
    """A metric that the harness lacks: the experiment's `evaluate.py` computes it, and counts only after canaries.
    `best`: what it gives when the labels themselves are the predictions."""

    name: Name
    higher_is_better: bool
    best: float


class StartingModel(_Strict):
    """A model that training starts from, at an exact revision, whose weights a trained run must not hand in as its own.
    They are known by `tensors`, the sha256 over them (`judge.weights`), or by files at hand; without either the guard
    is blind."""

    id: str
    revision: str
    tensors: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    path: str = Field(default="", description="local folder or file of safetensors; set by a person alone")


class Variant(_Strict):
    """One arm of an experiment; `settings` overrides the experiment's training settings."""

    name: Name
    settings: dict[str, Any] = Field(default_factory=dict)


class DataSpec(_Strict):
    """The table that `data.py` makes. `split`: `given` by its `split` column, `fixed` (one draw for all seeds) or
    `per-seed`. Fractions apply to drawn splits; what is left after validation and test is for training. With task
    `language-model` the one input column holds texts and is its own label."""

    name: str
    revision: str = Field(description="exact version of the source, e.g. 'scikit-learn 1.7.2' or a commit")
    licence: str = ""
    inputs: tuple[str, ...] = Field(min_length=1)
    label: str
    task: Literal["classification", "regression", "sequence", "language-model"] = "classification"
    split: Literal["given", "fixed", "per-seed"] = "per-seed"
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.25, gt=0, lt=1)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _texts_are_their_own_labels(self) -> DataSpec:
        if self.task == "language-model" and self.inputs != (self.label,):
            raise ValueError("task language-model has one column of texts, which is input and label: inputs: [text]")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Input columns and label, each once."""
        return tuple(dict.fromkeys((*self.inputs, self.label)))


_NEEDS = {"equivalence": ("margin",), "value": ("margin", "target"), "failure": ("floor",), "threshold": ("target",)}
_OF_ONE = ("threshold", "measurement")  # kinds that compare a variant with no other


class ClaimTest(_Strict):
    """The pre-registered criterion for one claim.

    effect of a seed = ± sum(weight · transform(metric of variant)), signed so that positive is the claimed side.
    direction, trend: reproduced when its interval excludes 0 and the mean reaches `minimal_effect`. magnitude: when the
    interval itself lies beyond `minimal_effect`. equivalence: the 90 % interval lies within ± `margin`. failure: the
    metric of the one variant in `contrast` is beyond `floor` (on the bad side) in each seed. `value`: within `margin`
    of `target`, only at the paper's scale and in its own setting. threshold: the mean of the one variant is at least
    `target` (at most, where lower is better), its interval beyond it. measurement: the metric of the one variant,
    against no criterion.
    """

    claim: str
    kind: Kind
    metric: MetricSpec
    higher_is_better: bool
    contrast: dict[str, float] = Field(min_length=1)
    transform: Literal["none", "log10"] = "none"
    minimal_effect: float = Field(default=0.0, ge=0)
    margin: float | None = Field(default=None, gt=0)
    floor: float | None = None
    target: float | None = None
    primary: bool = True
    paper_effect: str = Field(default="", description="what the paper says, in words and numbers")

    @model_validator(mode="after")
    def _criterion_is_complete(self) -> ClaimTest:
        if missing := [field for field in _NEEDS.get(self.kind, ()) if getattr(self, field) is None]:
            raise ValueError(f"a test of kind {self.kind} needs {' and '.join(missing)}")
        if self.kind in _OF_ONE and (list(self.contrast.values()) != [1.0] or self.transform != "none"):
            raise ValueError(f"a test of kind {self.kind} is about one variant, untransformed: contrast {{method: 1}}")
        if self.kind in ("direction", "magnitude", "equivalence", "trend") and abs(sum(self.contrast.values())) > 1e-9:
            raise ValueError("the weights of a contrast must sum to 0, for instance {method: 1, baseline: -1}")
        return self

    @property
    def criterion(self) -> str:
        """The criterion in a line, for a person."""
        contrast = " ".join(f"{weight:+g}·{name}" for name, weight in self.contrast.items())
        better = "higher" if self.higher_is_better else "lower"
        scale = "" if self.transform == "none" else f", {self.transform}"
        numbers = (
            ("minimal effect", self.minimal_effect or None),
            ("margin", self.margin),
            ("floor", self.floor),
            ("target", self.target),
        )
        limits = "".join(f", {name} {value:g}" for name, value in numbers if value is not None)
        return f"{self.kind}: {contrast} on {self.metric.key} ({better} is better){scale}{limits}"


class Seeds(_Strict):
    """How many paired seeds. Their numbers are drawn from the frozen plan's hash, so nobody can pick them.
    `extra` are run once more when the first look leaves a claim inconclusive."""

    explore: int = Field(default=1, ge=0, le=20)
    confirm: int = Field(default=5, ge=2, le=100)
    extra: int = Field(default=5, ge=0, le=100)


class Experiment(_Strict):
    """Variants that differ in one thing, trained on the same data with the same seeds.

    resources: models and data sets that the harness fetches; requirements: packages beyond the installed ones, each
    `name==version`; hosts: the few that data.py and train.py may reach, by name. settings: for every variant's
    training. smoke: overrides for a tiny run. `crash` says what a seed counts as that crashes or diverges.
    expected_seconds: of one training run on one core.
    """

    id: Name
    title: str
    recipe: str = ""
    data: DataSpec
    variants: tuple[Variant, ...] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    smoke: dict[str, Any] = Field(default_factory=dict)
    seeds: Seeds = Seeds()
    metrics: tuple[MetricSpec, ...] = Field(min_length=1)
    audited: tuple[AuditedMetric, ...] = ()
    base_models: tuple[StartingModel, ...] = ()
    resources: tuple[Resource, ...] = ()
    requirements: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    select: MetricSpec
    select_higher_is_better: bool
    tests: tuple[ClaimTest, ...] = Field(min_length=1)
    setting: Setting
    scale_factors: str = ""
    deviations: tuple[str, ...] = ()
    crash: Literal["worst", "inconclusive"] = "inconclusive"
    expected_seconds: float = Field(default=10.0, gt=0)
    expected_cost_usd: float = Field(default=0.0, ge=0)
    timeout_seconds: float = Field(default=900.0, gt=0)
    memory_mb: int = Field(default=4096, gt=0)

    @model_validator(mode="after")
    def _names_agree(self) -> Experiment:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError(f"experiment {self.id}: two variants have the same name")
        if len({resource.name for resource in self.resources}) != len(self.resources):
            raise ValueError(f"experiment {self.id}: two resources have the same name")
        if loose := [one for one in self.requirements if not is_exact(one)]:
            raise ValueError(f"experiment {self.id}: the requirement {loose[0]!r} is not exact: name==version")
        if odd := [one for one in self.hosts if not is_pattern(one)]:
            raise ValueError(f"experiment {self.id}: {odd[0]!r} is no host name (addresses are not reached)")
        if self.select.rows != "validation":
            raise ValueError(
                f"experiment {self.id}: the published run is chosen on validation, not on {self.select.rows}"
            )
        if self.data.task == "language-model" and self.audited:
            raise ValueError(f"experiment {self.id}: a language model has no predictions that evaluate.py could read")
        for place, test in enumerate(self.tests):
            if unknown := sorted(set(test.contrast) - set(names)):
                words = f"the test of {test.claim} names variant {', '.join(unknown)}; there are {', '.join(names)}"
                raise _wrong(f"experiment {self.id}: {words}", "tests", place, "contrast")
            if test.metric not in self.metrics:
                words = f"{test.metric.key} is tested but not listed under metrics"
                raise _wrong(f"experiment {self.id}: {words}", "tests", place, "metric")
        return self

    @property
    def runs(self) -> int:
        """Planned runs, without those of a second look."""
        return len(self.variants) * (self.seeds.explore + self.seeds.confirm)

    @property
    def all_metrics(self) -> tuple[MetricSpec, ...]:
        return tuple(dict.fromkeys((*self.metrics, self.select)))


class LeftOut(_Strict):
    """A claim that is not tested, and why."""

    claim: str
    reason: str


class Finding(_Strict):
    """A contradiction inside the paper, found while grounding: a number in the text that differs from a table."""

    text: str
    text_anchor: str
    table_anchor: str


def _wrong(words: str, *place: str | int) -> PydanticCustomError:
    """An error of a plan at a place beneath what is validated."""
    return PydanticCustomError(OWN, "{words}", {"words": words, "place": place})


def _first_twice(names: list[str]) -> int:
    """The position of the first name that stood there before; 0 where there is none."""
    return next((place for place, name in enumerate(names) if name in names[:place]), 0)


class PaperRef(_Strict):
    """What the claims come from: a paper, or, where `task` holds its words, a task that a person set."""

    title: str
    sha256: str
    locator: str = ""
    arxiv_id: str = ""
    authors: tuple[str, ...] = ()
    task: str = ""


class Plan(_Strict):
    """What a person reads, edits and approves. `dropped` counts proposals that could not be grounded."""

    version: Literal[1] = 1
    paper: PaperRef
    scale: Scale
    claims: tuple[Claim, ...]
    left_out: tuple[LeftOut, ...] = ()
    experiments: tuple[Experiment, ...] = Field(min_length=1)
    findings: tuple[Finding, ...] = ()
    dropped: int = 0

    @model_validator(mode="after")
    def _every_claim_has_one_fate(self) -> Plan:
        ids = [claim.id for claim in self.claims]
        tested = [test.claim for experiment in self.experiments for test in experiment.tests]
        left = [item.claim for item in self.left_out]
        for place, experiment in enumerate(self.experiments):
            for number, test in enumerate(experiment.tests):
                self._check_known(test.claim, "experiments", place, "tests", number, "claim")
        for place, name in enumerate(left):
            self._check_known(name, "left_out", place, "claim")
            if name in tested:
                raise _wrong(f"claim {name} is both tested and left out", "left_out", place)
        for place, name in enumerate(ids):
            if name not in tested and name not in left:
                raise _wrong(f"claim {name} is neither tested nor left out with a reason", "claims", place)
        if twice := _first_twice([experiment.id for experiment in self.experiments]):
            raise _wrong(f"two experiments have the same id, {self.experiments[twice].id}", "experiments", twice)
        return self

    def _check_known(self, claim: str, *place: str | int) -> None:
        known = [one.id for one in self.claims]
        if claim not in known:
            raise _wrong(f"claim {claim} is not among the plan's claims ({', '.join(known)})", *place)

    @property
    def claim_twice(self) -> int:
        """The position of the first claim whose id another had before it; 0 where there is none. A plan that has one is
        refused before it is approved, but those of before can be opened."""
        return _first_twice([claim.id for claim in self.claims])

    def digest(self) -> str:
        """sha256 of the plan's content, independent of its layout as YAML."""
        content = self.model_dump(mode="json")
        if not self.paper.task:
            del content["paper"]["task"]
        for experiment in content["experiments"]:
            for later in (
                "resources",
                "requirements",
                "hosts",
            ):  # a plan without them keeps the hash it had before they were
                if not experiment[later]:
                    del experiment[later]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def seeds(self, experiment: str, phase: Literal["explore", "confirm"], count: int) -> tuple[int, ...]:
        """The first `count` seeds of a phase: drawn from the hash of the plan, so they cannot be chosen.
        Explore seeds are even and confirm seeds odd, so that no seed serves both."""
        drawn: list[int] = []
        turn = 0
        while len(drawn) < count:
            text = f"{self.digest()}/{experiment}/{phase}/{turn}"
            seed = int(hashlib.sha256(text.encode()).hexdigest()[:7], 16) * 2 + (phase == "confirm")
            turn += 1
            if seed not in drawn:
                drawn.append(seed)
        return tuple(drawn)
