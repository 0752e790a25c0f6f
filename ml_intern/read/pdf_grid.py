"""A region of a PDF's page to a grid: header, rows, cells; refused where the grid would be a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ml_intern.read.grid import GridRow, body_rows, is_heading, join_header
from ml_intern.read.numbers import parse_number
from ml_intern.read.paper import Row
from ml_intern.read.pdf_captions import Line, rows_of
from ml_intern.read.pdf_columns import Columns, Rows, find_columns, header_spans, split_at
from ml_intern.read.pdf_regions import Region
from ml_intern.read.pdf_rows import Measure, Piece, Strip, measure, rows_of_band

# The least space between two columns, as part of the font size; the next where the one before finds no grid. In the
# last only runs of quantities are parted: between words a space is as wide.
_SPACES = (0.5, 0.3, 0.15)
_MAX_ROWS, _MAX_COLUMNS, _MAX_PIECES = 300, 60, 2500
_TWO_NUMBERS = re.compile(r"^[-+−]?\d[\d.,]*%?\s+[-+−]?\d[\d.,]*%?(\s|$)")
_LABEL_AND_NUMBER = re.compile(r"^.*[^\W\d]\S* [-+−]?\d*\.\d+\S*$")
_LOST_POWER = re.compile(r"[·×x*]\s*10\d{1,2}$")


class NoGrid(Exception):
    """The region cannot be read as a grid; the message says why."""


@dataclass(frozen=True)
class Grid:
    """`rows` still without anchors; `notes` say what is not sure."""

    columns: tuple[str, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()


def read_grid(region: Region) -> Grid:
    """The region as a grid. Raises NoGrid."""
    why = "there are no words in it"
    for space in _SPACES:
        try:
            return _read(region, space)
        except NoGrid as error:
            why = str(error)
    raise NoGrid(why)


def _read(region: Region, space: float) -> Grid:
    if not region.words:
        raise NoGrid("there are no words in it")
    size = median(word.size for word in region.words)
    tight = space == _SPACES[-1]
    rows = rows_of(region.words, 0.5 if tight else space)
    rows = split_at(rows, region.upright, _ruled_header(rows, region.rules) or 1, tight)
    if len(rows) > _MAX_ROWS or max(map(len, rows)) > _MAX_COLUMNS or sum(map(len, rows)) > _MAX_PIECES:
        raise NoGrid(f"it has more than {_MAX_ROWS} rows, {_MAX_COLUMNS} columns or {_MAX_PIECES} cells")
    header = _ruled_header(rows, region.rules)
    found = find_columns(rows, header or _wordy(rows), space * size, region.upright)
    width = len(found.columns)
    if width < 2:
        raise NoGrid("no two columns can be told apart")
    header = _header(rows, header, found)
    heads = header_spans(rows, header, found, region.parts)
    columns = tuple(
        join_header([" ".join(p.text for p in row if place in heads[id(p)]) for row in rows[:header]])
        for place in range(width)
    )
    notes = _doubts(rows, header, columns, tight)
    strips = [_strip(row, found, region) for row in rows[header:]]
    lines = _logical(strips, region.rules, _measure(strips, found, size), notes)
    grid = [_grid_row(strip, width) for strip in lines]
    _check(rows[header:], found, grid)
    _check_alleys(rows[:header], columns, grid)
    if region.sideways:
        notes.append("text printed sideways was left out: " + ", ".join(word.text for word in region.sideways[:8]))
    return Grid(columns, body_rows(columns, grid), tuple(notes))


def _doubts(rows: Rows, header: int, columns: tuple[str, ...], tight: bool) -> list[str]:
    """What of the columns and their names may be wrong although the grid is one."""
    notes = []
    if tight:
        notes.append("its columns stand as close as words: they were told apart by their numbers")
    named = [name for name in columns[1:] if name]
    if 2 * sum(bool(re.match(r"[-+−]?\.?\d", name)) for name in named) >= len(named) > 0:
        notes.append("its first row holds numbers: it was taken for the header, and may be none")
    ends = [_LABEL_AND_NUMBER.match(row[0].text) for row in rows[header:] if " " in row[0].text]
    if len(ends) > 1 and all(ends):
        notes.append("its first column may be two: its cells end with numbers")
    if len(named) < len(columns) - 1:
        notes.append("a column other than the first has no name")
    below = [row[0].text for row in rows[header:] if len(row) > 1]
    if rows[0][0].text in below and rows[0][0].x0 < min(piece.x1 for row in rows for piece in row[:1]):
        notes.append("its header stands again among its rows: the columns' names hold only above that")
    return notes


def _ruled_header(rows: Rows, rules: Sequence[float]) -> int:
    """How many rows stand above the first rule that has rows on both sides; 0 when there is no such rule."""
    for rule in rules:
        above = sum(row[0].y > rule for row in rows)
        if 0 < above < len(rows):
            return above if above <= 6 else 0
    return 0


def _wordy(rows: Rows) -> int:
    """How many of the first four rows hold no quantity, at least one."""
    for number, row in enumerate(rows[:5]):
        if number and any(parse_number(piece.text) for piece in row[1:]):
            return number
    return 1


def _header(rows: Rows, ruled: int, found: Columns) -> int:
    """How many rows head the table: those above the first rule where they hold no quantities, else those before the
    first quantity, else one."""
    width = len(found.columns)
    texts = [_texts(row, found, width) for row in rows]
    if ruled and all(is_heading(row) for row in texts[:ruled]):
        return ruled
    if not ruled:
        for number in range(1, min(5, len(texts))):
            if not is_heading(texts[number]):
                return number
    return 1


def _texts(row: Sequence[Line], found: Columns, width: int) -> list[str]:
    texts = [""] * width
    for piece in row:
        for place in found.under(piece):
            texts[place] = f"{texts[place]} {piece.text}".strip()
    return texts


def _strip(row: Sequence[Line], found: Columns, region: Region) -> Strip:
    cells: dict[int, Piece] = {}
    for line in row:
        places = found.under(line)
        spans = len(places) > 1
        # A piece that crosses columns may be one cell over both, or two that nearly touch.
        crosses = spans or line.x1 > found.columns[places[-1]].x1 + 2 or line.x0 < found.columns[places[0]].x0 - 2
        doubtful = crosses or any(word.doubtful for word in line.words) or bool(_LOST_POWER.search(line.text))
        for place in places:
            before = cells.get(place)
            text = f"{before.text} {line.text}" if before else line.text
            start = before.x0 if before else line.x0
            cells[place] = Piece(text, start, line.x1, spans, doubtful or bool(before and before.doubtful))
    spans_all = False
    if len(row) == 1 and len(row[0].words) and not any(piece.is_number for piece in cells.values()):
        middle = (row[0].x0 + row[0].x1) / 2
        centred = abs(middle - (region.x0 + region.x1) / 2) < 0.05 * (region.x1 - region.x0)
        # A heading over the table is centred on it; what begins where its column begins is a cell.
        first = found.columns[min(cells)]
        spans_all = len(cells) > 1 or (centred and 0 not in cells and row[0].x0 - first.x0 > 3)
    return Strip(row[0].y, cells, spans_all)


def _measure(strips: Sequence[Strip], found: Columns, size: float) -> Measure:
    return measure(strips, tuple(column.x1 for column in found.columns), size)


def _logical(strips: Sequence[Strip], rules: Sequence[float], by: Measure, notes: list[str]) -> list[Strip]:
    bands: list[list[Strip]] = []
    for number, strip in enumerate(strips):
        if number and not any(strip.y < rule < strips[number - 1].y for rule in rules):
            bands[-1].append(strip)
        else:
            bands.append([strip])
    ruled = len(bands) > 2
    return [row for band in bands for row in rows_of_band(band, ruled, by, notes)]


def _grid_row(strip: Strip, width: int) -> GridRow:
    texts = [strip.cells[place].text if place in strip.cells else "" for place in range(width)]
    doubtful = frozenset(place for place, piece in strip.cells.items() if piece.doubtful)
    return GridRow(texts, strip.spans_all, doubtful)


def _check(rows: Rows, found: Columns, grid: Sequence[GridRow]) -> None:
    """Raises NoGrid for what looks like a grid and is none, or has columns that were not told apart."""
    if not grid:
        raise NoGrid("there is no row under its header")
    pieces = [piece for row in rows for piece in row]
    if sum(id(piece) in found.spanning for piece in pieces) > 0.3 * len(pieces):
        raise NoGrid("too many of its cells lie across two columns")
    for place in range(len(found.columns)):
        texts = [row.texts[place] for row in grid if row.texts[place]]
        double = sum(bool(_TWO_NUMBERS.match(text)) for text in texts)
        if 3 * double >= len(texts) > 0 and (double > 1 or len(grid) < 3):
            raise NoGrid("numbers of two columns stand so close that they cannot be told apart")
    filled = [text for row in grid for text in row.texts if text]
    if sum(len(text.split()) > 25 for text in filled) > 0.5 * len(filled):
        raise NoGrid("it is running text")
    if median(sum(map(bool, row.texts)) for row in grid) < 2:
        raise NoGrid("most of its rows have one cell")


def _check_alleys(header: Rows, columns: tuple[str, ...], grid: Sequence[GridRow]) -> None:
    """Raises NoGrid where every cell of a column, and its header, has the same number of words, three or more: they
    are columns that stand close."""
    for place in range(1, len(columns)):
        texts = [row.texts[place] for row in grid if row.texts[place]]
        if any(parse_number(text) for text in texts):
            continue
        counts = {len(text.split()) for text in texts}
        if len(header) == 1 and len(texts) > 1 and counts == {len(columns[place].split())} and min(counts) > 2:
            raise NoGrid("columns stand so close that they cannot be told apart")
