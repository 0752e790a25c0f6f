"""Tables of a PDF: captions are the anchors; each gets a grid, or a warning that says why it has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ml_intern.read.anchors import Unique, cell_anchors
from ml_intern.read.paper import Table
from ml_intern.read.pdf_captions import Caption, captions, gutters
from ml_intern.read.pdf_grid import Grid, NoGrid, read_grid
from ml_intern.read.pdf_regions import Candidate, Frame, Region, candidates, frames, region_of
from ml_intern.read.pdf_words import PageContent


@dataclass(frozen=True)
class Found:
    """The tables in order, what could not be read, and by page number the indices of the characters that stand in
    a table or its caption and so are no running text."""

    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    used: dict[int, frozenset[int]]


@dataclass
class _Place:
    """A caption on its page, what may be its table, and what was chosen. `unsure` when as much spoke for another."""

    page: PageContent
    caption: Caption
    options: list[Candidate]
    chosen: Candidate | None = None
    unsure: bool = False


@dataclass(frozen=True)
class _Read:
    caption: Caption
    region: Region
    grid: Grid


def read_tables(pages: Sequence[PageContent]) -> Found:
    """All tables of the pages that have a caption. Raises nothing: what is no grid gets a warning."""
    places: list[_Place] = []
    free: dict[int, list[Frame]] = {}
    splits = gutters(pages)
    for page in pages:
        heads, barriers = captions(page, splits[page.number])
        if heads:
            free[page.number] = frames(page, barriers)
        places += [_Place(page, head, candidates(page, head, free[page.number], barriers)) for head in heads]
    _choose(places)
    read: list[_Read] = []
    failed: list[tuple[Caption, str]] = []
    for place in places:
        outcome = _read(place, _beside(place, places, free[place.page.number]))
        if isinstance(outcome, str):
            failed.append((place.caption, outcome))
        else:
            read += outcome
    known = {part.caption.number for part in read}
    warnings = [
        f"Table {caption.number} on page {caption.page} is not read as a grid: {why}; its text stands in the prose"
        for caption, why in failed
        if caption.number not in known
    ]
    for part in read:
        warnings += [f"Table {part.caption.number} on page {part.caption.page}: {note}" for note in part.grid.notes]
    warnings += [warning for page in pages for warning in _turned(page)]
    return Found(_tables(read), tuple(warnings), _used(read))


def _turned(page: PageContent) -> list[str]:
    """A warning for every caption that is printed sideways."""
    return [
        f"Table {after.text.rstrip(':.')} on page {page.number} is not read as a grid: it is printed sideways"
        for word, after in pairwise(page.sideways)
        if word.text.lower() == "table" and after.text.endswith((":", "."))
    ]


def _choose(places: Sequence[_Place]) -> None:
    """A table for each caption, no place twice: first where one side alone is possible, again and again since each
    takes a place from others; then on the side where the paper's other tables stand."""
    while any(_settle(place, places) for place in places):
        pass
    sides = Counter(place.chosen.side for place in places if place.chosen)
    for place in places:
        left = _left(place, places)
        if place.chosen or not left:
            continue
        near = min(left, key=lambda option: option.distance)
        usual = [option for option in left if sides[option.side] == max(sides["above"], sides["below"])]
        place.chosen = min(usual or left, key=lambda option: option.distance)
        split = len({option.side for option in left}) > 1
        place.unsure = split and (len(usual) == len(left) or near.distance < 0.5 * place.chosen.distance)


def _settle(place: _Place, places: Sequence[_Place]) -> bool:
    """Chooses the nearest where all that is left stands on one side; whether it did."""
    left = _left(place, places)
    if place.chosen or len({option.side for option in left}) != 1:
        return False
    place.chosen = left[0]
    return True


def _left(place: _Place, places: Sequence[_Place]) -> list[Candidate]:
    """The options that no other caption of the page has taken, nearest first."""
    taken = [other.chosen for other in places if other.chosen and other.page is place.page]
    return [option for option in place.options if not any(option.overlaps(other) for other in taken)]


def _beside(place: _Place, places: Sequence[_Place], free: Sequence[Frame]) -> list[Candidate]:
    """Frames side by side with the chosen one that no other caption has: parts of one table."""
    if place.chosen is None or place.chosen.frame is None:
        return []
    chosen = place.chosen.frame
    others = [other for other in places if other is not place and other.page is place.page]
    wanted = {option.frame for other in others for option in other.options}
    return [
        Candidate(place.chosen.distance, place.chosen.side, (frame.x0, frame.bottom, frame.x1, frame.top), frame)
        for frame in free
        if frame not in wanted
        and abs(frame.top - chosen.top) < 6
        and len(frame.heights) > 1
        and place.caption.left - 6 <= frame.x0
        and frame.x1 <= place.caption.right + 6
        and (frame.x0 > chosen.x1 or frame.x1 < chosen.x0)
    ]


def _read(place: _Place, beside: Sequence[Candidate]) -> list[_Read] | str:
    """The table of a caption, in parts where several stand side by side; or why there is none."""
    if place.chosen is None:
        return "no rows of cells stand by its caption"
    found = sorted([place.chosen, *beside], key=lambda candidate: candidate.box[0])
    try:
        read = []
        for candidate in found:
            region = region_of(place.page, place.caption, candidate)
            grid = read_grid(region)
            if place.unsure:
                note = f"cells stand above and below its caption: those {candidate.side} were taken"
                grid = replace(grid, notes=(*grid.notes, note))
            read.append(_Read(place.caption, region, grid))
        return read
    except NoGrid as error:
        return str(error)


def _tables(read: Sequence[_Read]) -> tuple[Table, ...]:
    unique = Unique()
    parts = Counter(id(part.caption) for part in read)
    seen: Counter[int] = Counter()
    names: dict[int, str] = {}
    tables = []
    for part in read:
        key = id(part.caption)
        seen[key] += 1
        if key not in names:
            names[key] = unique(f"tab:{part.caption.number}")
        anchor = names[key] if parts[key] == 1 else f"{names[key]}.{seen[key]}"
        region = part.region
        tables.append(
            Table(
                anchor=anchor,
                caption=part.caption.text,
                columns=part.grid.columns,
                rows=cell_anchors(anchor, part.grid.columns, part.grid.rows),
                page=part.caption.page,
                box=(region.x0, region.bottom, region.x1, region.top),
            )
        )
    return tuple(tables)


def _used(read: Sequence[_Read]) -> dict[int, frozenset[int]]:
    used: dict[int, frozenset[int]] = {}
    for part in read:
        words = [*part.region.words, *(word for line in part.caption.lines for word in line.words)]
        here = frozenset(place for word in words for place in word.chars)
        used[part.caption.page] = used.get(part.caption.page, frozenset()) | here
    return used
