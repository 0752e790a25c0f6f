"""The published folder: model, card, report, plan, evidence, predictions, all rendered from plan and ledger."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ml_intern import __version__
from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.model_files import WEIGHTS, beside_weights
from ml_intern.judge.tables import file_hash
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.amendment import Amendment
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.plan.plan_file import dump_plan
from ml_intern.publish.beside import copy_beside
from ml_intern.publish.card import render_card
from ml_intern.publish.facts import Facts, RunInfo, gather
from ml_intern.publish.loading import builds_the_model
from ml_intern.publish.report import render_report_html, render_report_md
from ml_intern.session.copies import copy_file
from ml_intern.session.state import Question


class PublishInput(BaseModel):
    """All that is published. `experiments`: id to the folder of its frozen scripts; `runs` holds RUN_ID/out/;
    `predictions` is what the evidence's file names are relative to; `brought`, `brought_from` and `quotes` as in
    RunInfo."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    evidence: tuple[Evidence, ...]
    ledger: Path
    verdicts: tuple[Verdict, ...]
    experiments: dict[str, Path]
    runs: Path
    predictions: Path
    environment_lock: str
    discussion: str = ""
    notes: tuple[str, ...] = ()
    blocked: dict[str, str] = {}
    amendments: tuple[Amendment, ...] = ()
    questions: tuple[Question, ...] = ()
    session: str
    model: str
    brought: int = 0
    brought_from: str = ""
    quotes: str = "grounded"


def publish(given: PublishInput, out: Path) -> Path:
    """Writes the folder whole or not at all. Raises MlInternError where something else stands in its place."""
    if out.exists() and any(out.iterdir()) and _session_of(out) != given.session:
        raise MlInternError(f"{out} is not empty.", "it holds something else", "Choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}.*.part"):  # by a crash in the middle of this
        shutil.rmtree(left, ignore_errors=True)
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        _write(given, part)
        if out.exists():
            shutil.rmtree(out)
        part.rename(out)
    except OSError as error:
        raise MlInternError(
            "The model could not be published.", f"{out}: {error.strerror}", "Free disk space and resume the session."
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def best_run(experiment: Experiment, evidence: Sequence[Evidence]) -> Evidence | None:
    """The confirm run that is best on validation; the sealed score plays no part.

    Ties go to the lower seed, then to the variant that the plan names first: never to the run that ended first, which
    differs from one machine to the next.
    """
    place = {variant.name: index for index, variant in enumerate(experiment.variants)}
    key = experiment.select.key
    sign = 1 if experiment.select_higher_is_better else -1
    candidates = [
        ((sign * value, -record.seed, -place.get(record.variant, len(place))), record)
        for record in evidence
        if record.experiment == experiment.id and record.phase == "confirm" and record.outcome == "ok"
        and not any(guard.fatal for guard in record.guards)
        and (value := record.metrics[key].value) is not None
    ]  # fmt: skip
    return max(candidates, key=lambda item: item[0])[1] if candidates else None


def _session_of(folder: Path) -> str:
    try:
        return str(json.loads((folder / "run.json").read_text())["session"])
    except (OSError, ValueError, KeyError):
        return ""


def _write(given: PublishInput, out: Path) -> None:
    out.mkdir()
    (out / "plan.yaml").write_text(dump_plan(given.plan))
    _write_json(out / "claims.json", [claim.model_dump(mode="json") for claim in given.plan.claims])
    _write_json(out / "verdicts.json", [verdict.model_dump(mode="json") for verdict in given.verdicts])
    shutil.copyfile(given.ledger, out / "evidence.jsonl") if given.ledger.exists() else (out / "evidence.jsonl").touch()
    (out / "environment.lock").write_text(given.environment_lock)
    for name, folder in given.experiments.items():
        shutil.copytree(folder, out / "experiments" / name)
    if given.predictions.exists():
        shutil.copytree(given.predictions, out / "predictions", ignore=shutil.ignore_patterns("*.part"))
    for record in given.evidence:
        curve = given.runs / record.run_id / "out" / "metrics.jsonl"
        if record.phase == "confirm" and curve.is_file() and not curve.is_symlink():
            (out / "curves").mkdir(exist_ok=True)
            copy_file(curve, out / "curves" / f"{record.run_id}.jsonl")
    published, too_large = _copy_model(given, out)
    info = RunInfo(
        version=__version__,
        session=given.session,
        model=given.model,
        notes=(
            *given.notes,
            *(f"{name}, beside the published weights, is too large to be published" for name in too_large),
        ),
        blocked=given.blocked,
        amendments=given.amendments,
        questions=given.questions,
        discussion=given.discussion,
        published_run=published.run_id if published else "",
        brought=given.brought,
        brought_from=given.brought_from,
        quotes=given.quotes,
        builds_model=published is None or _builds_model(out, published),
    )
    _write_json(out / "run.json", info.model_dump(mode="json"))
    write_views(gather(given.plan, given.evidence, given.verdicts, info), out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    _write_json(out / "manifest.json", {str(path.relative_to(out)): file_hash(path) for path in files})


def write_views(facts: Facts, out: Path) -> None:
    """Card and report: pure functions of plan, evidence, verdicts and run.json, and the curves beside them."""
    (out / "README.md").write_text(render_card(facts))
    (out / "report.md").write_text(render_report_md(facts))
    (out / "report.html").write_text(render_report_html(facts, out / "curves"))


def _builds_model(out: Path, published: Evidence) -> bool:
    return (out / "config.json").is_file() and builds_the_model(out / "experiments" / published.experiment)


def _copy_model(given: PublishInput, out: Path) -> tuple[Evidence | None, tuple[str, ...]]:
    """The published run, and which of its files were too large to be copied."""
    for experiment in given.plan.experiments:
        record = best_run(experiment, given.evidence)
        folder = given.runs / record.run_id / "out" if record else None
        if record and folder and (folder / WEIGHTS).is_file():
            copy_file(folder / WEIGHTS, out / WEIGHTS)
            if experiment.data.task != "language-model":
                return record, copy_beside(folder, out)
            for name in beside_weights(folder):  # those that the harness takes to score it: nothing that holds code
                copy_file(folder / name, out / name)
            return record, ()
    return None, ()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
