"""Metrics, computed by the harness from predictions and labels alone. Knows nothing of who predicted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ml_intern.errors import MlInternError


class PredictionError(MlInternError):
    """Predictions of the wrong number, type or shape, or that are not finite."""


class LabelsError(PredictionError):
    """Labels on which a metric has no value, whatever is predicted."""


Task = str
_BINS = 15
# Measured from outside the run, one number each: seconds and MiB of the training step, numbers in the weights. Seconds
# are noisy where runs go side by side.
OUTSIDE = ("wall_seconds", "peak_memory_mb", "parameters")


def score(name: str, predictions: Sequence[Any], labels: Sequence[Any]) -> float:
    """Metric `name` of predictions against labels, row by row. `ece:100` sets the number of bins.

    classification predicts class probabilities (labels: class numbers), regression numbers, sequence strings;
    language-model gives {"nll", "tokens"} of each text (labels: the texts), see `text/score_texts.py`. Its losses are
    nats per token of the model's own tokenizer, so they compare only models with the same one; bits per byte compare
    any. Raises PredictionError, or LabelsError where predictions have no part in it; an unknown name is a KeyError.
    """
    base, _, option = name.partition(":")
    task, _, function = _METRICS[base]
    if len(predictions) != len(labels):
        raise PredictionError(f"There are {len(predictions)} predictions for {len(labels)} rows.")
    check_labels(name, labels)
    if task == "classification":
        value = function(*_probabilities(predictions, labels), option)
    elif task == "regression":
        value = function(*_numbers(predictions, labels), option)
    elif task == "language-model":
        value = function(*_likelihoods(predictions, labels), option)
    else:
        value = function(*_strings(predictions, labels), option)
    if not math.isfinite(value):
        raise PredictionError(f"The metric {name} is not finite.")
    return float(value)


def check_labels(name: str, labels: Sequence[Any]) -> None:
    """Raises LabelsError where metric `name` has no value on rows with these labels. Needs no predictions, so what
    cannot be measured is known before anything runs."""
    base = name.partition(":")[0]
    task = _METRICS[base][0]
    if not labels:
        raise LabelsError("There are no rows to score.")
    if task == "classification":
        _check_classes(labels)
        if base == "auc" and len({int(label) for label in labels}) < 2:
            raise LabelsError("AUC needs rows of at least two classes.", f"all are of class {labels[0]}")
    elif task == "regression":
        _check_numbers(labels, must_differ=base == "r2")
    elif task == "language-model" and not sum(_sizes(labels)):
        raise LabelsError("There is no text to score.")


def is_metric(name: str) -> bool:
    """True for what the harness computes itself: from predictions, or from outside the run."""
    if name in OUTSIDE:
        return True
    base, _, option = name.partition(":")
    return base in _METRICS and (
        not option or (base in ("ece", "overconfidence") and option.isdigit() and int(option) > 0)
    )


def fits(name: str, task: str) -> bool:
    """True for a metric that the harness has for this task."""
    return is_metric(name) and name.partition(":")[0] in metric_names(task)


def metric_names(task: str) -> list[str]:
    return [*(name for name, (kind, _, _) in _METRICS.items() if kind == task), *OUTSIDE]


def counted(name: str, predictions: Sequence[Any], labels: Sequence[Any]) -> int:
    """What a metric is a mean over: rows; of language models tokens or bytes. That a variant's tokenizer cuts the same
    texts into fewer tokens shows here, and `guards.different_n` sees it."""
    if _METRICS[name.partition(":")[0]][0] != "language-model":
        return len(labels)
    likelihoods, sizes = _likelihoods(predictions, labels)
    return sum(sizes) if name == "bits_per_byte" else sum(tokens for _, tokens in likelihoods)


def higher_is_better(name: str) -> bool:
    return name not in OUTSIDE and _METRICS[name.partition(":")[0]][1]


def chance_level(name: str, labels: Sequence[Any]) -> float | None:
    """What a predictor that ignores its input reaches on these rows: with their class shares, or their mean. None where
    it has no meaning."""
    import numpy as np

    base = name.partition(":")[0]
    task = _METRICS[base][0]
    if task == "classification":
        _check_classes(labels)
        classes = max(2, max(int(label) for label in labels) + 1)  # rows of class 0 alone are of two classes, too
        shares = [sum(int(label) == k for label in labels) / len(labels) for k in range(classes)]
        return score(name, [shares] * len(labels), labels)
    if task == "regression":
        return score(name, [np.asarray(labels, dtype=float).mean(0).tolist()] * len(labels), labels)
    return None


def ceiling(name: str) -> float | None:
    """The best value a metric can take, where it has one."""
    if name in OUTSIDE:
        return None
    return _CEILINGS[name.partition(":")[0]]


def _check_classes(labels: Sequence[Any]) -> None:
    """Raises LabelsError for labels that are no class numbers: -1 would be scored as the last class."""
    odd = [label for label in labels if not _is_class(label)]
    if odd:
        raise LabelsError(
            "The labels of a classification must be whole numbers from 0 on.",
            f"one of them is {odd[0]!r}"[:200],
            "Number the classes 0, 1, 2, … in data.py: -1 and 1 become 0 and 1, names become numbers.",
        )


def _is_class(label: Any) -> bool:
    try:
        return label.isdecimal() if isinstance(label, str) else bool(int(label) == label and label >= 0)
    except (TypeError, ValueError, OverflowError):
        return False


def _check_numbers(labels: Sequence[Any], must_differ: bool) -> None:
    import numpy as np

    try:
        wanted = np.asarray(labels, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelsError("The labels of a regression must be numbers.", str(error)) from None
    if not np.isfinite(wanted).all():
        raise LabelsError("A label is NaN or infinite, or missing.", next="Leave such rows out in data.py.")
    # Equal labels have a variance as soon as their mean is rounded; very small ones that differ may have none.
    if must_differ and (wanted.min() == wanted.max() or not ((wanted - wanted.mean()) ** 2).sum()):
        raise LabelsError("R² needs labels that differ.", f"they lie between {wanted.min()} and {wanted.max()}")


def _probabilities(predictions: Sequence[Any], labels: Sequence[Any]) -> tuple[Any, Any]:
    import numpy as np

    try:
        matrix = np.asarray(predictions, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError("Predictions must be lists of class probabilities.", str(error)) from None
    classes = np.asarray(labels, dtype=int)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise PredictionError("Predictions must be lists of class probabilities, all of one length.")
    if not np.isfinite(matrix).all():
        raise PredictionError("A predicted probability is NaN or infinite.")
    if (matrix < -1e-6).any() or (abs(matrix.sum(1) - 1) > 1e-3).any():
        raise PredictionError("Predicted probabilities must be at least 0 and sum to 1.")
    if classes.max() >= matrix.shape[1]:
        raise PredictionError(f"Label {classes.max()} has no probability: only {matrix.shape[1]} are predicted.")
    return matrix, classes


def _numbers(predictions: Sequence[Any], labels: Sequence[Any]) -> tuple[Any, Any]:
    import numpy as np

    try:
        predicted = np.asarray(predictions, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError("Predictions must be numbers.", str(error)) from None
    wanted = np.asarray(labels, dtype=float)
    if predicted.shape != wanted.shape:
        raise PredictionError(f"Predictions have shape {predicted.shape}, labels {wanted.shape}.")
    if not np.isfinite(predicted).all():
        raise PredictionError("A prediction is NaN or infinite.")
    return predicted, wanted


def _strings(predictions: Sequence[Any], labels: Sequence[Any]) -> tuple[list[str], list[str]]:
    if not all(isinstance(prediction, str) for prediction in predictions):
        raise PredictionError("Predictions must be strings.")
    if any("\ud800" <= character <= "\udfff" for prediction in predictions for character in prediction):
        raise PredictionError("A prediction is no valid Unicode: it holds half of a character.")
    return list(predictions), [str(label) for label in labels]


def _likelihoods(predictions: Sequence[Any], labels: Sequence[Any]) -> tuple[list[tuple[float, int]], list[int]]:
    """[(nats, tokens)] and the bytes of each text; whitespace at either end of a text is not scored."""
    sizes = _sizes(labels)
    try:
        found = [(float(row["nll"]), int(row["tokens"])) for row in predictions]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise PredictionError("A text's likelihood must be an object with nll and tokens.", str(error)) from None
    if not all(math.isfinite(nll) and nll >= 0 and tokens >= 0 for nll, tokens in found):
        raise PredictionError("A text's likelihood is NaN, infinite or above 1.")
    if not sum(tokens for _, tokens in found):
        raise PredictionError("There is no token to score.")
    return found, sizes


def _sizes(texts: Sequence[Any]) -> list[int]:
    return [len(str(text).strip().encode()) for text in texts]


def _token_loss(likelihoods: list[tuple[float, int]], _sizes: list[int], _: str) -> float:
    return math.fsum(nll for nll, _tokens in likelihoods) / sum(tokens for _nll, tokens in likelihoods)


def _perplexity(likelihoods: list[tuple[float, int]], sizes: list[int], option: str) -> float:
    loss = _token_loss(likelihoods, sizes, option)
    return math.exp(loss) if loss < 700 else math.inf


def _bits_per_byte(likelihoods: list[tuple[float, int]], sizes: list[int], _: str) -> float:
    return math.fsum(nll for nll, _tokens in likelihoods) / math.log(2) / sum(sizes)


def _accuracy(p: Any, y: Any, _: str) -> float:
    return float((p.argmax(1) == y).mean())


def _balanced_accuracy(p: Any, y: Any, _: str) -> float:
    right = p.argmax(1) == y
    classes = sorted(set(y.tolist()))
    return math.fsum(float(right[y == k].mean()) for k in classes) / len(classes)


def _f1(p: Any, y: Any, _: str) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, p.argmax(1), average="macro", zero_division=0))


def _auc(p: Any, y: Any, _: str) -> float:
    """Area under the ROC curve. With more than two probabilities, the mean over the classes that the rows have of each
    class against the rest; a class that no row is of has no curve and does not count."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if p.shape[1] == 2:
        return float(roc_auc_score(y, p[:, 1]))
    p = p / p.sum(1, keepdims=True)
    return float(np.mean([roc_auc_score(y == k, p[:, k]) for k in sorted(set(y.tolist()))]))


def _log_loss(p: Any, y: Any, _: str) -> float:
    import numpy as np

    return float(0.0 - np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1)).mean())  # never -0


def _binned(p: Any, y: Any, option: str) -> list[tuple[float, float, float]]:
    """(share of rows, mean confidence, accuracy) of each non-empty confidence bin of equal width."""
    confidence, right = p.max(1), p.argmax(1) == y
    bins = int(option or _BINS)
    places = ((confidence * bins).astype(int)).clip(0, bins - 1)
    out = []
    for k in range(bins):
        inside = places == k
        if inside.any():
            out.append((float(inside.mean()), float(confidence[inside].mean()), float(right[inside].mean())))
    return out


def _ece(p: Any, y: Any, option: str) -> float:
    """Expected calibration error (Naeini et al. 2015)."""
    return math.fsum(share * abs(accuracy - confidence) for share, confidence, accuracy in _binned(p, y, option))


def _overconfidence(p: Any, y: Any, option: str) -> float:
    """Overconfidence error (Thulasidasan et al. 2019, section 3.2)."""
    return math.fsum(
        share * confidence * max(confidence - accuracy, 0.0) for share, confidence, accuracy in _binned(p, y, option)
    )


def _mse(p: Any, y: Any, _: str) -> float:
    return float(((p - y) ** 2).mean())


def _mae(p: Any, y: Any, _: str) -> float:
    return float(abs(p - y).mean())


def _r2(p: Any, y: Any, _: str) -> float:
    return 1 - float(((p - y) ** 2).sum()) / float(((y - y.mean()) ** 2).sum())


def _exact_match(p: list[str], y: list[str], _: str) -> float:
    return sum(a.strip() == b.strip() for a, b in zip(p, y, strict=True)) / len(y)


def _token_accuracy(p: list[str], y: list[str], _: str) -> float:
    """Share of reference tokens (split at spaces) that stand at their place in the prediction; extra tokens count."""
    right = total = 0
    for a, b in zip(p, y, strict=True):
        first, second = a.split(), b.split()
        right += sum(u == v for u, v in zip(first, second, strict=False))
        total += max(len(first), len(second))
    return right / total if total else 0.0


def _bleu(p: list[str], y: list[str], _: str) -> float:
    import sacrebleu

    return float(sacrebleu.corpus_bleu(p, [y]).score)


def _chrf(p: list[str], y: list[str], _: str) -> float:
    import sacrebleu

    return float(sacrebleu.corpus_chrf(p, [y]).score)


_METRICS: dict[str, tuple[Task, bool, Callable[[Any, Any, str], float]]] = {
    "accuracy": ("classification", True, _accuracy),
    "balanced_accuracy": ("classification", True, _balanced_accuracy),
    "f1": ("classification", True, _f1),
    "auc": ("classification", True, _auc),
    "log_loss": ("classification", False, _log_loss),
    "ece": ("classification", False, _ece),
    "overconfidence": ("classification", False, _overconfidence),
    "mse": ("regression", False, _mse),
    "mae": ("regression", False, _mae),
    "r2": ("regression", True, _r2),
    "exact_match": ("sequence", True, _exact_match),
    "sequence_accuracy": ("sequence", True, _exact_match),
    "token_accuracy": ("sequence", True, _token_accuracy),
    "bleu": ("sequence", True, _bleu),
    "chrf": ("sequence", True, _chrf),
    "lm_loss": ("language-model", False, _token_loss),
    "perplexity": ("language-model", False, _perplexity),
    "bits_per_byte": ("language-model", False, _bits_per_byte),
    "masked_lm_loss": ("language-model", False, _token_loss),
}

_CEILINGS: dict[str, float] = {
    **{name: 0.0 for name, (_, higher, _) in _METRICS.items() if not higher},
    **{name: 1.0 for name, (_, higher, _) in _METRICS.items() if higher},
    "bleu": 100.0,
    "chrf": 100.0,
    "perplexity": 1.0,
}
