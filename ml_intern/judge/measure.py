"""One run, measured: train, predict on inputs without labels, score. The script under test never marks itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_intern.judge import guards, language
from ml_intern.judge.alarms import too_good
from ml_intern.judge.answers import answers
from ml_intern.judge.audit import Audited, Rows
from ml_intern.judge.base_models import untrained
from ml_intern.judge.evidence import Evidence, Guard, Measured
from ml_intern.judge.job import Job, predicted_metrics, scored_metrics
from ml_intern.judge.lines import MOST_PREDICTED, TooLong, bounded_lines
from ml_intern.judge.metrics import OUTSIDE, PredictionError, chance_level, counted, score
from ml_intern.judge.model_files import beside_weights
from ml_intern.judge.nearness import curve_hash
from ml_intern.judge.scramble import ASIDE, weights_matter
from ml_intern.judge.sketch import kept, sketch
from ml_intern.judge.steps import (
    CAME,
    came_along,
    has_checkpoint,
    is_resumed,
    prediction,
    resumed,
    sealed_rows,
    training,
)
from ml_intern.judge.tables import file_hash, save_lines
from ml_intern.judge.weights import count_parameters, hash_of, tensor_digests, tensors_of
from ml_intern.run import journal
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import RunResult, RunSpec

_LONGEST_PREDICTION = 16_000_000  # characters of a line


def measure(job: Job, compute: Compute, stop: threading.Event) -> Evidence:
    """Carries out `job`. A run that fails is evidence too; only a run that cannot be started raises."""
    spec = lay_out(job, training(job))
    job.on_start(job.folder / "out" / "metrics.jsonl", spec.inputs if job.recorded else "")
    before = _tampered(job)
    trained = compute.execute(spec, stop)
    found = [
        *before,
        *_tampered(job),
        *guards.files_outside(job.folder, ("out", "cwd", "train.log", "train.run", CAME)),
    ]
    log = guards.training_log(job.folder / "out" / "metrics.jsonl")
    found += [*guards.diverged(log), *guards.unread_log(log)]
    if trained.outcome != "ok":
        return _evidence(job, compute, log, trained, [], found)
    results = [trained]
    if is_resumed(spec):
        where = " on another machine, and went on here" if (job.folder / CAME).exists() else " and went on"
        message = f"training was broken off{where} from its checkpoint"
        found.append(Guard(name="resumed", message=message, fatal=False))
    else:  # its clock and its steps began before
        found += guards.too_fast(log, trained.wall_seconds)
    if tensors_of(job.folder / "out" / "model.safetensors") is None:
        what = "train.py wrote no model.safetensors, or one that cannot be read"
        found.append(Guard(name="no weights", message=what, fatal=False))
        return _evidence(job, compute, log, trained, results, found, "invalid", what)
    try:
        by_row = _predictions(job, compute, stop, results, found)
        metrics = _score(job, by_row)
    except _StoppedError as error:
        return _evidence(job, compute, log, error.told, results, found, error.outcome, error.detail)
    except PredictionError as error:
        found.append(Guard(name="bad predictions", message=str(error), fatal=False))
        return _evidence(job, compute, log, results[-1], results, found, "invalid", str(error))
    scrambled, raised = "", list[Guard]()
    if job.canary and by_row and job.experiment.data.task != "language-model":
        scrambled, raised = weights_matter(job, compute, stop, by_row, results[-1], _read_predictions)
    found += raised
    simple, alarms = _held_against(job, metrics)
    found += alarms
    audited, released = _audit(job, by_row)
    metrics |= audited | _from_outside(job, trained)
    found += released
    saved, labels = _save_predictions(job, by_row)
    record = _evidence(job, compute, log, trained, results, found, metrics=metrics)
    added = {"predictions": saved, "labels": labels, "baselines": simple, "answers": _answers(job, by_row)}
    return record.model_copy(update={**added, "scrambled": scrambled})


def lay_out(job: Job, spec: RunSpec) -> RunSpec:
    """An empty output folder; or, after a crash, the one that the same training fills, or goes on to fill. Gives the
    training as it is to be started."""
    going_on = resumed(spec)
    known = journal.standing(spec.journal) if job.recorded else journal.Standing()
    for one in (spec, going_on):
        if known.is_of(one):
            # It may have come that far, too, or half of the way.
            for place in ("predict", ASIDE):
                journal.forget(job.folder / f"{place}.run")
                shutil.rmtree(job.folder / place, ignore_errors=True)
                (job.folder / f"{place}.log").unlink(missing_ok=True)
            return one
    journal.end_all(job.folder)
    stopped = known.result is None or known.result.outcome == "killed"
    ours = known.digest in (spec.digest(), going_on.digest()) and stopped
    theirs = job.recorded and not known.digest and came_along(job, spec)
    if (ours or theirs) and has_checkpoint(job):
        return going_on
    if job.folder.exists():
        shutil.rmtree(job.folder)
    (job.folder / "out").mkdir(parents=True)
    return spec


class _StoppedError(Exception):
    """A run that came to no predictions. `told`: the step that shows it; `outcome` and `detail` where they are not that
    step's own."""

    def __init__(self, told: RunResult, outcome: str = "", detail: str = "") -> None:
        self.told, self.outcome, self.detail = told, outcome, detail
        super().__init__(detail)


def _predictions(
    job: Job, compute: Compute, stop: threading.Event, results: list[RunResult], found: list[Guard]
) -> dict[int, Any]:
    """What the model predicts for each sealed row; adds its step to `results` and its guards to `found`. Raises
    _StoppedError and PredictionError."""
    rows = sealed_rows(job)
    if not rows:  # all that is measured is measured from outside
        return {}
    try:
        spec = prediction(job, rows)
        results.append(compute.execute(spec, stop))
        found += _tampered(job)
        if results[-1].outcome != "ok":
            raise _StoppedError(results[-1])
        out = job.folder / "predict" / "predictions.jsonl"
        if job.experiment.data.task == "language-model":
            language.check_scored(out)
    except language.ModelRefused as error:
        found.append(error.guard)
        raise _StoppedError(results[-1], "invalid", error.why) from None
    except OSError as error:  # a pipe, or a name that is taken
        what = f"What train.py wrote cannot be copied: {error}"[:1000]
        raise _StoppedError(results[-1], "invalid", what) from None
    return dict(zip(rows, _read_predictions(out, len(rows)), strict=True))


def _tampered(job: Job) -> list[Guard]:
    """Scripts and training data as they are now, against what the harness wrote."""
    columns = job.table.select(list(job.experiment.data.columns))
    parts = {part: columns.take(list(job.split.rows(part))) for part in ("train", "validation")}
    return [*guards.scripts_changed(job.script_hashes, job.scripts), *guards.data_changed(job.data, parts)]


def _read_predictions(path: Path, rows: int) -> list[Any]:
    if not path.is_file() or path.is_symlink():
        raise PredictionError("predict.py wrote no predictions.")
    predictions = []
    try:
        for number, line in enumerate(bounded_lines(path, _LONGEST_PREDICTION, MOST_PREDICTED), start=1):
            if number > rows:
                raise PredictionError(f"predict.py wrote more than {rows} lines for {rows} rows.")
            predictions.append(_prediction(number, line))
    except TooLong as error:
        raise PredictionError("The predictions are too long.", f"{error}", "Write fewer digits, or less.") from None
    if len(predictions) != rows:
        raise PredictionError(f"predict.py wrote {len(predictions)} lines for {rows} rows.")
    return predictions


def _prediction(number: int, line: str) -> Any:
    try:
        return json.loads(line)["prediction"]
    except (ValueError, KeyError, TypeError, RecursionError):
        what = f"Line {number} of the predictions is not a JSON object with 'prediction'."
        raise PredictionError(what) from None


def _score(job: Job, predictions: Mapping[int, Any]) -> dict[str, Measured]:
    """The metrics that are the harness's own, from predictions by row."""
    labels = job.table.column(job.experiment.data.label).to_pylist()
    audited = {metric.name for metric in job.experiment.audited}
    out = {}
    for metric in predicted_metrics(job.experiment, job.phase):
        if metric.name not in audited:
            rows = job.split.rows(metric.rows)
            wanted = [labels[row] for row in rows]
            given = [predictions[row] for row in rows]
            value, n = score(metric.name, given, wanted), counted(metric.name, given, wanted)
            out[metric.key] = Measured(value=value, n=n, chance=chance_level(metric.name, wanted))
    return out


def _answers(job: Job, predictions: Mapping[int, Any]) -> dict[str, str] | None:
    labels = job.table.column(job.experiment.data.label).to_pylist()
    return answers(predictions, labels) if predictions else None


def _held_against(job: Job, metrics: Mapping[str, Measured]) -> tuple[dict[str, dict[str, float]], list[Guard]]:
    """Scores of simple predictors beside each sealed score, and the alarms that follow."""
    simple: dict[str, dict[str, float]] = {}
    found: list[Guard] = []
    for metric in predicted_metrics(job.experiment, job.phase):
        measured = metrics.get(metric.key)
        if measured is None or measured.value is None or not metric.rows.startswith("test"):
            continue
        if scores := job.baselines.scores(metric.name, job.split.train, job.split.rows(metric.rows)):
            simple[metric.key] = scores
            found += too_good(metric, measured.value, scores, job.papers_numbers.get(metric.key))
    return simple, found


def _audit(job: Job, predictions: Mapping[int, Any]) -> tuple[dict[str, Measured], list[Guard]]:
    """The audited metrics, and what their canaries raised: then no number counts."""
    if job.auditor is None:
        return {}, []
    labels = job.table.column(job.experiment.data.label).to_pylist()
    names = {metric.name for metric in job.experiment.audited}
    wanted = [metric for metric in predicted_metrics(job.experiment, job.phase) if metric.name in names]
    found: dict[str, Audited] = {}
    for part in dict.fromkeys(metric.rows for metric in wanted):
        rows = job.split.rows(part)
        found[part] = job.auditor.audit(part, Rows([predictions[row] for row in rows], [labels[row] for row in rows]))
    raised = [guard for one in found.values() for guard in one.raised]
    metrics = {
        metric.key: Measured(value=None, n=0, trust="audited")
        if raised
        else Measured(
            value=found[metric.rows].values[metric.name],
            n=len(job.split.rows(metric.rows)),
            trust="audited",
            chance=found[metric.rows].chance[metric.name],
        )
        for metric in wanted
    }
    return metrics, raised


def _from_outside(job: Job, trained: RunResult) -> dict[str, Measured]:
    """What is measured on the training process and on the weights, not on predictions."""
    numbers = {
        "wall_seconds": trained.wall_seconds,
        "peak_memory_mb": trained.peak_memory_mb or None,  # a container's is not seen
        "parameters": count_parameters(job.folder / "out" / "model.safetensors"),
    }
    wanted = [metric for metric in scored_metrics(job.experiment, job.phase) if metric.name in OUTSIDE]
    return {
        metric.key: Measured(value=numbers[metric.name], n=int(numbers[metric.name] is not None)) for metric in wanted
    }


def _save_predictions(
    job: Job, predictions: Mapping[int, Any]
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Predictions and labels by part, compressed, so that anybody can score them again."""
    if job.phase != "confirm":
        return {}, {}
    values = job.table.column(job.experiment.data.label).to_pylist()
    slices = {row: name for name, rows in job.split.slices.items() for row in rows}
    saved, labels = {}, {}
    for part in sorted({metric.rows.split(":")[0] for metric in predicted_metrics(job.experiment, job.phase)}):
        rows = [row for row in job.split.rows(part) if row in predictions]
        base = f"{job.experiment.id}/{job.run_id}-{part}.jsonl.gz"
        saved[part] = save_lines(job.predictions, base, [{"prediction": predictions[row]} for row in rows])
        lines = [{"label": values[row], "slice": slices.get(row, ""), "row": row} for row in rows]
        digest = hashlib.sha256(json.dumps(lines, sort_keys=True, default=str).encode()).hexdigest()[:12]
        # Runs with the same split share one file of labels.
        labels[part] = save_lines(job.predictions, f"{job.experiment.id}/labels-{part}-{digest}.jsonl.gz", lines)
    return saved, labels


def _evidence(
    job: Job,
    compute: Compute,
    log: guards.TrainingLog,
    told: RunResult,
    results: Sequence[RunResult],
    found: Sequence[Guard],
    outcome: str = "",
    detail: str = "",
    metrics: dict[str, Measured] | None = None,
) -> Evidence:
    """The record; `log` is the training's, `told` the step that decides outcome and exit code, `results`
    all steps (training first)."""
    weights = job.folder / "out" / "model.safetensors"
    has_weights = weights.is_file() and not weights.is_symlink()
    steps = results or [told]
    digests = tensor_digests(weights)
    tensors = hash_of(digests) if digests is not None else ""
    sketches = (sketch(weights, job.plan, job.start) or ()) if job.start is not None else ()
    found = [*found, *job.warnings, *guards.names_matter(job.names)]
    found += untrained(tensors, digests or (), job.base_models, sketches)
    blank = {m.key: Measured(value=None, n=0) for m in scored_metrics(job.experiment, job.phase)}
    why = f"{told.detail}\n{told.tail[-1500:]}".strip() if told.outcome != "ok" else ""
    return Evidence.model_validate(
        {
            "run_id": job.run_id,
            "experiment": job.experiment.id,
            "variant": job.variant,
            "seed": job.seed,
            "phase": job.phase,
            "metrics": blank if metrics is None else metrics,
            "outcome": outcome or told.outcome,
            "exit_code": told.exit_code,
            "detail": detail or why,
            "guards": tuple(dict.fromkeys(found)),
            "plan": job.plan,
            "scripts": dict(job.script_hashes),
            "data": job.data_hash,
            "weights": file_hash(weights) if has_weights else "",
            "tensors": tensors,
            "sketch": kept(sketches),
            "model_files": beside_weights(job.folder / "out"),
            "curve": curve_hash(log.rows),
            "names": job.names,
            "base_models": tuple(model.shown for model in job.base_models),
            "environment": job.environment,
            "hardware": compute.hardware,
            "sandbox": told.sandbox,
            "threads": 1,
            "parameters": count_parameters(weights) if has_weights else None,
            "wall_seconds": round(sum(step.wall_seconds for step in steps), 3),
            "cpu_seconds": round(sum(step.cpu_seconds for step in steps), 3),
            "peak_memory_mb": round(max(step.peak_memory_mb for step in steps), 1),
            "smoke": job.smoke,
        }
    )
