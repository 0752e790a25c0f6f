"""Tables of a PDF: captions are the anchors; each gets a grid, or a warning that says why it has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ml_intern.read.anchors import Unique, cell_anchors
from ml_intern.read.paper import Table
from ml_intern.read.pdf_captions import Caption, Line, captions, gutters
from ml_intern.read.pdf_grid import Grid, NoGrid, read_grid
from ml_intern.read.pdf_regions import Frame, Region, framed, frames, loose_region, region_of_frame
from ml_intern.read.pdf_words import PageContent

_Option = tuple[float, str, Frame]


@dataclass(frozen=True)
class Found:
    """The tables in order, what could not be read, and by page number the indices of the characters that stand in
    a table or its caption and so are no running text."""

    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    used: dict[int, frozenset[int]]


@dataclass
class _Place:
    """A caption on its page, the frames that may be its table, and the one that was chosen."""

    page: PageContent
    caption: Caption
    barriers: Sequence[Line]
    options: list[_Option]
    chosen: Frame | None = None


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
        places += [_Place(page, head, barriers, framed(page, head, free[page.number])) for head in heads]
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
    """A frame for each caption, no frame twice. Where one stands on either side, the nearer by far, else the side on
    which the paper's other tables stand."""
    sides = Counter(place.options[0][1] for place in places if len({side for _, side, _ in place.options}) == 1)
    usual = "above" if sides["above"] > sides["below"] else "below"
    taken: set[tuple[int, Frame]] = set()
    for sure in (True, False):
        for place in places:
            left = [option for option in place.options if (place.page.number, option[2]) not in taken]
            if place.chosen or not left or (sure and len({side for _, side, _ in left}) > 1):
                continue
            nearest = {side: option for option in reversed(left) for side in [option[1]]}
            option = min(nearest.values(), key=lambda option: option[0])
            other = max(nearest.values(), key=lambda option: option[0])
            if option[0] > 0.6 * other[0] and usual in nearest:
                option = nearest[usual]
            place.chosen = option[2]
            taken.add((place.page.number, option[2]))


def _beside(place: _Place, places: Sequence[_Place], free: Sequence[Frame]) -> list[Frame]:
    """Frames side by side with the chosen one that no other caption has: parts of one table."""
    chosen = place.chosen
    if chosen is None:
        return []
    others = {other.chosen for other in places if other.page is place.page and other is not place}
    wanted = {
        frame for other in places if other is not place and other.page is place.page for _, _, frame in other.options
    }
    return [
        frame
        for frame in free
        if frame not in others | wanted
        and frame != chosen
        and abs(frame.top - chosen.top) < 6
        and len(frame.heights) > 1
        and place.caption.left - 6 <= frame.x0
        and frame.x1 <= place.caption.right + 6
        and (frame.x0 > chosen.x1 or frame.x1 < chosen.x0)
    ]


def _read(place: _Place, beside: Sequence[Frame]) -> list[_Read] | str:
    """The table of a caption, in parts where several stand side by side; or why there is none."""
    page, caption = place.page, place.caption
    if place.chosen and len(place.chosen.heights) > 1:
        found = sorted([place.chosen, *beside], key=lambda frame: frame.x0)
        regions = [region_of_frame(page, caption, frame) for frame in found]
    else:
        loose = loose_region(page, caption, place.barriers)
        if loose is None:
            return "no rows of cells stand by its caption"
        regions = [loose]
    try:
        return [_Read(caption, region, read_grid(region)) for region in regions]
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
