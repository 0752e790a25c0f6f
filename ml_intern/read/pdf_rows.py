"""The rows of a table in a PDF: cells wrapped over several lines joined, labels of several rows given to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

from ml_intern.read.numbers import parse_number
from ml_intern.read.pdf_captions import joined

_NEAR = 0.75  # of the usual distance of two rows: what is nearer is no row of its own
_SAME = 0.3  # of that distance: what differs by less is at the same height


@dataclass(frozen=True)
class Piece:
    """What stands in one column of one line. `spans` when the same piece stands in other columns too."""

    text: str
    x0: float
    x1: float
    spans: bool = False
    doubtful: bool = False

    @property
    def is_number(self) -> bool:
        return parse_number(self.text) is not None


@dataclass
class Strip:
    """One line of the table: its baseline in points, its pieces by column, whether one piece stands across it all."""

    y: float
    cells: dict[int, Piece] = field(default_factory=dict)
    spans_all: bool = False


@dataclass(frozen=True)
class Measure:
    """What the rows are measured by: distance of two baselines, right end of each column, width of a space."""

    pitch: float
    rights: tuple[float, ...]
    space: float


def measure(strips: Sequence[Strip], rights: tuple[float, ...], size: float) -> Measure:
    """The usual distance is that of lines, one under the other, that share a column."""
    steps = [above.y - below.y for above, below in pairwise(strips) if above.cells.keys() & below.cells]
    return Measure(median(steps) if steps else 1.2 * size, rights, 0.25 * size)


def rows_of_band(band: Sequence[Strip], ruled: bool, by: Measure, notes: list[str]) -> list[Strip]:
    """The logical rows of the lines between two rules. `ruled` when the table has rules between its rows: then all
    lines of a band may be one row. What stays unclear is said in `notes`."""
    if ruled and len(band) > 1 and _is_one_row(band, by):
        return [_joined(band)]
    strips, floats = _parted(_joined_around(band, by), by)
    rows = _unwrapped(strips, by)
    for column in sorted({column for strip in floats for column in strip.cells}):
        marks = [(strip.y, strip.cells[column]) for strip in floats if column in strip.cells]
        _spread(rows, column, marks, by, notes)
    if not floats:
        _centred_label(rows, by)
    return rows


def _is_one_row(band: Sequence[Strip], by: Measure) -> bool:
    """Every column's pieces wrap into one another; at most one of them is a quantity."""
    for column in {column for strip in band for column in strip.cells}:
        pieces = [strip.cells[column] for strip in band if column in strip.cells]
        if sum(piece.is_number for piece in pieces) > 1:
            return False
        if not all(_wraps(a, b, by, column) for a, b in pairwise(pieces)):
            return False
    return all(strip.y - after.y < 1.6 * by.pitch for strip, after in pairwise(band))


def _wraps(piece: Piece, after: Piece, by: Measure, column: int) -> bool:
    """Whether the next line's first word would not have fitted on this one: only then was the line broken there."""
    if piece.spans or after.spans:
        return False
    words = after.text.split()
    first = (after.x1 - after.x0) * len(words[0]) / max(len(after.text), 1) if words else 0.0
    return piece.x1 + by.space + first > by.rights[column] - 1


def _joined(band: Sequence[Strip]) -> Strip:
    """All lines as one row, at the height of the first."""
    cells: dict[int, Piece] = {}
    for strip in band:
        for column, piece in strip.cells.items():
            above = cells.get(column)
            cells[column] = _under(above, piece) if above else piece
    return Strip(band[0].y, cells, len(band) == 1 and band[0].spans_all)


def _under(above: Piece, below: Piece) -> Piece:
    text = joined([above.text, below.text])
    return replace(below, text=text, doubtful=above.doubtful or below.doubtful)


def _joined_around(band: Sequence[Strip], by: Measure) -> list[Strip]:
    """Lines nearer than two rows, of which one alone holds quantities: the others are its wrapped label."""
    groups: list[list[Strip]] = []
    for strip in band:
        if groups and groups[-1][-1].y - strip.y < _NEAR * by.pitch:
            groups[-1].append(strip)
        else:
            groups.append([strip])
    out: list[Strip] = []
    for group in groups:
        holding = [strip for strip in group if any(piece.is_number for piece in strip.cells.values())]
        if len(group) > 1 and len(holding) == 1:
            out.append(replace(_joined(group), y=holding[0].y))
        else:
            out += group
    return out


def _parted(band: Sequence[Strip], by: Measure) -> tuple[list[Strip], list[Strip]]:
    """(lines that are rows, lines that stand between two rows and belong to both)."""
    rows: list[Strip] = []
    floats: list[Strip] = []
    for number, strip in enumerate(band):
        beside = [*band[max(0, number - 1) : number], *band[number + 1 : number + 2]]
        near = [other for other in beside if abs(other.y - strip.y) < _NEAR * by.pitch]
        apart = all(not strip.cells.keys() & other.cells.keys() for other in near)
        floating = near and apart and all(len(strip.cells) < len(other.cells) for other in near)
        (floats if floating else rows).append(strip)
    return rows, floats


def _unwrapped(strips: Sequence[Strip], by: Measure) -> list[Strip]:
    """Lines with an empty first column and no quantity, whose words did not fit above, joined to the line above."""
    rows: list[Strip] = []
    for strip in strips:
        last = rows[-1] if rows else None
        continues = (
            last is not None
            and 0 not in strip.cells
            and not (strip.spans_all and len(strip.cells) > 1)
            and all(
                column in last.cells
                and not piece.is_number
                and not last.cells[column].is_number
                and _wraps(last.cells[column], piece, by, column)
                for column, piece in strip.cells.items()
            )
        )
        if last is not None and continues:
            rows[-1] = _joined([last, strip])
        else:
            rows.append(strip)
    return rows


def _spread(rows: list[Strip], column: int, marks: list[tuple[float, Piece]], by: Measure, notes: list[str]) -> None:
    """Pieces that are centred on several rows, given to each of them: the blocks must tile the band exactly."""
    entries = sorted(
        [*marks, *((row.y, row.cells[column]) for row in rows if column in row.cells)], key=lambda entry: -entry[0]
    )
    start = 0
    blocks: list[tuple[int, int, Piece]] = []
    for y, piece in entries:
        end = next(
            (end for end in range(start, len(rows)) if abs((rows[start].y + rows[end].y) / 2 - y) < _SAME * by.pitch),
            None,
        )
        if end is None:
            break
        blocks.append((start, end, piece))
        start = end + 1
    if len(blocks) == len(entries) and start == len(rows):
        for first, last, piece in blocks:
            for row in rows[first : last + 1]:
                row.cells[column] = piece if first == last else replace(piece, doubtful=True)
        return
    for y, piece in marks:
        notes.append(f"'{piece.text}' stands between two rows: which rows it belongs to is not clear")
        for row in sorted(rows, key=lambda row: abs(row.y - y))[:2]:
            row.cells.setdefault(column, replace(piece, doubtful=True))


def _centred_label(rows: list[Strip], by: Measure) -> None:
    """The only label of a band, in the middle row of several, is the label of them all."""
    labelled = [row for row in rows if 0 in row.cells]
    if len(rows) < 3 or len(labelled) != 1 or labelled[0] is rows[0]:
        return
    if abs((rows[0].y + rows[-1].y) / 2 - labelled[0].y) < _SAME * by.pitch:
        for row in rows:
            row.cells.setdefault(0, labelled[0].cells[0])
