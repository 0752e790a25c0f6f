"""The running text of a page of a PDF, as lines in reading order, with true superscripts.

The order is the file's, which is a reader's order as good as always; where it goes to and fro between two columns, the
boxes decide. Knows nothing of sections.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ml_intern.read.pdf_words import LIGATURES, PageContent, Word

_WIDE = 0.9  # of the size: a narrower space is one between words, wherever the columns part
_RETURNS = 4  # from the right column back to the left: more than captions, notes and page numbers explain
# 3.3 × 10^18 and 65 × 10^6 without their raised places; 512 x 1024 and 3 x 1024 x 1024 are sizes.
_LOST_POWER = re.compile(
    r"(?<![\d.])(?<![·×x*])(?<![·×x*] )"
    r"(?:\d{2,3}\s?[·×]\s?(?=10[2-9]\b)|(?:\d|\d+\.\d+)\s?[·×x*]\s?)(10\d{1,2})(?![\d.,^]|\s?[·×x*])"
)
_MAYBE_POWER = re.compile(r"(?<![\w.,^])10(?:[2-9]|[1-9]\d)(?![\w,^]|\.\d)")


@dataclass(frozen=True)
class TextLine:
    """A line of running text on its page (from 1). `size` is that of its font in points, `bold` whether its first and
    last words are, `x0`, `x1` and `y` where it stands; all 0 where the PDF's boxes were not looked at. `doubtful` are
    the numbers in it whose digits may be raised or not."""

    text: str
    page: int
    size: float = 0.0
    bold: bool = False
    x0: float = 0.0
    x1: float = 0.0
    y: float = 0.0
    doubtful: tuple[str, ...] = ()


def plain_lines(text: str, page: int) -> list[TextLine]:
    """The text of a page as the PDF gives it. Nobody looked whether digits are raised: whatever may be a power of ten
    is doubtful."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # A soft hyphen at a line's end comes as U+FFFE: the word goes on in the next line.
    text = re.sub("[\ufffe\u00ad]\n?", "-\n", text)
    lines = text.translate(LIGATURES).split("\n")
    return [TextLine(line, page, doubtful=tuple(_MAYBE_POWER.findall(line))) for line in lines]


def text_lines(page: PageContent, used: frozenset[int], split: float | None) -> list[TextLine]:
    """The lines of a page without the characters at `used`, which stand in tables. `split` is where the space between
    two columns stands."""
    pieces = list(_pieces(sorted((*page.words, *page.sideways), key=lambda word: word.chars[0]), used, split))
    if split is not None and _mixed(pieces, split):
        pieces = _by_columns([piece for piece in pieces if piece], split)
    turned = {word.chars[0] for word in page.sideways}
    return [_line(piece, page, turned) for piece in pieces]


def _pieces(words: Iterable[Word], used: frozenset[int], split: float | None) -> Iterator[list[Word]]:
    """The file's lines, parted at the space between columns; an empty one where a table is."""
    current: list[Word] = []
    inside = False
    for word in words:
        was, inside = inside, word.chars[0] in used
        if current and (inside or word.begins or _crosses(current[-1], word, split)):
            yield current
            current = []
        if not inside:
            current.append(word)
        elif not was:
            yield []
    if current:
        yield current


def _crosses(before: Word, word: Word, split: float | None) -> bool:
    """Whether the space between two columns parts these words of one row."""
    if split is None or word.x0 - before.x1 <= _WIDE * max(word.size, before.size):
        return False
    return before.x1 <= split + 2 and word.x0 >= split - 2


def _side(piece: Sequence[Word], split: float) -> int:
    """-1 left, 1 right, 0 across both columns."""
    if max(word.x1 for word in piece) <= split + 3:
        return -1
    return 1 if min(word.x0 for word in piece) >= split - 3 else 0


def _mixed(pieces: Sequence[Sequence[Word]], split: float) -> bool:
    sides = [side for side in (_side(piece, split) for piece in pieces if piece) if side]
    returns = sum(before > side for before, side in pairwise(sides))
    return returns >= _RETURNS and 4 * returns >= min(sides.count(-1), sides.count(1))


def _by_columns(pieces: Sequence[list[Word]], split: float) -> list[list[Word]]:
    """From the top down: the left column, then the right, between lines that cross both."""
    out: list[list[Word]] = []
    columns: dict[int, list[list[Word]]] = {-1: [], 1: []}
    for piece in sorted(pieces, key=lambda piece: (-round(piece[0].y), piece[0].x0)):
        side = _side(piece, split)
        if side:
            columns[side].append(piece)
            continue
        out += [*columns[-1], *columns[1], piece]
        columns = {-1: [], 1: []}
    return [*out, *columns[-1], *columns[1]]


def _line(words: Sequence[Word], page: PageContent, turned: Collection[int]) -> TextLine:
    if not words:
        return TextLine("", page.number)
    size = Counter(word.size for word in words for _ in word.text).most_common(1)[0][0]
    # The mark before a footnote, or an address, is no digit of what follows and numbers no section.
    raised = len(words) > 1 and words[0].size < 0.85 * size and words[0].y - words[1].y > 0.15 * size
    text = ("^" if raised and words[0].text[0].isalnum() else "") + " ".join(word.text for word in words)
    text = re.sub(r" ?\ufffd", "", text)  # what the PDF does not say the meaning of, large brackets mostly
    if words[0].chars[0] in turned:
        return TextLine(text, page.number)
    return TextLine(
        text,
        page.number,
        size,
        words[0].chars[0] in page.bold and words[-1].chars[0] in page.bold,
        min(word.x0 for word in words),
        max(word.x1 for word in words),
        words[0].y,
        (*(word.text for word in words if word.doubtful), *_LOST_POWER.findall(text)),
    )


def joined(lines: Iterable[str]) -> str:
    """Lines as one text: a word broken at a line's end is mended, a hyphen before a digit or a capital stays."""
    out = ""
    for line in lines:
        if out[-1:] == "-" and out[-2:-1].isalnum() and line[:1].isalnum():
            out = (out[:-1] if out[-2].islower() and line[0].islower() else out) + line
        else:
            out = f"{out} {line}" if out and line else out + line
    return out
