"""The captions of tables on a page of a PDF, and its lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ml_intern.read.pdf_words import PageContent, Rule, Word

_LABEL = re.compile(
    r"^(?:(?P<other>Figure|Fig\.|Algorithm|Listing|FIGURE|FIG\.)|Table|TABLE|Tab\.)\s?"
    r"(?P<number>[A-Z]?\.?\d{1,3}(?:\.\d{1,2})?|[IVXLC]{1,6})\b\s*(?P<mark>[:.|–—])?\s*(?P<rest>.*)$"
)
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


@dataclass(frozen=True)
class Line:
    """Words on one baseline that stand close together."""

    words: tuple[Word, ...]

    @cached_property
    def x0(self) -> float:
        return self.words[0].x0

    @cached_property
    def x1(self) -> float:
        return max(word.x1 for word in self.words)

    @cached_property
    def y(self) -> float:
        return self.words[0].y

    @cached_property
    def size(self) -> float:
        return max(word.size for word in self.words)

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Caption:
    """A caption: its number as in an anchor, its text, its lines; `left` and `right` bound the column it stands in."""

    number: str
    text: str
    lines: tuple[Line, ...]
    page: int
    left: float
    right: float

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.lines)

    @property
    def x1(self) -> float:
        return max(line.x1 for line in self.lines)

    @property
    def top(self) -> float:
        return self.lines[0].y + 0.75 * self.lines[0].size

    @property
    def bottom(self) -> float:
        return self.lines[-1].y - 0.25 * self.lines[-1].size


def rows_of(words: Iterable[Word], gap: float = 1.0) -> list[list[Line]]:
    """Words by baseline from the top down, each row parted where the space is wider than `gap` times the size."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (-word.y, word.x0)):
        if rows and rows[-1][0].y - word.y <= 0.2 * word.size:
            rows[-1].append(word)
        else:
            rows.append([word])
    return [_pieces(sorted(row, key=lambda word: word.x0), gap) for row in rows]


def lines_of(words: Iterable[Word], gap: float = 1.0) -> list[Line]:
    """The pieces of all rows, from the top down."""
    return [line for row in rows_of(words, gap) for line in row]


def _pieces(row: Sequence[Word], gap: float) -> list[Line]:
    lines: list[Line] = []
    current = [row[0]]
    reached = row[0].x1
    for word in row[1:]:
        if word.x0 - reached > gap * max(word.size, current[-1].size):
            lines.append(Line(tuple(current)))
            current = []
        current.append(word)
        reached = max(reached, word.x1)
    return [*lines, Line(tuple(current))]


def gutter(page: PageContent, lines: Sequence[Line]) -> float | None:
    """Where the space between two columns of text stands (x), or None on a page of one column."""
    middle = page.width / 2
    wide = [line for line in lines if line.x1 - line.x0 > 0.25 * page.width]
    left = [line for line in wide if line.x1 < middle + 6]
    right = [line for line in wide if line.x0 > middle - 6]
    if min(len(left), len(right)) < 6 or len(wide) - len(left) - len(right) > len(left) + len(right):
        return None
    return (Counter(round(line.x1) for line in left).most_common(1)[0][0] + min(line.x0 for line in right)) / 2


def gutters(pages: Sequence[PageContent]) -> dict[int, float | None]:
    """The space between two columns by page number. A page that does not show it itself, being full of tables, has
    that of the others, unless many of its lines cross it."""
    lines = {page.number: lines_of(page.words) for page in pages}
    own = {page.number: gutter(page, lines[page.number]) for page in pages}
    known = sorted(place for place in own.values() if place is not None)
    if len(known) * 3 < len(pages) or not known:
        return own
    usual = known[len(known) // 2]
    for number, place in own.items():
        crossing = sum(line.x0 < usual - 10 and line.x1 > usual + 10 for line in lines[number])
        if place is None and crossing <= 0.1 * len(lines[number]):
            own[number] = usual
    return own


def captions(page: PageContent, split: float | None) -> tuple[list[Caption], list[Line]]:
    """(captions of tables, first lines of every caption of anything), from the top down. `split` is where the space
    between two columns stands."""
    lines = lines_of(page.words)
    found: list[tuple[Line, re.Match[str]]] = []
    barriers: list[Line] = []
    for line in lines:
        match = _LABEL.match(line.text)
        if match is None or not _labels(page, line, match, lines):
            continue
        barriers.append(line)
        if not match["other"]:
            found.append((line, match))
    return [_caption(page, line, match, lines, barriers, split) for line, match in found], barriers


def _labels(page: PageContent, line: Line, match: re.Match[str], lines: Sequence[Line]) -> bool:
    """Whether the line is a caption's first, not a sentence that happens to begin with "Table 2"."""
    if match["mark"] not in (None, "."):
        return True
    rest = match["rest"]
    if match["mark"] is None and rest and not rest[0].isupper() and line.words[0].chars[0] not in page.labels:
        return False
    for above in lines:
        close = 0 < above.y - line.y <= 1.35 * line.size and min(above.x1, line.x1) - max(above.x0, line.x0) > 0
        if close and not _rule_between(page.across, line.x0, line.x1, line.y, above.y):
            return False
    return True


def _rule_between(rules: Iterable[Rule], x0: float, x1: float, low: float, high: float) -> bool:
    return any(low < rule.at < high and rule.start < x1 and rule.end > x0 for rule in rules)


def _caption(
    page: PageContent,
    first: Line,
    match: re.Match[str],
    lines: Sequence[Line],
    barriers: Sequence[Line],
    split: float | None,
) -> Caption:
    left, right = _bounds(page, first, barriers, split)
    inside = [line for line in lines if line.x0 >= left - 3 and line.x1 <= right + 3]
    kept = [first]
    # A wide space may part the label from its text.
    beside = [line for line in inside if abs(line.y - first.y) < 2 and 0 < line.x0 - first.x1 < 3 * first.size]
    if not match["rest"] and beside:
        kept = [Line(first.words + beside[0].words)]
    for line in inside:
        last = kept[-1]
        if not 0.5 * last.size < last.y - line.y <= 1.5 * last.size or line in barriers:
            continue
        alone = sum(abs(other.y - line.y) < 2 for other in inside) == 1
        alike = abs(line.size - last.size) <= 0.15 * last.size
        if alone and alike and not _rule_between(page.across, left, right, line.y, last.y):
            kept.append(line)
    head = match["rest"] if len(kept[0].words) == len(first.words) else f"{match['rest']} {beside[0].text}"
    texts = [head.strip(), *(line.text for line in kept[1:])]
    return Caption(_number(match["number"]), joined(texts), tuple(kept), page.number, left, right)


def _bounds(page: PageContent, line: Line, barriers: Sequence[Line], split: float | None) -> tuple[float, float]:
    """The sides between which a caption's table may stand: of its column, and of the caption beside it."""
    left, right = 0.0, page.width
    if split is not None and line.x1 <= split + 4:
        right = split
    elif split is not None and line.x0 >= split - 4:
        left = split
    for other in barriers:
        if other is not line and abs(other.y - line.y) < 2:
            if other.x0 > line.x1:
                right = min(right, (line.x1 + other.x0) / 2)
            elif other.x1 < line.x0:
                left = max(left, (other.x1 + line.x0) / 2)
    return left, right


def _number(text: str) -> str:
    if not re.fullmatch(r"[IVXLC]+", text):
        return text
    values = [_ROMAN[letter] for letter in text]
    return str(sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True)))


def joined(texts: Iterable[str]) -> str:
    """Lines of one text: a word broken at the line's end is mended."""
    out = ""
    for text in texts:
        if out.endswith("-") and len(out) > 1 and out[-2].isalpha() and text[:1].isalpha():
            out = (out[:-1] if text[:1].islower() and out[-2].islower() else out) + text
        else:
            out = f"{out} {text}" if out and text else out + text
    return out
