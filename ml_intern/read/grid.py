"""A filled grid of texts to the rows of a Table: group rows become headings, quantities are parsed.

Knows nothing of where the grid came from: LaTeX and PDF tables both end here, so both have the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_intern.read.numbers import parse_number
from ml_intern.read.paper import Cell, Number, Row


@dataclass(frozen=True)
class GridRow:
    """One line of the grid: a text for every column. `spans_all` when one cell stands across (nearly) all of them;
    `doubtful` holds the columns whose text may have been misread."""

    texts: list[str]
    spans_all: bool = False
    doubtful: frozenset[int] = frozenset()


def body_rows(columns: tuple[str, ...], lines: Sequence[GridRow]) -> list[Row]:
    """The rows under the header; anchors are still empty. Every line has `len(columns)` texts."""
    rows: list[Row] = []
    heading = ""
    for number, line in enumerate(lines):
        texts = line.texts
        filled = [text for text in texts if text]
        below = lines[number + 1].texts if number + 1 < len(lines) else []
        if line.spans_all or (len(filled) == 1 and texts[0] and len(texts) > 2 and parse_number(texts[0]) is None):
            heading = filled[0] if filled else heading
            continue
        if _heads_block(texts, columns, below):
            heading = texts[0] or " ".join(filled)
            continue
        if not filled:
            continue
        cells = tuple(Cell(anchor="", text=text, number=_number(line, place)) for place, text in enumerate(texts))
        rows.append(Row(label=texts[0], cells=cells, group=heading))
    return _first_block_named(columns, rows)


def is_heading(row: Sequence[str]) -> bool:
    """No quantity in any column but the first."""
    return not any(parse_number(text) is not None for text in row[1:])


def join_header(texts: Sequence[str]) -> str:
    """A column's header texts from top to bottom as one, each once."""
    kept: list[str] = []
    for text in texts:
        if text and text not in kept:
            kept.append(text)
    return " ".join(kept)


def _number(line: GridRow, place: int) -> Number | None:
    number = parse_number(line.texts[place])
    return number.model_copy(update={"doubtful": True}) if number and place in line.doubtful else number


def _first_block_named(columns: tuple[str, ...], rows: list[Row]) -> list[Row]:
    """Where the other blocks repeat the first block's labels, the header's first cell is the first block's name."""
    first = [row.label for row in rows if not row.group]
    others: dict[str, list[str]] = {}
    for row in rows:
        if row.group:
            others.setdefault(row.group, []).append(row.label)
    if not first or not columns[0] or not others or any(labels != first for labels in others.values()):
        return rows
    return [row if row.group else row.model_copy(update={"group": columns[0]}) for row in rows]


def _heads_block(texts: list[str], columns: tuple[str, ...], below: list[str]) -> bool:
    """The header again, with another first cell, over a row of quantities."""
    filled = [place for place in range(1, len(texts)) if texts[place]]
    again = all(texts[place] == columns[place] and parse_number(texts[place]) is None for place in filled)
    return bool(filled and below) and again and all(parse_number(below[place]) is not None for place in filled)
