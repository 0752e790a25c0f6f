"""The two steps of a run, as RunSpecs: training on the open rows, then prediction on the sealed ones.

What a step may see and write stands here and nowhere else; an isolating sandbox shows it nothing more.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_intern.judge import language
from ml_intern.judge.base_models import own_files, own_folders
from ml_intern.judge.job import Job, predicted_metrics
from ml_intern.judge.tables import write_table
from ml_intern.plan.plan import Experiment
from ml_intern.run.network.hosts import hub_variables
from ml_intern.run.resources.broker import Provided
from ml_intern.run.sandbox.warm import libraries_of
from ml_intern.run.spec import Libraries, Limits, RunSpec
from ml_intern.session.copies import copy_file


@dataclass(frozen=True)
class Sight:
    """What the executor's own commands may see, read-only, and their limits: no more than training on an exploration
    seed. `data`: the folder of train/ and validation/, where they have been made."""

    scripts: Path
    data: Path | None
    reads: tuple[Path, ...]
    lists: tuple[Path, ...]
    environment: dict[str, str]
    limits: Limits


def sight(experiment: Experiment, provided: Provided, scripts: Path, data: Path | None) -> Sight:
    reads = (scripts, *([data] if data else []), *own_files(experiment), *provided.reads)
    lists = tuple(own_folders(experiment))
    return Sight(scripts, data, reads, lists, provided.environment, _limits(experiment))


def training(job: Job) -> RunSpec:
    """Sees scripts, its two tables and the models that it starts from; writes to out/."""
    out = job.folder / "out"
    arguments = ["--data", str(job.data), "--out", str(out), "--variant", job.variant, "--seed", str(job.seed)]
    return RunSpec(
        run_id=job.run_id,
        script=job.scripts / "train.py",
        arguments=(*arguments, "--smoke") if job.smoke else tuple(arguments),
        cwd=job.folder / "cwd",
        log=job.folder / "train.log",
        reads=(job.scripts, job.data, *own_files(job.experiment), *job.provided.reads),
        lists=tuple(own_folders(job.experiment)),
        writes=(out,),
        environment=job.provided.environment | hub_variables(job.experiment.hosts),
        warm=_fork_of(job),
        proxy=job.proxy,
        inputs=_hash_of_inputs(job),
        gpu=True,
        limits=_limits(job.experiment),
    )


_RESUME = "--resume"
CHECKPOINT = "checkpoint"  # beneath OUT: what a training script keeps for itself, to go on from
CAME = "came.json"  # beside OUT: of which inputs a checkpoint is that came from another machine


def resumed(spec: RunSpec) -> RunSpec:
    """The same training, told to go on from its checkpoint."""
    return spec.model_copy(update={"arguments": (*spec.arguments, _RESUME)})


def is_resumed(spec: RunSpec) -> bool:
    return spec.arguments[-1:] == (_RESUME,)


def has_checkpoint(job: Job) -> bool:
    """Whether a training that was broken off left something that its script can go on from. Not where its time or
    memory is what is measured."""
    measured = any(metric.name in ("wall_seconds", "peak_memory_mb") for metric in job.experiment.all_metrics)
    kept = job.folder / "out" / CHECKPOINT
    if measured or not kept.is_dir() or kept.is_symlink() or not any(kept.iterdir()):
        return False
    return _RESUME.encode() in (job.scripts / "train.py").read_bytes()


def came_along(job: Job, spec: RunSpec) -> bool:
    """Whether what lies in OUT came from another machine, where it was made of the very same inputs."""
    try:
        told = json.loads((job.folder / CAME).read_bytes())
        return bool(told["inputs"] == spec.inputs)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def sealed_rows(job: Job) -> list[int]:
    """All rows to predict, in an order that tells nothing about the part that a row belongs to."""
    import numpy as np

    rows: set[int] = set()
    for metric in predicted_metrics(job.experiment, job.phase):
        rows.update(job.split.rows(metric.rows))
    ordered = sorted(rows)
    order = np.random.default_rng(job.seed).permutation(len(ordered))
    return [ordered[index] for index in order]


def prediction(job: Job, rows: Sequence[int]) -> RunSpec:
    """The model under a neutral name, without the log of its training, beside inputs without labels. Lays them out.
    Raises OSError and ModelRefused."""
    folder = job.folder / "predict"
    own = job.experiment.data.task == "language-model"
    if own:
        language.take_model(job.folder / "out", folder / "model")
    else:
        hidden = shutil.ignore_patterns("metrics.jsonl", CHECKPOINT)
        shutil.copytree(job.folder / "out", folder / "model", symlinks=True, ignore=hidden, copy_function=_copy)
    write_table(job.table.select(list(job.experiment.data.inputs)).take(list(rows)), folder / "inputs")
    out = folder / "predictions.jsonl"
    arguments: tuple[str, ...] = (
        "--model",
        str(folder / "model"),
        "--inputs",
        str(folder / "inputs"),
        "--out",
        str(out),
    )
    if own:
        arguments = language.arguments(job.experiment, folder / "model", folder / "inputs", out)
    return RunSpec(
        run_id=job.run_id,
        script=language.SCORER if own else job.scripts / "predict.py",
        arguments=arguments,
        cwd=folder / "cwd",
        log=job.folder / "predict.log",
        reads=(folder / "model", folder / "inputs", *(() if own else job.provided.reads)),
        writes=(folder,),
        warm="transformers" if own else libraries_of(job.scripts),
        environment={} if own else job.provided.environment,
        gpu=True,
        limits=_limits(job.experiment),
    )


def _copy(source: str, target: str) -> None:
    copy_file(source, target)
    shutil.copymode(source, target)


def _fork_of(job: Job) -> Libraries | None:
    """None where the training process itself is measured: a fork has memory and imports that were there before."""
    measured = any(metric.name in ("wall_seconds", "peak_memory_mb") for metric in job.experiment.all_metrics)
    return None if measured else libraries_of(job.scripts)


def _limits(experiment: Experiment) -> Limits:
    return Limits(seconds=experiment.timeout_seconds, memory_mb=experiment.memory_mb)


def _hash_of_inputs(job: Job) -> str:
    """Everything that could make the same command come out differently."""
    parts = [
        job.plan,
        job.environment,
        job.data_hash,
        job.provided.digest,
        *(f"{name}={one}" for name, one in sorted(job.script_hashes.items())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
