"""The split: drawn by the harness, never by a script, and checked for leaks before anything is trained on it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_intern.judge.evidence import Guard
from ml_intern.judge.leaks import almost_classes, almost_numbers, share_inside
from ml_intern.judge.tables import DataError
from ml_intern.plan.plan import DataSpec

_FIXED_SEED = 20240101
_FEW_TRAIN, _MANY_TESTS = 4_000, 1_000  # rows that are compared, all with all
_MANY_TRAIN, _FEW_TESTS = 20_000, 200  # of a larger table; the same work
_ON_A_LINE = 0.1  # share of sealed rows; by chance it is 0.014
_PUNCTUATION = ".,;:!?…\"'“”‘’()"
_SENTENCE = 3  # words of letters


@dataclass(frozen=True)
class Split:
    """Row numbers of each part; `slices` are the named parts of `test` (test:NAME). All disjoint across parts."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    slices: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def rows(self, on: str) -> tuple[int, ...]:
        """Rows of `train`, `validation`, `test` or `test:SLICE`. Raises DataError for a slice that is not there."""
        if on.startswith("test:"):
            name = on.removeprefix("test:")
            if name not in self.slices:
                raise DataError(
                    f"The plan scores on {on}, but data.py marks no such rows.", f"there are {self.named()}"
                )
            return self.slices[name]
        return {"train": self.train, "validation": self.validation, "test": self.test}[on]

    def named(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        parts |= {f"test:{name}": rows for name, rows in self.slices.items()}
        return ", ".join(f"{name} {len(rows)}" for name, rows in parts.items())


def draw_split(table: Any, data: DataSpec, seed: int) -> Split:
    """The split of a seed. Rows with identical inputs stay together; classes keep their shares. Raises DataError."""
    for column in data.columns:
        if column not in table.column_names:
            raise DataError(
                f"The table has no column {column!r}.",
                f"it has {', '.join(table.column_names)}",
                "data.py must write the plan's input and label columns.",
            )
    if data.split == "given":
        return _given(table)
    if "split" in table.column_names:
        raise DataError("data.py wrote a split column, but the plan lets the harness draw the split.")
    return _drawn(table, data, _FIXED_SEED if data.split == "fixed" else seed)


def _given(table: Any) -> Split:
    if "split" not in table.column_names:
        raise DataError("The plan's split is given by the data, but the table has no column 'split'.")
    parts: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(table.column("split").to_pylist()):
        parts[str(name)].append(row)
    unknown = [name for name in parts if name not in ("train", "validation", "test") and not name.startswith("test:")]
    if unknown:
        raise DataError(f"The split column holds {unknown[0]!r}.", "train, validation, test and test:NAME are allowed")
    slices = {name.removeprefix("test:"): tuple(rows) for name, rows in parts.items() if name.startswith("test:")}
    test = tuple(sorted(row for name, rows in parts.items() if name.split(":")[0] == "test" for row in rows))
    split = Split(tuple(parts["train"]), tuple(parts["validation"]), test, slices)
    for name in ("train", "validation", "test"):
        if not split.rows(name):
            raise DataError(f"The given split has no {name} rows.", split.named())
    return split


def _drawn(table: Any, data: DataSpec, seed: int) -> Split:
    import numpy as np

    groups: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(row_hashes(table, data.inputs)):
        groups[digest].append(row)
    labels = table.column(data.label).to_pylist()
    by_class: dict[Any, list[str]] = defaultdict(list)
    for digest in groups:
        label = labels[groups[digest][0]] if data.task == "classification" else None
        by_class[label].append(digest)
    generator = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label in sorted(by_class, key=repr):
        members = by_class[label]
        order = generator.permutation(len(members))
        tests = round(len(members) * data.test)
        validations = round(len(members) * data.validation)
        for place, index in enumerate(order):
            part = "test" if place < tests else "validation" if place < tests + validations else "train"
            parts[part].extend(groups[members[index]])
    split = Split(tuple(sorted(parts["train"])), tuple(sorted(parts["validation"])), tuple(sorted(parts["test"])))
    if not (split.train and split.validation and split.test):
        raise DataError("The table is too small for the plan's fractions.", split.named())
    return split


def row_hashes(table: Any, columns: Sequence[str]) -> list[str]:
    """sha256 of each row's values in `columns`."""
    values = [table.column(column).to_pylist() for column in columns]
    return [
        hashlib.sha256(json.dumps(row, sort_keys=True, default=repr).encode()).hexdigest()
        for row in zip(*values, strict=True)
    ]


def check_split(table: Any, data: DataSpec, split: Split) -> list[Guard]:
    """Leaks that make a score worthless: shared or nearly shared inputs, and inputs that give the label away."""
    near = [*_near_duplicates(table, data, split), *_same_words(table, data, split)]
    return [*_shared_rows(table, data, split), *near, *_label_columns(table, data)]


def _shared_rows(table: Any, data: DataSpec, split: Split) -> list[Guard]:
    hashes = row_hashes(table, data.inputs)
    seen: dict[str, tuple[str, int]] = {}
    shared = []
    for part in ("train", "validation", "test"):
        for row in split.rows(part):
            other = seen.setdefault(hashes[row], (part, row))
            if other[0] != part:
                shared.append(f"row {row} ({part}) equals row {other[1]} ({other[0]})")
    if not shared:
        return []
    return [Guard(name="leak: shared rows", message=f"{len(shared)} rows stand in two parts: {'; '.join(shared[:5])}")]


def _near_duplicates(table: Any, data: DataSpec, split: Split) -> list[Guard]:
    """Numeric arrays: sealed rows at under 2 % of the typical nearest-neighbour distance from a training row. Points on
    a line or a curve come as near by chance: there, and where labels are numbers, more of them are wanted."""
    import numpy as np

    if data.task not in ("classification", "regression"):
        return []
    arrays = [numeric(table, column) for column in data.inputs]
    if any(array is None for array in arrays):
        return []
    matrix = np.concatenate([array for array in arrays if array is not None], axis=1)
    generator = np.random.default_rng(0)
    tests, trains = (_MANY_TESTS, _FEW_TRAIN) if len(split.train) <= _FEW_TRAIN else (_FEW_TESTS, _MANY_TRAIN)
    rows = generator.permutation(split.test)[:tests]
    train, test = matrix[generator.permutation(split.train)[:trains]], matrix[rows]
    nearest = _nearest(test, train)
    # Were most sealed rows copies, their own median would hide it: the distance inside training counts too.
    typical = max(np.median(nearest), np.median(_nearest(train[:200], train, itself=True)))
    by_chance = _ON_A_LINE if matrix.shape[1] < 4 or data.task == "regression" else 0.0
    near = sorted(int(row) for row in rows[nearest < 0.02 * typical])
    return _close(near, len(test), max(0.01, by_chance)) if len(near) > by_chance * len(test) else []


def _same_words(table: Any, data: DataSpec, split: Split) -> list[Guard]:
    """Texts: sealed rows that differ from a training row in case and spaces only; or, with the same label, in the
    punctuation of a sentence."""
    columns = [table.column(column).to_pylist() for column in data.inputs]
    if not all(isinstance(value, str) for column in columns for value in column):
        return []
    texts = list(zip(*columns, strict=True))
    own = data.label in data.inputs  # a language model's texts
    labels = [None if own else repr(label) for label in table.column(data.label).to_pylist()]
    folded = [tuple(" ".join(text.casefold().split()) for text in row) for row in texts]
    bare = [(tuple(map(_without_punctuation, row)), label) for row, label in zip(folded, labels, strict=True)]
    exact = {texts[row] for row in split.train}
    known = {folded[row] for row in split.train}, {bare[row] for row in split.train}
    found = [
        row for row in split.test if texts[row] not in exact and (folded[row] in known[0] or bare[row] in known[1])
    ]
    return _close(found, len(split.test))


def _without_punctuation(text: str) -> str:
    """Of a sentence; in short texts, as sums and codes are, every sign may count."""
    words = [word.strip(_PUNCTUATION) for word in text.split()]
    words = [word for word in words if word]
    return " ".join(words) if sum(word.isalpha() for word in words) >= _SENTENCE else text


def _close(rows: Sequence[int], of: int, many: float = 0.01) -> list[Guard]:
    if not rows:
        return []
    message = f"{len(rows)} sealed rows almost equal a training row: {', '.join(map(str, rows[:5]))}"
    return [Guard(name="leak: near duplicates", message=message, fatal=len(rows) > many * of)]


def _nearest(rows: Any, train: Any, itself: bool = False) -> Any:
    """Distance of each row to the nearest training row; `itself`: `rows` are the first of `train`."""
    import numpy as np

    nearest = np.empty(len(rows))
    for start in range(0, len(rows), 100):
        block = rows[start : start + 100]
        squared = (block**2).sum(1)[:, None] - 2 * block @ train.T + (train**2).sum(1)[None]
        if itself:
            squared[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        nearest[start : start + 100] = np.sqrt(np.maximum(squared, 0).min(1))
    return nearest


def numeric(table: Any, column: str) -> Any:
    """A column as a matrix of floats, one row a row; None where it holds anything else."""
    import numpy as np

    try:
        array = np.asarray(table.column(column).to_pylist(), dtype=float)
    except (TypeError, ValueError):
        return None
    return array.reshape(len(array), -1)


def _label_columns(table: Any, data: DataSpec) -> list[Guard]:
    """An input column that equals the label, or maps one to one onto it with few values."""
    guards: list[Guard] = []
    if data.task == "language-model":
        return guards
    labels = [json.dumps(value, default=repr) for value in table.column(data.label).to_pylist()]
    for column in data.inputs:
        values = [json.dumps(value, default=repr) for value in table.column(column).to_pylist()]
        pairs = set(zip(values, labels, strict=True))
        one_to_one = len(pairs) == len(set(values)) == len(set(labels)) and 1 < len(pairs) <= len(labels) // 2
        if column == data.label or values == labels or one_to_one:
            guards.append(Guard(name="leak: label in inputs", message=f"input column {column!r} gives the label away"))
        elif revealing := _revealing_components(numeric(table, column), labels):
            message = f"input column {column!r} gives the label away in component {', '.join(map(str, revealing[:5]))}"
            guards.append(Guard(name="leak: label in inputs", message=message))
        else:
            guards += _almost_label(table, data, column)
    return guards


def _almost_label(table: Any, data: DataSpec, column: str) -> list[Guard]:
    """What gives the label away but for noise: fatal where there is hardly any, and it is not all that there is."""
    if data.task == "sequence":
        inside = share_inside(table.column(column).to_pylist(), table.column(data.label).to_pylist())
        what = f"the label stands in {inside:.0%} of the texts of input column {column!r}"
        return [Guard(name="label within inputs", message=what, fatal=False)] if inside > 0.95 else []
    matrix, labels = numeric(table, column), numeric(table, data.label)
    if matrix is None or labels is None or labels.shape[1] != 1:
        return []
    alone = len(data.inputs) == 1 and matrix.shape[1] == 1
    find = almost_classes if data.task == "classification" else almost_numbers
    for nearly, places in zip((False, True), find(matrix, labels[:, 0]), strict=True):
        if places:
            where = f"input column {column!r} in component {', '.join(map(str, places[:5]))}"
            if not nearly and not alone:
                return [Guard(name="leak: label in inputs", message=f"{where} gives the label away but for noise")]
            told = f"{where} tells the label by itself; an easy task, or a leak"
            return [Guard(name="label from one input", message=told, fatal=False)]
    return []


def _revealing_components(matrix: Any, labels: Sequence[str]) -> list[int]:
    """Components of a numeric column that map one to one onto a label of few values."""
    import numpy as np

    _, first, codes = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    if matrix is None or not 1 < len(first) <= len(labels) // 2:
        return []
    of_class = matrix[first]
    constant = (matrix == of_class[codes]).all(0)
    distinct = (np.diff(np.sort(of_class, axis=0), axis=0) != 0).all(0)
    return [int(place) for place in np.flatnonzero(constant & distinct)]


def describe_split(table: Any, data: DataSpec, split: Split) -> str:
    """Sizes, and the share of the commonest class of the sealed rows, in a line."""
    text = split.named()
    if data.task == "classification":
        labels = table.column(data.label).to_pylist()
        counts = Counter(str(labels[row]) for row in split.test)
        label, count = counts.most_common(1)[0]
        text += f"; commonest class of test: {label} ({count / len(split.test):.0%} of {len(counts)} classes)"
    return text
