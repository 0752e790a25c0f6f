"""Anchors: how a part of a paper is named, the same way at every reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ml_intern.read.paper import Cell, Row


def readable(text: str) -> str:
    """`text` as part of an anchor: spaces single, no slash, at most 60 characters."""
    text = re.sub(r"\s+", " ", text.replace("/", "∕").replace("[", "(").replace("]", ")")).strip()
    return text[:60]


def slug(title: str) -> str:
    """A heading as an anchor: lower case words joined by dashes."""
    return "-".join(re.findall(r"\w+", title.lower()))[:60] or "untitled"


class Unique:
    """Makes names unique by #2, #3, … in order of appearance."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        count = self._seen[name] = self._seen.get(name, 0) + 1
        return name if count == 1 else self(f"{name}#{count}")


def cell_anchors(table: str, columns: Sequence[str], rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows with an anchor in each cell: `tab:3/row:big/col:BLEU`; groups tell rows of one name apart."""
    names = Unique()
    column_names = Unique()
    heads = [column_names(readable(column) or str(number)) for number, column in enumerate(columns, start=1)]
    out = []
    for row in rows:
        label = readable(f"{row.group}: {row.label}" if row.group and row.group != row.label else row.label)
        place = names(f"{table}/row:{label}")
        cells = tuple(
            Cell(anchor=f"{place}/col:{head}", text=cell.text, number=cell.number)
            for head, cell in zip(heads, row.cells, strict=True)
        )
        out.append(Row(label=row.label, cells=cells, group=row.group))
    return tuple(out)
