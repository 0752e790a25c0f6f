"""Where the tables of a PDF stand: beside each caption the frame of rules, or the lines, that are its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ml_intern.read.pdf_captions import Caption, Line, lines_of
from ml_intern.read.pdf_words import PageContent, Rule, Word

_MAX_RULES = 2000  # a drawing may have any number of lines: only the longest are looked at
_MAX_FRAMES = 200
_REACH = 45.0  # points between a caption and its table


@dataclass(frozen=True)
class Frame:
    """Rules of one width, one under the other: `heights` from the top down."""

    x0: float
    x1: float
    heights: tuple[float, ...]

    @property
    def top(self) -> float:
        return self.heights[0]

    @property
    def bottom(self) -> float:
        return self.heights[-1]


@dataclass(frozen=True)
class Candidate:
    """A place that may be a caption's table: how far from the caption (points), on which side of it ("above" or
    "below"), its box (left, bottom, right, top), its frame where it has one."""

    distance: float
    side: str
    box: tuple[float, float, float, float]
    frame: Frame | None = None

    def overlaps(self, other: Candidate) -> bool:
        (a0, b0, a1, b1), (c0, d0, c1, d1) = self.box, other.box
        return min(a1, c1) - max(a0, c0) > 2 and min(b1, d1) - max(b0, d0) > 2


@dataclass(frozen=True)
class Region:
    """The place of a table on its page: words inside, heights of the rules that cross it, rules of a part of its
    width, upright rules, text printed sideways."""

    x0: float
    x1: float
    top: float
    bottom: float
    words: tuple[Word, ...]
    rules: tuple[float, ...] = ()
    parts: tuple[Rule, ...] = ()
    upright: tuple[Rule, ...] = ()
    sideways: tuple[Word, ...] = ()


def frames(page: PageContent, barriers: Sequence[Line]) -> list[Frame]:
    """Rules of the same width one under the other, parted where a caption or running text stands between them."""
    groups: list[list[Rule]] = []
    long = [rule for rule in page.across if rule.end - rule.start >= 30]
    long = sorted(long, key=lambda rule: rule.start - rule.end)[:_MAX_RULES]
    for rule in sorted(long, key=lambda rule: -rule.at):
        for group in groups:
            if abs(group[0].start - rule.start) <= 3 and abs(group[0].end - rule.end) <= 3:
                group.append(rule)
                break
        else:
            groups.append([rule])
    lines = lines_of(page.words)
    out: list[Frame] = []
    for group in sorted(groups, key=len, reverse=True)[:_MAX_FRAMES]:
        x0, x1 = group[0].start, group[0].end
        heights = [group[0].at]
        for above, rule in pairwise(group):
            if _parted(x0, x1, rule.at, above.at, lines, barriers):
                out.append(Frame(x0, x1, tuple(heights)))
                heights = []
            heights.append(rule.at)
        out.append(Frame(x0, x1, tuple(heights)))
    trimmed = [frame for frame in (_trimmed(frame, page.words) for frame in out) if frame]
    return [frame for frame in trimmed if not any(_inside(frame, other) for other in trimmed)]


def _parted(x0: float, x1: float, low: float, high: float, lines: Sequence[Line], barriers: Sequence[Line]) -> bool:
    between = [line for line in lines if low < line.y < high and line.x1 > x0 and line.x0 < x1]
    prose = [line for line in between if line.x1 - line.x0 > 0.85 * (x1 - x0) and len(line.words) > 5]
    return any(line in between for line in barriers) or len(prose) >= 3


def _trimmed(frame: Frame, words: Sequence[Word]) -> Frame | None:
    """Without the rules above its first and below its last words: a running head's, say; double rules become one."""
    heights = list(frame.heights)
    inside = [word.y for word in words if frame.x0 - 2 <= (word.x0 + word.x1) / 2 <= frame.x1 + 2]
    kept = [heights[0]]
    for height in heights[1:]:
        if any(height < y < kept[-1] for y in inside):
            kept.append(height)
        elif len(kept) == 1:
            kept[0] = height
    return Frame(frame.x0, frame.x1, tuple(kept))


def _inside(frame: Frame, other: Frame) -> bool:
    """A frame of a part of the width, within another of two rules or more: the rules under spanning headers."""
    narrower = other.x1 - other.x0 > frame.x1 - frame.x0 + 3
    across = other.x0 - 3 <= frame.x0 and frame.x1 <= other.x1 + 3
    return narrower and across and len(other.heights) > 1 and other.bottom <= frame.bottom and frame.top <= other.top


def candidates(page: PageContent, caption: Caption, free: Sequence[Frame], barriers: Sequence[Line]) -> list[Candidate]:
    """What may be the caption's table, nearest first: frames of two rules or more; where there is none, lines."""
    out = []
    for frame in free:
        shared = min(frame.x1, caption.x1) - max(frame.x0, caption.x0)
        beside = shared < 0.3 * min(frame.x1 - frame.x0, caption.x1 - caption.x0)
        if beside or len(frame.heights) < 2 or frame.x0 < caption.left - 6 or frame.x1 > caption.right + 6:
            continue
        if frame.top <= caption.bottom + 4:
            gap, side, low, high = caption.bottom - frame.top, "below", frame.top, caption.lines[-1].y
        elif frame.bottom >= caption.top - 4:
            gap, side, low, high = frame.bottom - caption.top, "above", caption.lines[0].y, frame.bottom
        else:
            continue
        between = {round(word.y) for word in page.words if _within(word, frame) and low < word.y < high - 1}
        # Rows may stand outside the outermost rule: a few lines between are no hindrance, running text is.
        if gap <= _REACH and len(between) <= (2 if gap < 30 else 0):
            box = (frame.x0, frame.bottom, frame.x1, frame.top)
            out.append(Candidate(max(gap, 0.0), side, box, frame))
    return sorted(out or _loose(page, caption, barriers), key=lambda option: option.distance)


def _within(word: Word, frame: Frame) -> bool:
    return frame.x0 - 2 <= (word.x0 + word.x1) / 2 <= frame.x1 + 2


def region_of(page: PageContent, caption: Caption, place: Candidate) -> Region:
    """The region of a candidate; with a frame, also the rows that stand right outside its outermost rules."""
    x0, bottom, x1, top = place.box
    if place.frame:
        lines = [line for line in lines_of(page.words, 0.5) if x0 - 3 <= line.x0 and line.x1 <= x1 + 3]
        own = {id(word) for line in caption.lines for word in line.words}
        lines = [line for line in lines if not any(id(word) in own for word in line.words)]
        top, bottom = _grown(lines, top, 1), _grown(lines, bottom, -1)
    return _region(page, x0, x1, top, bottom)


def _grown(lines: Sequence[Line], edge: float, way: int) -> float:
    """The edge moved outward (`way` 1: up, -1: down) over rows of several cells that follow without a space."""
    while True:
        rows = Counter(
            round(line.y) for line in lines if 0 < way * (line.y + 0.25 * line.size - edge) < 1.5 * line.size
        )
        near = [line for line in lines if rows[round(line.y)] >= 2 and _touches(line, edge, way)]
        if not near:
            return edge
        line = near[0]
        edge = line.y + way * 0.9 * line.size if way > 0 else line.y - 0.3 * line.size


def _touches(line: Line, edge: float, way: int) -> bool:
    near_end = line.y - 0.25 * line.size if way > 0 else line.y + 0.75 * line.size
    return -1.5 < way * (near_end - edge) < 0.6 * line.size


def _loose(page: PageContent, caption: Caption, barriers: Sequence[Line]) -> list[Candidate]:
    """The lines of several cells right below the caption, and right above it."""
    rows: dict[int, list[Line]] = {}
    for line in lines_of(page.words, 0.5):
        if line.x0 >= caption.left - 3 and line.x1 <= caption.right + 3:
            rows.setdefault(round(line.y), []).append(line)
    stops = {round(line.y) for line in barriers}
    heights = sorted(rows)
    runs = {
        "below": _run(rows, [y for y in reversed(heights) if y < caption.bottom], caption.bottom, stops),
        "above": _run(rows, [y for y in heights if y > caption.top], caption.top, stops),
    }
    out = []
    for side, taken in runs.items():
        if len(taken) < 2:
            continue
        lines = [line for y in taken for line in rows[y]]
        size = max(line.size for line in lines)
        low, high = min(line.y for line in lines) - 0.35 * size, max(line.y for line in lines) + size
        box = (min(line.x0 for line in lines) - 1, low, max(line.x1 for line in lines) + 1, high)
        distance = caption.bottom - high if side == "below" else low - caption.top
        out.append(Candidate(max(distance, 0.0), side, box))
    return out


def _run(rows: dict[int, list[Line]], heights: Sequence[int], edge: float, stops: set[int]) -> list[int]:
    taken: list[int] = []
    for y in heights:
        size = max(line.size for line in rows[y])
        reach = 3 * size if not taken else 2.2 * size
        prose = 2 * sum(len(line.words) > 6 for line in rows[y]) >= len(rows[y])
        if y in stops or abs(edge - y) > reach or len(rows[y]) < 2 or prose:
            break
        taken.append(y)
        edge = y
    return taken


def _region(page: PageContent, x0: float, x1: float, top: float, bottom: float) -> Region:
    def holds(word: Word) -> bool:
        return x0 - 2 <= (word.x0 + word.x1) / 2 <= x1 + 2 and bottom < word.y + 0.2 * word.size < top

    across = [rule for rule in page.across if bottom - 1 <= rule.at <= top + 1]
    across = [rule for rule in across if rule.start >= x0 - 4 and rule.end <= x1 + 4]
    full = tuple(sorted({rule.at for rule in across if rule.end - rule.start > 0.9 * (x1 - x0)}, reverse=True))
    return Region(
        x0,
        x1,
        top,
        bottom,
        tuple(word for word in page.words if holds(word)),
        full,
        tuple(rule for rule in across if rule.at not in full),
        tuple(r for r in page.upright if x0 + 2 < r.at < x1 - 2 and r.start < top and r.end > bottom),
        tuple(word for word in page.sideways if holds(word)),
    )
