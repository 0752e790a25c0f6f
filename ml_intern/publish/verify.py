"""Recomputes all that can be recomputed from a published folder, and says what matches and what does not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern import __version__
from ml_intern.errors import InputError, MlInternError
from ml_intern.judge.decide import decide
from ml_intern.judge.environment import environment_hash
from ml_intern.judge.evidence import Evidence, Measured
from ml_intern.judge.guards import read_metrics, script_hashes, with_group_guards
from ml_intern.judge.language import MODEL_FILES
from ml_intern.judge.metrics import OUTSIDE, chance_level, counted, score
from ml_intern.judge.model_files import WEIGHTS
from ml_intern.judge.nearness import curve_hash
from ml_intern.judge.settings_file import settings_text
from ml_intern.judge.sketch import sketch
from ml_intern.judge.tables import file_hash
from ml_intern.judge.weights import count_parameters
from ml_intern.plan.amendment import in_force
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.publish.bundle import best_run, write_views
from ml_intern.publish.facts import RunInfo, gather
from ml_intern.publish.folder import content, evidence_in, plan_in, regular, saved_lines

_MANIFEST = "manifest.json"
_WAYS = ("download", "upload")
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
    """Every check, in a fixed order; nothing in `folder` is changed. Raises InputError when it is no published run.

    Another version may say the same in other words: then the difference is told with both versions, and stays one. What
    version a folder names is as easy to change as its words.
    """
    if not (folder / "evidence.jsonl").is_file() or not (folder / "plan.yaml").is_file():
        raise InputError(f"{folder} is no published run.", "it holds no plan.yaml and evidence.jsonl")
    checks: list[Check] = []

    def check(name: str, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except Exception as error:  # whatever a folder holds that somebody else made, it is told and never a crash
            told = str(error).split("\n")[0]
            known = isinstance(error, (MlInternError, OSError)) and told
            checks.append(Check(name=name, problem=told if known else f"it cannot be checked: {error!r}"[:500]))
            return None
        problems = [item for item in result if isinstance(item, str)] if isinstance(result, list) else []
        checks.append(Check(name=name, problem="; ".join(problems[:5])))
        return result

    check("files are those of the manifest", lambda: list(_manifest(folder)))
    plan = check("plan.yaml is a plan", lambda: plan_in(folder))
    evidence = check("the evidence's chain of hashes holds", lambda: evidence_in(folder))
    if plan is None or evidence is None:
        return tuple(checks)
    check("the evidence is of this plan, on its seeds", lambda: list(_plan_of(plan, evidence)))
    check("claims.json holds the plan's claims", lambda: list(_claims(folder, plan)))
    check("the scripts are those that ran", lambda: list(_scripts(folder, plan, evidence)))
    check("every metric, scored again from saved predictions", lambda: list(rescored(folder, plan, evidence)))
    info = check("run.json is whole", lambda: RunInfo.model_validate_json(content(folder / "run.json")))
    if info is None:
        return tuple(checks)
    check("every verdict, computed again", lambda: list(_verdicts(folder, plan, evidence, info)))
    check("the published weights are those of the best run", lambda: list(_weights(folder, plan, evidence, info)))
    check("the curves are those that the runs logged", lambda: list(_curves(folder, evidence)))
    check("settings.json is what the plan says", lambda: list(_settings(folder, plan, info)))
    check("environment.lock is what the runs used", lambda: list(_environment(folder, plan, evidence)))
    check("card and report, rendered again", lambda: list(_views(folder, plan, evidence, info)))
    return tuple(checks)


def _manifest(folder: Path) -> Iterator[str]:
    stated = json.loads(content(folder / _MANIFEST))
    if not isinstance(stated, dict):
        yield f"{_MANIFEST} names no files"
        return
    files = [path for path in sorted(folder.rglob("*")) if not path.is_dir() and path != folder / _MANIFEST]
    found = {str(path.relative_to(folder)): path for path in files}
    passed = {name for name in _of_the_hub(stated) & found.keys() - stated.keys() if not found[name].is_symlink()}
    for name in sorted((stated.keys() | found.keys()) - passed):
        if name not in found:
            yield f"{name} is missing"
        elif name not in stated and "__pycache__" in found[name].parts:
            yield f"{name} is not in the manifest: Python may run it in place of the script beside it; delete it"
        elif name not in stated:
            yield f"{name} is not in the manifest"
        elif not found[name].is_file():
            yield f"{name} is no regular file"
        elif file_hash(found[name]) != stated[name]:
            yield f"{name} was changed"


def _of_the_hub(published: Iterable[str]) -> set[str]:
    """What a repository of the Hub has of its own, and its client writes beside what it loads: nothing here reads any
    of them. (`.git` is not among them: what stands in it may run.)"""
    cache = ".cache/huggingface"
    moved = (*published, _MANIFEST, ".gitattributes")
    beside = {f"{cache}/{way}/{name}.{end}" for way in _WAYS for name in moved for end in ("metadata", "lock")}
    return {".gitattributes", f"{cache}/.gitignore", f"{cache}/.gitignore.lock", f"{cache}/CACHEDIR.TAG", *beside}


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
    if place := plan.claim_twice:
        yield f"two claims have the same id, {plan.claims[place].id}"
    if json.loads(content(folder / "claims.json")) != [c.model_dump(mode="json") for c in plan.claims]:
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
    experiments = plan_in(folder).experiments
    found = {m.name for e in experiments for m in e.all_metrics if m.name in recorded_only(e) - {"parameters"}}
    return tuple(sorted(found))


def _verdicts(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    stated = json.loads(content(folder / "verdicts.json"))
    computed = [
        verdict.explained(info.blocked).model_dump(mode="json") for verdict in decide(plan, with_group_guards(evidence))
    ]
    for one, other in zip(stated, computed, strict=False):
        if one != other:
            names = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
            may = "say the same in other words" if _numbers(one) == _numbers(other) else "judge otherwise"
            yield f"{other['claim']}: {', '.join(names)} differ{_other_version(info, may)}"
    if len(stated) != len(computed):
        yield f"{len(stated)} verdicts are stated, {len(computed)} were computed"


def _numbers(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict without its words."""
    parts = [{key: value for key, value in part.items() if key != "reason"} for part in verdict.get("parts", ())]
    return {key: value for key, value in verdict.items() if key != "reason"} | {"parts": parts}


def _weights(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    guarded = with_group_guards(evidence)
    best = next((record for experiment in plan.experiments if (record := best_run(experiment, guarded))), None)
    if (best.run_id if best else "") != info.published_run:
        told = f"run.json names run {info.published_run or 'none'}, the best is {best.run_id if best else 'none'}"
        yield f"{told}{_other_version(info, 'choose another of two that are equally good')}"
    weights = regular(folder / "model.safetensors") if best else folder
    if best and file_hash(weights) != best.weights:
        yield "model.safetensors is not what the best run wrote"
    if best and count_parameters(weights) != best.parameters:
        yield "the number of parameters differs"
    if best and best.model_files is not None:
        stated, names = best.model_files, {*MODEL_FILES, *best.model_files} - {WEIGHTS}
        found = {name: file_hash(folder / name) for name in names if (folder / name).is_file()}
        for name in sorted(stated.keys() | found.keys()):
            if stated.get(name) != found.get(name):
                yield f"{name} is not what the best run wrote"
    if best and best.sketch and not _is_sketched(best, weights):
        yield f"the sketch of run {best.run_id} is not that of model.safetensors"


def _is_sketched(record: Evidence, weights: Path) -> bool:
    """Whether the file gives each sketch that guards have compared. Without the models that training started from it is
    not known which tensors they left as they were."""
    found = {(one.shape, one.digest, one.values) for one in sketch(weights, record.plan) or ()}
    return all((one.shape, one.digest, one.values) in found for one in record.sketch)


def _settings(folder: Path, plan: Plan, info: RunInfo) -> Iterator[str]:
    for experiment in plan.experiments:
        path = folder / "experiments" / experiment.id / "settings.json"
        wanted = settings_text(in_force(plan, info.amendments, experiment.id))
        if path.parent.is_dir() and content(path).decode() != wanted:
            yield f"experiments/{experiment.id}/settings.json is not what plan.yaml and its amendments give"


def _environment(folder: Path, plan: Plan, evidence: tuple[Evidence, ...]) -> Iterator[str]:
    """A session that went on elsewhere has runs with other packages, which a guard tells of; but what is published
    must have been used."""
    lines = content(folder / "environment.lock").decode().splitlines(keepends=True)
    lock = "".join(line for line in lines if not line.startswith("#"))
    missed = []
    for experiment in plan.experiments:
        used = {r.environment for r in evidence if r.experiment == experiment.id and r.phase == "confirm"}
        mark = f"# {experiment.id} only: "
        layer = "".join(line.removeprefix(mark) for line in lines if line.startswith(mark))
        if used and environment_hash(lock, layer) not in used:
            missed.append(experiment.id)
            if layer:
                yield f"no run of {experiment.id} used the packages in environment.lock"
    if missed and len(missed) == len({record.experiment for record in evidence if record.phase == "confirm"}):
        yield "no run used the packages in environment.lock"


def _curves(folder: Path, evidence: tuple[Evidence, ...]) -> Iterator[str]:
    for record in evidence:
        if record.phase == "confirm" and record.curve:
            rows = read_metrics(folder / "curves" / f"{record.run_id}.jsonl")
            if curve_hash(rows) != record.curve:
                yield f"curves/{record.run_id}.jsonl is not what the run logged"


def _views(folder: Path, plan: Plan, evidence: tuple[Evidence, ...], info: RunInfo) -> Iterator[str]:
    guarded = with_group_guards(evidence)
    verdicts = [verdict.explained(info.blocked) for verdict in decide(plan, guarded)]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        (out / "curves").symlink_to((folder / "curves").absolute())
        write_views(gather(plan, guarded, verdicts, info), out)
        for name in _VIEWS:
            if (out / name).read_bytes() != content(folder / name):
                yield f"{name} is not what plan and evidence give{_other_version(info, 'say the same in other words')}"


def _other_version(info: RunInfo, may: str) -> str:
    """What to think of what differs, where another version made it: what this one may do; else empty."""
    if info.version == __version__:
        return ""
    return (
        f" (made by ml-intern {info.version}, this is {__version__}, which may {may}: verify it with {info.version} to"
        " be sure)"
    )
