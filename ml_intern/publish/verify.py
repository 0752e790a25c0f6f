"""Recomputes all that can be recomputed from a published folder, and says what matches and what does not."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import InputError, MlInternError
from ml_intern.judge.decide import decide
from ml_intern.judge.evidence import Evidence, Measured
from ml_intern.judge.guards import script_hashes, with_group_guards
from ml_intern.judge.ledger import read_ledger
from ml_intern.judge.measure import count_parameters
from ml_intern.judge.metrics import OUTSIDE, chance_level, counted, score
from ml_intern.judge.tables import file_hash
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.plan.plan_file import load_plan
from ml_intern.publish.bundle import best_run, write_views
from ml_intern.publish.facts import RunInfo, gather

_VIEWS = ("README.md", "report.md", "report.html")


class Check(BaseModel):
    """One thing that was recomputed. `problem` is empty when it matches."""

    model_config = ConfigDict(frozen=True)

    name: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


def verify(folder: Path) -> tuple[Check, ...]:
    """Every check, in a fixed order; nothing in `folder` is changed. Raises InputError when it is no published run."""
    if not (folder / "evidence.jsonl").is_file() or not (folder / "plan.yaml").is_file():
        raise InputError(f"{folder} is no published run.", "it holds no plan.yaml and evidence.jsonl")
    checks: list[Check] = []

    def check(name: str, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except (MlInternError, OSError, ValueError, KeyError, TypeError, EOFError) as error:
            checks.append(Check(name=name, problem=str(error).split("\n")[0] or type(error).__name__))
            return None
        problems = [item for item in result if isinstance(item, str)] if isinstance(result, list) else []
        checks.append(Check(name=name, problem="; ".join(problems[:5])))
        return result

    check("files are those of the manifest", lambda: list(_manifest(folder)))
    plan = check("plan.yaml is a plan", lambda: load_plan(folder / "plan.yaml"))
    evidence = check("the evidence's chain of hashes holds", lambda: read_ledger(folder / "evidence.jsonl"))
    if plan is None or evidence is None:
        return tuple(checks)
    check("the evidence is of this plan, on its seeds", lambda: list(_plan_of(plan, evidence)))
    check("claims.json holds the plan's claims", lambda: list(_claims(folder, plan)))
    check("the scripts are those that ran", lambda: list(_scripts(folder, plan, evidence)))
    check("every metric, scored again from saved predictions", lambda: list(rescored(folder, plan, evidence)))
    info = check("run.json is whole", lambda: RunInfo.model_validate_json((folder / "run.json").read_bytes()))
    if info is None:
        return tuple(checks)
    check("every verdict, computed again", lambda: list(_verdicts(folder, plan, evidence, info)))
    check("the published weights are those of the best run", lambda: list(_weights(folder, plan, evidence, info)))
    check("card and report, rendered again", lambda: list(_views(folder, plan, evidence, info)))
    return tuple(checks)


def _manifest(folder: Path) -> Iterator[str]:
    stated: dict[str, str] = json.loads((folder / "manifest.json").read_text())
    found = {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and "__pycache__" not in path.parts
    }
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in stated:
            yield f"{name} is not in the manifest"
        elif file_hash(found[name]) != stated[name]:
            yield f"{name} was changed"


def _plan_of(plan: Plan, evidence: tuple[Evidence, ...]) -> Iterator[str]:
    digest = plan.digest()
    experiments = {experiment.id: experiment for experiment in plan.experiments}
    for record in evidence:
        if record.plan != digest:
            yield f"run {record.run_id} was made under another plan"
        experiment = experiments.get(record.experiment)
        if experiment is None:
            yield f"run {record.run_id} is of an experiment that the plan does not have"
        else:
            count = max(1, experiment.seeds.confirm + experiment.seeds.extra, experiment.seeds.explore)
            if record.seed not in plan.seeds(experiment.id, record.phase, count):
                yield f"run {record.run_id}: seed {record.seed} is not one of the plan's"


def _claims(folder: Path, plan: Plan) -> Iterator[str]:
    if json.loads((folder / "claims.json").read_text()) != [c.model_dump(mode="json") for c in plan.claims]:
        yield "claims.json differs from plan.yaml"


def _scripts(folder: Path, plan: Plan, evidence: tuple[Evidence, ...]) -> Iterator[str]:
    for experiment in plan.experiments:
        records = [r for r in evidence if r.experiment == experiment.id and r.phase == "confirm"]
        if not records:
            continue
        hashes = script_hashes(folder / "experiments" / experiment.id)
        for record in records:
            if record.scripts != hashes:
                changed = [n for n in record.scripts.keys() | hashes.keys() if record.scripts.get(n) != hashes.get(n)]
                yield f"experiments/{experiment.id}: {', '.join(sorted(changed))} is not what run {record.run_id} used"
                break


def rescored(folder: Path, plan: Plan, evidence: tuple[Evidence, ...]) -> Iterator[str]:
    """A line for each recorded metric that the saved predictions do not give."""
    experiments = {experiment.id: experiment for experiment in plan.experiments}
    for record in evidence:
        if record.phase != "confirm" or record.outcome != "ok":
            continue
        for spec in experiments[record.experiment].all_metrics:
            if spec.name == "parameters" and record.metrics[spec.key].value != record.parameters:
                yield f"run {record.run_id}, {spec.key}: not the number of parameters that stands beside it"
            if spec.name in recorded_only(experiments[record.experiment]):
                continue
            part, _, slice_name = spec.rows.partition(":")
            measured = record.metrics[spec.key]
            predictions = [row["prediction"] for row in saved_lines(folder, record.predictions[part])]
            rows = saved_lines(folder, record.labels[part])
            if len(predictions) != len(rows):
                yield f"{record.run_id}: {len(predictions)} predictions for {len(rows)} labels"
                continue
            kept = [(p, row) for p, row in zip(predictions, rows, strict=True) if slice_name in ("", row["slice"])]
            labels = [row["label"] for _, row in kept]
            given = [p for p, _ in kept]
            value, n = score(spec.name, given, labels), counted(spec.name, given, labels)
            again = Measured(value=value, n=n, chance=chance_level(spec.name, labels))
            if measured != again:
                yield f"run {record.run_id}, {spec.key}: recorded {measured.value}, scored again {value}"


def recorded_only(experiment: Experiment) -> set[str]:
    """Names of metrics that cannot be scored again from predictions: those of evaluate.py, time and memory."""
    return {*(metric.name for metric in experiment.audited), *OUTSIDE}


def not_scored_again(folder: Path) -> tuple[str, ...]:
    """The plan's metrics that `verify` takes as they were recorded."""
    experiments = load_plan(folder / "plan.yaml").experiments
    found = {m.name for e in experiments for m in e.all_metrics if m.name in recorded_only(e) - {"parameters"}}
    return tuple(sorted(found))


def saved_lines(folder: Path, place: tuple[str, str]) -> list[Any]:
    """The rows of a file under predictions/. Raises InputError where its hash is not the evidence's."""
    name, digest = place
    data = (folder / "predictions" / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"predictions/{name} is not the file that the evidence names")
    return [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]


def _verdicts(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    stated = json.loads((folder / "verdicts.json").read_text())
    computed = [
        verdict.explained(info.blocked).model_dump(mode="json") for verdict in decide(plan, with_group_guards(evidence))
    ]
    for one, other in zip(stated, computed, strict=False):
        if one != other:
            names = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
            yield f"{other['claim']}: {', '.join(names)} differ"
    if len(stated) != len(computed):
        yield f"{len(stated)} verdicts are stated, {len(computed)} were computed"


def _weights(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    guarded = with_group_guards(evidence)
    best = next((record for experiment in plan.experiments if (record := best_run(experiment, guarded))), None)
    if (best.run_id if best else "") != info.published_run:
        yield f"run.json names run {info.published_run or 'none'}, the best is {best.run_id if best else 'none'}"
    weights = folder / "model.safetensors"
    if best and file_hash(weights) != best.weights:
        yield "model.safetensors is not what the best run wrote"
    if best and count_parameters(weights) != best.parameters:
        yield "the number of parameters differs"


def _views(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    guarded = with_group_guards(evidence)
    verdicts = [verdict.explained(info.blocked) for verdict in decide(plan, guarded)]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        (out / "curves").symlink_to((folder / "curves").absolute())
        write_views(gather(plan, guarded, verdicts, info), out)
        for name in _VIEWS:
            if (out / name).read_bytes() != (folder / name).read_bytes():
                yield f"{name} is not what plan and evidence give"
