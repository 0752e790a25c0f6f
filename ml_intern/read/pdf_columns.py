"""The columns of a table in a PDF: where no cell crosses, and which cells span several columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ml_intern.read.numbers import parse_number
from ml_intern.read.pdf_captions import Line
from ml_intern.read.pdf_words import Rule, Word

Rows = Sequence[Sequence[Line]]


@dataclass(frozen=True)
class Column:
    """The left and right ends of what stands in a column."""

    x0: float
    x1: float

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2


@dataclass
class Columns:
    """The columns from left to right, and the pieces that span several (by `id`)."""

    columns: list[Column]
    spanning: set[int] = field(default_factory=set)

    def under(self, piece: Line) -> list[int]:
        """The columns a piece stands in: one, or those that a spanning piece covers."""
        if id(piece) in self.spanning:
            covered = [place for place, column in enumerate(self.columns) if _overlaps(column, piece)]
            if covered:
                return covered
        middle = (piece.x0 + piece.x1) / 2
        return [min(range(len(self.columns)), key=lambda place: _distance(self.columns[place], middle))]


def split_at(rows: Rows, upright: Sequence[Rule], header: int, tight: bool) -> list[list[Line]]:
    """The rows with every piece parted where an upright rule stands between its words. `tight`: also between the
    quantities of a run of them, and between all words of the header."""
    out = []
    for number, row in enumerate(rows):
        pieces: list[Line] = []
        for piece in row:
            current: list[Word] = []
            for place, word in enumerate(piece.words):
                near = tight and (number < header or _in_run(piece.words, place))
                if current and (near or _ruled_off(current[-1], word, upright)):
                    pieces.append(Line(tuple(current)))
                    current = []
                current.append(word)
            pieces.append(Line(tuple(current)))
        out.append(pieces)
    return out


def _ruled_off(left: Word, right: Word, upright: Sequence[Rule]) -> bool:
    return any(
        left.x1 - 1 <= rule.at <= right.x0 + 1 and rule.start <= right.y + 0.5 * right.size and rule.end >= right.y
        for rule in upright
    )


def _in_run(words: Sequence[Word], place: int) -> bool:
    """Whether the word is a quantity with another beside it."""
    beside = [*words[max(0, place - 1) : place], *words[place + 1 : place + 2]]
    return parse_number(words[place].text) is not None and any(parse_number(word.text) is not None for word in beside)


def find_columns(rows: Rows, header: int, space: float, upright: Sequence[Rule]) -> Columns:
    """The columns of `rows`, of which the first `header` head the table; `space` is the least width between two
    columns, in points."""
    spanning = _spanning(rows, header)
    # A header's upper rows say nothing of where columns end: their cells may head several.
    spanning |= {id(piece) for row in rows[: max(0, header - 1)] for piece in row}
    found = Columns(_gathered(rows, spanning, space, upright), spanning)
    return _merged(rows, header, found) if header else found


def _spanning(rows: Rows, header: int) -> set[int]:
    """Pieces that lie over a space which at least twice as many rows keep free as cover it."""
    found: set[int] = set()
    for number, row in enumerate(rows):
        for piece in row:
            gaps: list[tuple[float, float]] = []
            for other in rows:
                if other is not row:
                    over = [part for part in other if _overlaps(part, piece)]
                    gaps += [(left.x1, right.x0) for left, right in pairwise(over)]
            if not gaps:
                continue
            free, place = max((sum(a <= x <= b for a, b in gaps), x) for a, b in gaps for x in [(a + b) / 2])
            covering = sum(part.x0 < place < part.x1 for other in rows[header:] for part in other)
            if free >= (2 if number < header else 3) and 2 * covering <= free:
                found.add(id(piece))
    return found


def _overlaps(part: Line | Column, piece: Line) -> bool:
    shared = min(part.x1, piece.x1) - max(part.x0, piece.x0)
    return shared > min(2.0, 0.3 * (part.x1 - part.x0))


def _gathered(rows: Rows, spanning: set[int], space: float, upright: Sequence[Rule]) -> list[Column]:
    pieces = sorted(
        ((piece.x0, piece.x1) for row in rows for piece in row if id(piece) not in spanning), key=lambda ends: ends[0]
    )
    columns: list[Column] = []
    for x0, x1 in pieces:
        last = columns[-1] if columns else None
        ruled = last is not None and any(last.x1 - 1 <= rule.at <= x0 + 1 for rule in upright)
        if last and x0 - last.x1 < space and not ruled:
            columns[-1] = Column(last.x0, max(last.x1, x1))
        else:
            columns.append(Column(x0, x1))
    return columns


def _merged(rows: Rows, header: int, found: Columns) -> Columns:
    """Columns of words with no header, that never stand without the column on their left, joined to it: a wide space
    inside a cell looked like a column."""
    columns = list(found.columns)
    place = 1
    while place < len(columns):
        now = Columns(columns, found.spanning)
        headed = any(place in now.under(piece) for row in rows[:header] for piece in row)
        cells = [
            (piece, [other for other in row if now.under(other) == [place - 1]])
            for row in rows[header:]
            for piece in row
            if now.under(piece) == [place]
        ]
        if not headed and all(left and parse_number(piece.text) is None for piece, left in cells):
            columns[place - 1 : place + 1] = [Column(columns[place - 1].x0, columns[place].x1)]
        else:
            place += 1
    return Columns(columns, found.spanning)


def header_spans(rows: Rows, header: int, found: Columns, parts: Sequence[Rule]) -> dict[int, list[int]]:
    """For pieces of the header (by `id`) the columns they head: as the rule under them says, else as they are
    centred over."""
    spans: dict[int, list[int]] = {}
    for number, row in enumerate(rows[:header]):
        taken = {place for piece in row for place in found.under(piece)}
        for piece in row:
            own = found.under(piece)
            ruled = _ruled(piece, row, found.columns, parts)
            if ruled:
                spans[id(piece)] = ruled
            elif number < header - 1:
                spans[id(piece)] = _centred(piece, own, found.columns, taken - set(own))
            else:
                spans[id(piece)] = own
    return spans


def _ruled(piece: Line, row: Sequence[Line], columns: Sequence[Column], parts: Sequence[Rule]) -> list[int]:
    middle = (piece.x0 + piece.x1) / 2
    for rule in parts:
        if not (piece.y - 1.4 * piece.size < rule.at < piece.y and rule.start - 3 <= middle <= rule.end + 3):
            continue
        if sum(rule.start - 3 <= (other.x0 + other.x1) / 2 <= rule.end + 3 for other in row) == 1:
            return [place for place, column in enumerate(columns) if rule.start - 3 <= column.middle <= rule.end + 3]
    return []


def _centred(piece: Line, own: list[int], columns: Sequence[Column], taken: set[int]) -> list[int]:
    """The run of columns around `own` whose middle is the piece's, where no other piece of the row stands."""
    middle = (piece.x0 + piece.x1) / 2
    column = columns[own[0]]
    aligned = min(abs(piece.x0 - column.x0), abs(piece.x1 - column.x1), abs(middle - column.middle)) < 3
    if len(own) > 1 or aligned or column.x0 <= piece.x0 <= piece.x1 <= column.x1:
        return own
    for width in range(2, len(columns) + 1):
        for first in range(max(0, own[-1] - width + 1), min(own[0], len(columns) - width) + 1):
            run = list(range(first, first + width))
            centre = (columns[run[0]].x0 + columns[run[-1]].x1) / 2
            if not taken & set(run) and abs(centre - middle) < 3:
                return run
    return own


def _distance(column: Column, x: float) -> float:
    return max(column.x0 - x, x - column.x1, 0.0)
