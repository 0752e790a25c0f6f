"""The canary of weights: predictions must come from what training left in the weights.

The harness predicts once more from a copy of the model in which the numbers of every tensor have changed places and
half of them their sign. A script that looks the answers up, or makes them again, goes on as if nothing had happened. A
predict.py that fails, or predicts what is no prediction, on such weights has shown that it reads them.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ml_intern.judge.evidence import Guard
from ml_intern.judge.job import Job
from ml_intern.judge.metrics import PredictionError, ceiling, chance_level, higher_is_better, score
from ml_intern.judge.steps import prediction
from ml_intern.judge.weights import Tensor, tensors_of
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import RunResult

_CHUNK = 1 << 20  # numbers; those of a larger tensor change places within pieces
_WIDTHS = {"64": 8, "32": 4, "16": 2, "8": 1}
_ABOVE_CHANCE = 0.2  # of the way from chance to the best: less, and there is hardly anything to keep
_NEARLY_ALL = 0.9
_LONGER = 3.0  # than the prediction with the weights as they are: scrambled indices may lead in circles
_LEAST_SECONDS = 20.0
_SCORES = ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss", "mse", "mae", "r2", "exact_match")
_GUARD = "predictions without weights"
_PLACES = ("predict", "predict.log", "predict.run")
ASIDE = "predicted"  # where what was really predicted lies meanwhile


def weights_matter(
    job: Job,
    compute: Compute,
    stop: threading.Event,
    real: Mapping[int, Any],
    told: RunResult,
    read: Callable[[Path, int], list[Any]],
) -> tuple[str, list[Guard]]:
    """What came of it, in words, and the guards. `real`: the predictions by row, in the order asked; `told`: how
    that step went; `read`: reads a file of so many predictions. Raises KeyboardInterrupt when it is stopped."""
    rows = list(real)
    if len({repr(prediction) for prediction in real.values()}) < 2:
        return "not tried: every row has the same prediction", []
    words, found = "", list[Guard]()
    # Where a score hangs on the sign of a sum alone, it may be kept by luck: with the other half negated it is not.
    for other_half in (False, True):
        again = _predicted(job, compute, stop, rows, told, read, other_half)
        if isinstance(again, str):
            return again, []
        words, latest = judged(job, real, dict(zip(rows, again, strict=True)))
        found = latest if all(guard.fatal for guard in found) else found
        if not latest:
            return words, []
    return words, found


def _predicted(
    job: Job,
    compute: Compute,
    stop: threading.Event,
    rows: Sequence[int],
    told: RunResult,
    read: Callable[[Path, int], list[Any]],
    other_half: bool,
) -> list[Any] | str:
    """Predictions from scrambled weights, or why there are none. In the very place of the real ones: no path tells a
    script which of the two it is."""
    folder = job.folder
    kept = {folder / place: folder / place.replace("predict", ASIDE) for place in _PLACES}
    for place, aside in kept.items():
        if place.exists():
            place.rename(aside)
    try:
        spec = prediction(job, rows)
        weights = folder / "predict" / "model" / "model.safetensors"
        if not scramble(weights, job.plan, other_half):
            return "not tried: no tensor has numbers that could change places"
        seconds = min(spec.limits.seconds, max(_LEAST_SECONDS, _LONGER * told.wall_seconds))
        limits = spec.limits.model_copy(update={"seconds": seconds})
        result = compute.execute(spec.model_copy(update={"limits": limits}), stop)
        if result.outcome == "killed" and stop.is_set():
            raise KeyboardInterrupt
        if result.outcome != "ok":
            return f"with scrambled weights predict.py ended with: {result.outcome}"
        return read(folder / "predict" / "predictions.jsonl", len(rows))
    except PredictionError as error:
        return f"with scrambled weights: {error.what}"
    finally:
        shutil.rmtree(folder / "predict", ignore_errors=True)
        for place, aside in kept.items():
            with contextlib.suppress(OSError):  # nobody needs it any more
                aside.replace(place)


def judged(job: Job, real: Mapping[int, Any], again: Mapping[int, Any]) -> tuple[str, list[Guard]]:
    """What predictions from scrambled weights say about the real ones. Not fatal where a model that the plan names may
    stand behind them: there, what was trained may be little beside it."""
    alone = not job.base_models and job.provided.models is None
    if all(real[row] == again[row] for row in real):
        message = (
            f"{job.variant}: the predictions stay the same when the numbers in model.safetensors are scrambled: they do"
            " not come from the weights that train.py saved. predict.py must predict with them alone"
        )
        return "the predictions stayed the same", [Guard(name=_GUARD, message=message, fatal=alone)]
    labels = job.table.column(job.experiment.data.label).to_pylist()
    told: list[str] = []
    found: list[Guard] = []
    if job.smoke or job.phase != "confirm":  # hardly trained
        return "the predictions changed", []
    unknown = {metric.name for metric in job.experiment.audited}
    for metric in job.experiment.all_metrics:
        if metric.name in unknown or metric.name not in _SCORES or not metric.rows.startswith("test"):
            continue
        part = job.split.rows(metric.rows)
        wanted = [labels[row] for row in part]
        try:
            scores = [score(metric.name, [given[row] for row in part], wanted) for given in (real, again)]
        except PredictionError as error:
            return f"with scrambled weights: {error.what}", []
        told.append(f"{metric.key} {scores[0]:.4g}, scrambled {scores[1]:.4g}")
        simple = job.baselines.scores(metric.name, job.split.train, part)
        if kept := _keeps(metric.name, scores[0], scores[1], chance_level(metric.name, wanted), simple):
            message = (
                f"{job.variant}: {metric.key} is {scores[0]:.4g}, and still {scores[1]:.4g} when the numbers in"
                " model.safetensors are scrambled: what is predicted hardly comes from the weights"
            )
            found.append(Guard(name=_GUARD, message=message, fatal=alone and kept == "all"))
    return "; ".join(told) or "the predictions changed", found


def _keeps(name: str, real: float, again: float, chance: float | None, simple: Mapping[str, float]) -> str:
    """`all`: scrambled weights keep what is better than simple predictors are; `most`: than chance is; else empty. A
    part of a pipeline that is not learnt may be as good as a simple predictor, and is no lookup."""
    best = ceiling(name)
    level = 0.0 if name == "exact_match" else chance
    if best is None or level is None or math.isclose(best, level) or (real - level) / (best - level) < _ABOVE_CHANCE:
        return ""
    nearest = (max if higher_is_better(name) else min)((level, *simple.values()))
    if (again - level) / (real - level) < _NEARLY_ALL:
        return ""
    beats = (real - nearest) / (best - level) > 0 and (again - nearest) / (real - nearest) >= _NEARLY_ALL
    return "all" if beats and simple else "most"


def scramble(path: Path, key: str, other_half: bool = False) -> bool:
    """Changes the file: the numbers of each tensor change places, and half of those with a sign their sign; of numbers
    that stand alone the sign. False, and nothing changed, where every tensor is one number, again and again."""
    tensors = tensors_of(path)
    if tensors is None:
        return False
    with path.open("r+b") as file:
        if not any(_varies(file, tensor) for tensor in tensors):
            return False
        for tensor in tensors:
            _scramble(file, tensor, key, other_half)
    return True


def _width(tensor: Tensor) -> int:
    """Bytes of a number; 1 for what has no such width."""
    return next((width for bits, width in _WIDTHS.items() if tensor.dtype.endswith(bits)), 1)


def _pieces(file: BinaryIO, tensor: Tensor) -> Iterator[tuple[int, Any]]:
    """(place, numbers as rows of bytes)."""
    import numpy as np

    width = _width(tensor)
    for begin in range(tensor.begin, tensor.end, _CHUNK * width):
        file.seek(begin)
        data = file.read(min(_CHUNK * width, tensor.end - begin))
        yield begin, np.frombuffer(data, "u1").reshape(-1, width)


def _varies(file: BinaryIO, tensor: Tensor) -> bool:
    return any(len(numbers) > 1 and bool((numbers != numbers[0]).any()) for _, numbers in _pieces(file, tensor))


def _scramble(file: BinaryIO, tensor: Tensor, key: str, other_half: bool) -> None:
    import numpy as np

    signed = tensor.dtype in ("F64", "F32", "F16", "BF16")
    for begin, numbers in _pieces(file, tensor):
        drawn = hashlib.sha256(f"{key}/{begin}/{len(numbers)}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(drawn[:8], "little")).permutation(len(numbers))
        changed = numbers[order].copy()
        if signed:
            half = (len(numbers) + 1) // 2
            changed[order[half:] if other_half else order[:half], -1] ^= 0x80
        file.seek(begin)
        file.write(changed.tobytes())
