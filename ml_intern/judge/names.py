"""The canary of names: a variant's name is a label, and what makes it another variant are its settings in the plan.

The harness trains the settings of one variant under the names of others, at smoke size: settings.json with the two
exchanged, the same seed. Other weights then mean that train.py does something by name that no person has approved, such
as to train the baseline badly. A script that spoils a variant by its settings, or only without --smoke, is not seen.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ml_intern.judge.evidence import NamesCheck
from ml_intern.judge.guards import script_hashes
from ml_intern.judge.job import Job
from ml_intern.judge.measure import lay_out
from ml_intern.judge.sketch import apart
from ml_intern.judge.steps import CHECKPOINT, training
from ml_intern.judge.tables import file_hash
from ml_intern.judge.weights import tensors_hash
from ml_intern.plan.plan import Experiment
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import RunResult
from ml_intern.session.disk import write_whole

_TRAININGS = 2  # besides a smoke run that was made anyway
_NOISE = 10  # times what two trainings under one name are apart


@dataclass(frozen=True)
class Trained:
    """A training under the name `variant`: how it ended, and the folder that it wrote."""

    variant: str
    out: Path
    result: RunResult | None = None  # of a smoke run that was made before

    @property
    def ok(self) -> bool:
        return (self.result is None or self.result.outcome == "ok") and self.weights.is_file()

    @property
    def weights(self) -> Path:
        return self.out / "model.safetensors"

    def left(self) -> dict[str, str]:
        """Hashes of what it left for predict.py, by name; of weights, of the numbers alone."""
        paths = [path for path in self.out.rglob("*") if path.is_file() and not path.is_symlink()]
        names = {path.relative_to(self.out): path for path in paths}
        return {
            str(name): tensors_hash(path) or file_hash(path)
            for name, path in names.items()
            if name.parts[0] not in ("metrics.jsonl", CHECKPOINT)
        }


def pair(experiment: Experiment) -> tuple[str, str] | None:
    """(baseline, method) of the first contrast that has both; else the first two variants. None where there is one."""
    for test in experiment.tests:
        ordered = sorted(test.contrast, key=lambda name: test.contrast[name])
        if test.contrast[ordered[0]] < 0 < test.contrast[ordered[-1]]:
            return ordered[0], ordered[-1]
    names = [variant.name for variant in experiment.variants]
    return (names[1], names[0]) if len(names) > 1 else None


def names_only(experiment: Experiment) -> tuple[str, str] | None:
    """Two variants that a test compares although the plan gives them the same settings."""
    settings = {variant.name: variant.settings for variant in experiment.variants}
    for test in experiment.tests:
        compared = [name for name, weight in test.contrast.items() if weight]
        for place, name in enumerate(compared):
            for other in compared[place + 1 :]:
                if settings[name] == settings[other]:
                    return name, other
    return None


def checked(
    experiment: Experiment,
    path: Path,
    known: Trained | None,
    job_of: Callable[[str], Job],
    compute: Compute,
    stop: threading.Event,
) -> NamesCheck | None:
    """What is known by `path`, or is found out and kept there. `known`: the last smoke run, where it was made with
    these scripts; `job_of`: the same of any variant. None where there is one variant. Raises KeyboardInterrupt."""
    both = pair(experiment)
    if both is None:
        return None
    found = remembered(path)
    if found is not None and found.outcome != "unknown":
        return found
    if not any(variant.settings for variant in experiment.variants if variant.name in both):
        return keep(NamesCheck(outcome="names only", settings_of=both[0], names=both[1:]), path)
    # The plan alone says whose settings: what was smoked last is forgotten in a crash, and must change no record.
    chosen = next(variant.name for variant in experiment.variants if variant.name in both)
    known = known if known is not None and known.variant == chosen else None
    return keep(exchanged(job_of(chosen), known, compute, stop), path)


def remembered(path: Path) -> NamesCheck | None:
    """What was found out and kept in a file."""
    with contextlib.suppress(OSError, ValueError):
        return NamesCheck.model_validate_json(path.read_bytes())
    return None


def keep(check: NamesCheck, path: Path) -> NamesCheck:
    write_whole(path, check.model_dump_json())
    return check


def exchanged(job: Job, known: Trained | None, compute: Compute, stop: threading.Event) -> NamesCheck:
    """Trains the settings of `job`'s variant under other names. `known`: a smoke run of it that was made with the same
    scripts and seed. Raises KeyboardInterrupt when it is stopped."""
    first = known or _train(job, job.variant, "own", compute, stop)
    names = _others(job.experiment, job.variant)[:_TRAININGS]
    checked = {"settings_of": job.variant, "names": tuple(names)}
    if not first.ok:
        return NamesCheck(outcome="unknown", detail=_ended(first), **checked)
    with ThreadPoolExecutor(max_workers=max(1, compute.slots)) as pool:
        others = list(pool.map(lambda name: _train(job, name, f"as-{name}", compute, stop), names))
    if odd := [one for one in others if not one.ok]:
        failed = odd[0].result is not None and odd[0].result.outcome in ("ok", "failed")
        return NamesCheck(outcome="differ" if failed else "unknown", detail=_ended(odd[0]), **checked)
    own, left = first.left(), {one.variant: one.left() for one in others}
    different = [one for one in others if left[one.variant] != own]
    if not different:
        return NamesCheck(outcome="same", **checked)
    # What is another one each time (a date, a path, a training that does not repeat) says nothing of the name.
    again = _train(job, job.variant, "again", compute, stop)
    steady = own.items() & again.left().items() if again.ok else own.items()
    names_repeat = again.ok and again.left().keys() == own.keys()
    for one in different:
        theirs = left[one.variant]
        added = theirs.keys() - own.keys() if names_repeat else set()
        if changed := sorted(added | {name for name, digest in steady if theirs.get(name) != digest}):
            detail = f"under the name {one.variant} another {', '.join(changed)[:300]} came out"
            return NamesCheck(outcome="differ", detail=detail, **checked)
    if "model.safetensors" in dict(steady):
        return NamesCheck(outcome="same", **checked)
    furthest = max(apart(first.weights, one.weights) for one in different)
    noise = apart(first.weights, again.weights)
    told = f"the weights are {furthest:.2g} of their size away, those of two trainings under one name {noise:.2g}"
    return NamesCheck(outcome="within noise" if furthest <= _NOISE * noise else "differ", detail=told, **checked)


def _others(experiment: Experiment, name: str) -> list[str]:
    """Every other variant, those first that a test compares with `name`."""
    compared = [other for test in experiment.tests if name in test.contrast for other in test.contrast]
    rest = [variant.name for variant in experiment.variants]
    return [other for other in dict.fromkeys((*compared, *rest)) if other != name]


def _train(job: Job, name: str, label: str, compute: Compute, stop: threading.Event) -> Trained:
    """Trains with the settings of `job.variant` under `name`, from a copy of the scripts in which the two have changed
    places."""
    folder = job.folder.with_name(f"{job.folder.name}-{label}")
    scripts = folder.with_name(f"{folder.name}-scripts")
    shutil.rmtree(scripts, ignore_errors=True)
    shutil.copytree(job.scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    _exchange(scripts / "settings.json", job.variant, name)
    there = replace(
        job, variant=name, scripts=scripts, script_hashes=script_hashes(scripts), folder=folder, recorded=False
    )
    result = compute.execute(lay_out(there, training(there)), stop)
    shutil.rmtree(scripts, ignore_errors=True)
    if result.outcome == "killed" and stop.is_set():
        raise KeyboardInterrupt
    return Trained(name, folder / "out", result)


def _exchange(path: Path, one: str, other: str) -> None:
    settings = json.loads(path.read_text())
    variants = settings["variants"]
    variants[one], variants[other] = variants[other], variants[one]
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _ended(trained: Trained) -> str:
    result = trained.result
    if result is None or result.outcome == "ok":
        return f"under the name {trained.variant} there are no weights"
    return f"under the name {trained.variant}: {result.outcome}. {result.detail}\n{result.tail[-700:]}".strip()
