"""What stands where on a page of a PDF: words with their baselines and superscripts, and drawn rules.

All lengths are in points, the origin is the page's lower left corner.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

LIGATURES = str.maketrans({"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "\u00ad": "", "\x02": ""})
_FOLDED = {
    **{code: text for code, text in LIGATURES.items() if text},
    **str.maketrans({"ϵ": "ε", "ϕ": "φ", "⋅": "·", "∙": "·", "∗": "*", "\u00a0": " ", "\ufffe": "-", "\u00ad": "-"}),
    2: "-",
}
# Greek letters as TeX's math italic fonts number them, where the PDF does not say what they are.
_MATH_ITALIC = dict(enumerate("αβγδεζηθικλμνξπρστυφχψω", start=0x0B))
_MARKS = frozenset("*†‡§¶")
_SPACES = frozenset((0, 9, 10, 12, 13, 32, 0xA0))
_BROKEN = frozenset((2, 0xFFFE))  # a hyphen that breaks a word at a line's end; no line's end follows it in the text
_MAX_CHARS = 20_000
_MAX_OBJECTS = 20_000
_MAX_SMALL, _MAX_ENDS = 500, 60  # small words that are looked at, and points around each
_BOLD = re.compile(rb"bold|black|heavy|medi(?!um)|cmbx|sfbx|-b(?:[^a-z]|$)", re.IGNORECASE)
_GLUED = 0.2  # of the size: a wider gap parts two words even without a space
_LEVEL = 0.08  # of the size: what is raised by less stands on the baseline
_RAISED = 0.15  # of the size: what is raised by more, and smaller, is a superscript


@dataclass(frozen=True)
class Word:
    """A word as set: `text` with ^ and _ before what is raised or lowered, its left and right ends, its baseline,
    its font size. `doubtful` when digits are raised or small by so little that it may be a superscript or not.
    `chars` are the indices of its characters in the page's text; `begins` when a line of that text begins with it."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    chars: tuple[int, ...] = ()
    doubtful: bool = False
    begins: bool = False

    @property
    def top(self) -> float:
        return self.y + 0.75 * self.size

    @property
    def bottom(self) -> float:
        return self.y - 0.25 * self.size


class Rule(NamedTuple):
    """A drawn line. Horizontal: from `start` to `end` at height `at`; upright: from `start` up to `end` at x = `at`."""

    start: float
    end: float
    at: float


@dataclass(frozen=True)
class PageContent:
    """One page (`number` counts from 1). `sideways` are words that are printed turned, as runs of characters.
    `labels` holds the first character of every "Table" that is set in another font than what follows its number,
    `bold` that of every bold word that begins or ends a line or stands after a wide space."""

    number: int
    width: float
    height: float
    words: tuple[Word, ...]
    sideways: tuple[Word, ...] = ()
    across: tuple[Rule, ...] = ()
    upright: tuple[Rule, ...] = ()
    labels: frozenset[int] = frozenset()
    bold: frozenset[int] = frozenset()


class _Char(NamedTuple):
    place: int
    text: str
    x0: float
    x1: float
    y: float
    size: float
    spaced: bool  # a space stands before it
    begins: bool  # a line's end stands before it
    turned: bool


def page_content(page: Any, textpage: Any, number: int) -> PageContent | None:
    """The words and rules of one page (pypdfium2's PdfPage and PdfTextPage); None when it holds too many characters
    to be a page of a paper."""
    if textpage.count_chars() > _MAX_CHARS:
        return None
    chars = list(_chars(textpage))
    words = _attached(list(_words([char for char in chars if not char.turned])))
    sideways = tuple(_sideways([char for char in chars if char.turned]))
    across, upright = _rules(page)
    width, height = page.get_size()
    labels = frozenset(
        word.chars[0]
        for word, after in zip(words, words[2:], strict=False)
        if word.text.lower() in ("table", "tab.") and _font(textpage, word) != _font(textpage, after)
    )
    bold = frozenset(word.chars[0] for word in _ends(words) if _BOLD.search(_font(textpage, word)))
    return PageContent(number, width, height, tuple(words), sideways, tuple(across), tuple(upright), labels, bold)


def _ends(words: Sequence[Word]) -> Iterator[Word]:
    """Words that begin or end a line, or stand beside a wide space in it."""
    for before, word in pairwise(words):
        if word.begins or word.x0 - before.x1 > max(word.size, before.size):
            yield before
            yield word
    yield from words[:1]
    yield from words[-1:]


def _font(textpage: Any, word: Word) -> bytes:
    import pypdfium2.raw as raw

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, word.chars[0], name, 128, flags)
    return bytes(name.value)


def _chars(textpage: Any) -> Iterator[_Char]:
    import pypdfium2.raw as raw

    x, y = ctypes.c_double(), ctypes.c_double()
    matrix, box = raw.FS_MATRIX(), raw.FS_RECTF()
    spaced = begins = turned = False
    size = height = last_top = last_bottom = slack = 0.0
    box_of, page = raw.FPDFText_GetLooseCharBox, textpage.raw
    for index, code in _codes(textpage):
        if code in _SPACES:
            spaced = True
            begins |= code in (10, 13)
            continue
        box_of(page, index, box)
        top, bottom = box.top, box.bottom
        # The box is as high as the font, nearly: where it is as before, the baseline, size and direction are too.
        if not (-slack < top - last_top < slack and -slack < bottom - last_bottom < slack):
            raw.FPDFText_GetCharOrigin(page, index, x, y)
            raw.FPDFText_GetMatrix(page, index, matrix)
            scale = math.sqrt(abs(matrix.a * matrix.d - matrix.b * matrix.c)) or 1.0
            size = max(raw.FPDFText_GetFontSize(page, index) * scale, 0.1)
            turned = abs(matrix.b) > 0.5 * abs(matrix.a)
            height, last_top, last_bottom, slack = y.value, top, bottom, 0.02 * (top - bottom)
        text = _FOLDED.get(code) or (chr(code) if 0x20 < code < 0xD800 else _text(textpage, index, code))
        yield _Char(index, text, box.left, box.right, height, size, spaced, begins, turned)
        spaced, begins = False, code in _BROKEN


def _codes(textpage: Any) -> Iterator[tuple[int, int]]:
    """(index, code) of every character; of one beyond the basic plane, which the text has as two, the first index."""
    import pypdfium2.raw as raw

    count = textpage.count_chars()
    units = (ctypes.c_ushort * (count + 1))()
    if raw.FPDFText_GetText(textpage, 0, count, units) == count + 1:
        codes = list(units[:count])
    else:
        codes = [raw.FPDFText_GetUnicode(textpage, index) for index in range(count)]
    for index, code in enumerate(codes):
        if 0xDC00 <= code < 0xE000 and index and 0xD800 <= codes[index - 1] < 0xDC00:
            continue
        if 0xD800 <= code < 0xDC00 and index + 1 < count and 0xDC00 <= codes[index + 1] < 0xE000:
            code = 0x10000 + ((code - 0xD800) << 10) + (codes[index + 1] - 0xDC00)
        yield index, code


def _text(textpage: Any, index: int, code: int) -> str:
    """The character; U+FFFD where the PDF does not tell, or names one that is none (a lone surrogate, say)."""
    import pypdfium2.raw as raw

    if code > 0x20:
        return chr(code) if code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"
    name, flags = ctypes.create_string_buffer(64), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, index, name, 64, flags)
    return _MATH_ITALIC.get(code, "\ufffd") if b"CMMI" in name.value else "\ufffd"


@dataclass
class _Open:
    """The word being put together: `base` is a character on its baseline, `level` where its last character stands."""

    base: _Char
    text: str
    x1: float
    last: _Char
    level: int = 0
    chars: list[int] = field(default_factory=list)
    doubtful: bool = False

    def word(self, x0: float) -> Word:
        base = self.base
        return Word(self.text, x0, self.x1, base.y, base.size, tuple(self.chars), self.doubtful, base.begins)


def _words(chars: Sequence[_Char]) -> Iterator[Word]:
    """Runs of characters in the order of the page's text, parted at spaces, gaps, and jumps of the baseline."""
    current: _Open | None = None
    start = 0.0
    for char in chars:
        if current and current.level == 0 and not char.spaced and _goes_on(current, char):
            current.text += char.text
            current.last = char
            current.chars.append(char.place)
            if char.x1 > current.x1:
                current.x1 = char.x1
            continue
        level = _level(current, char) if current else None
        if current is None or level is None:
            if current:
                yield current.word(start)
            current, start = _Open(char, char.text, char.x1, char, 0, [char.place]), char.x0
            continue
        if level and level != current.level and char.text not in _MARKS and char.text != "±":
            current.text += "^" if level > 0 else "_"
        current.doubtful |= _glued(current, char, level)
        current.text += char.text
        current.level, current.last = level, char
        if char.x1 > current.x1:
            current.x1 = char.x1
        current.chars.append(char.place)
    if current:
        yield current.word(start)


def _goes_on(current: _Open, char: _Char) -> bool:
    """What is so for most characters, and quickly told: the next one on the same baseline, as large."""
    base = current.base
    return char.y == base.y and char.size == base.size and -0.6 < (char.x0 - current.x1) / base.size <= _GLUED


def _level(current: _Open, char: _Char) -> int | None:
    """0 on the baseline, 1 raised, -1 lowered; None when `char` begins another word."""
    base = current.base
    if (char.x0, char.x1, char.y) == (current.last.x0, current.last.x1, current.last.y):
        return current.level  # the second letter of a ligature has the place of the first
    gap, rise = char.x0 - current.x1, char.y - base.y
    smaller = char.size < 0.9 * base.size
    if gap < -0.6 * base.size or abs(rise) > 0.7 * base.size or char.size > 1.3 * base.size:
        return None
    moved = smaller and abs(rise) > _LEVEL * base.size
    # The space before or after a superscript is the PDF reader's guess, not the paper's, where there is none to see.
    guessed = (moved or current.level != 0) and gap < 0.1 * base.size
    if gap > _GLUED * base.size or (char.spaced and not guessed):
        return None
    if abs(rise) <= _LEVEL * base.size:
        return 0
    if not smaller:
        # As large as its neighbour and much higher or lower: another line's; slightly: an uneven baseline.
        return 0 if abs(rise) <= 2 * _RAISED * base.size else None
    return 1 if rise > 0 else -1


def _glued(current: _Open, char: _Char, level: int) -> bool:
    """Whether a digit follows a digit in a way that a superscript would, but not clearly."""
    if not (char.text.isdigit() and current.text[-1:].isdigit()) or level:
        return False
    rise = abs(char.y - current.base.y) / current.base.size
    return rise > _LEVEL / 2 or char.size < 0.9 * current.base.size


def _attached(words: list[Word]) -> list[Word]:
    """Small words, raised or lowered, that stand right after a larger one but elsewhere in the page's text, joined to
    it."""
    if not words:
        return words
    sizes = sorted(word.size for word in words)
    body = sizes[len(sizes) // 2]
    kept: list[Word | None] = list(words)
    by_end: dict[int, list[int]] = {}
    for place, word in enumerate(words):
        by_end.setdefault(round(word.x1), []).append(place)
    small = [place for place, word in enumerate(words) if word.size < 0.85 * body][:_MAX_SMALL]
    for place in small:
        raised = kept[place]
        if raised is None:
            continue
        near = range(round(raised.x0 - 0.12 * sizes[-1]) - 1, round(raised.x0 + 0.05 * sizes[-1]) + 2)
        for other in sorted(found for end in near[:_MAX_ENDS] for found in by_end.get(end, ())):
            base = kept[other]
            if base is None or not _carries(base, raised):
                continue
            mark = "" if raised.text[0] in _MARKS or raised.text[0] == "±" else "^" if raised.y > base.y else "_"
            kept[other] = replace(
                base, text=base.text + mark + raised.text, x1=raised.x1, chars=base.chars + raised.chars
            )
            by_end.setdefault(round(raised.x1), []).append(other)
            kept[place] = None
            break
    return [word for word in kept if word is not None]


def _carries(base: Word, word: Word) -> bool:
    """Whether `word` is a superscript or a subscript of `base`."""
    if word.size >= 0.85 * base.size or not -0.05 * base.size <= word.x0 - base.x1 <= 0.12 * base.size:
        return False
    rise = (word.y - base.y) / base.size
    return _RAISED < rise < 0.6 or -0.45 < rise < -_LEVEL


def _sideways(chars: Sequence[_Char]) -> Iterator[Word]:
    """Turned characters, one Word a run: x0 and x1 are where the run stands, y is the foot of its lowest character."""
    run: list[_Char] = []
    for char in [*chars, None]:
        last = run[-1] if run else None
        if last and (char is None or char.spaced or math.dist((char.x0, char.y), (last.x0, last.y)) > 2 * last.size):
            text = "".join(part.text for part in run)
            low = min(part.y for part in run)
            ends = min(part.x0 for part in run), max(part.x1 for part in run)
            yield Word(text, *ends, low, last.size, tuple(part.place for part in run), False, run[0].begins)
            run = []
        if char:
            run.append(char)


_Matrix = tuple[float, float, float, float, float, float]


def _rules(page: Any) -> tuple[list[Rule], list[Rule]]:
    """(horizontal, vertical) rules: thin paths or pictures, and the edges of stroked rectangles. Pieces that touch are
    joined."""
    import pypdfium2.raw as raw

    across: list[Rule] = []
    upright: list[Rule] = []
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    for thing, (x0, y0, x1, y1) in _drawn(page):
        if y1 - y0 <= 3 and x1 - x0 >= 4:
            across.append(Rule(x0, x1, (y0 + y1) / 2))
        elif x1 - x0 <= 3 and y1 - y0 >= 4:
            upright.append(Rule(y0, y1, (x0 + x1) / 2))
        elif raw.FPDFPageObj_GetType(thing) == raw.FPDF_PAGEOBJ_PATH and 4 <= raw.FPDFPath_CountSegments(thing) <= 6:
            raw.FPDFPath_GetDrawMode(thing, fill, stroke)
            if stroke.value:
                across += [Rule(x0, x1, y0), Rule(x0, x1, y1)]
                upright += [Rule(y0, y1, x0), Rule(y0, y1, x1)]
    return _joined(across), _joined(upright)


def _drawn(page: Any) -> Iterator[tuple[Any, tuple[float, float, float, float]]]:
    """Paths and pictures with their boxes on the page (left, bottom, right, top), also those inside forms."""
    import pypdfium2.raw as raw

    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    matrix = raw.FS_MATRIX()
    drawn = (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE)  # old TeX drivers set a rule as a picture
    budget = _MAX_OBJECTS
    pending: list[tuple[Any, _Matrix, int]] = [(None, (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), 0)]
    while pending:
        form, (a, b, c, d, e, f), depth = pending.pop()
        count = raw.FPDFPage_CountObjects(page) if form is None else raw.FPDFFormObj_CountObjects(form)
        for number in range(min(count, budget)):
            budget -= 1
            thing = raw.FPDFPage_GetObject(page, number) if form is None else raw.FPDFFormObj_GetObject(form, number)
            kind = raw.FPDFPageObj_GetType(thing)
            if kind == raw.FPDF_PAGEOBJ_FORM and depth < 3 and raw.FPDFPageObj_GetMatrix(thing, matrix):
                m = matrix
                moved = (m.e * a + m.f * c + e, m.e * b + m.f * d + f)
                turn = (m.a * a + m.b * c, m.a * b + m.b * d, m.c * a + m.d * c, m.c * b + m.d * d)
                pending.append((thing, (*turn, *moved), depth + 1))
            elif kind in drawn and raw.FPDFPageObj_GetBounds(thing, left, bottom, right, top):
                corners = ((left.value, bottom.value), (right.value, top.value))
                (x0, y0), (x1, y1) = ((x * a + y * c + e, x * b + y * d + f) for x, y in corners)
                yield thing, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def _joined(rules: list[Rule]) -> list[Rule]:
    levels: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if levels and rule.at - levels[-1][0].at <= 1.0:
            levels[-1].append(rule)
        else:
            levels.append([rule])
    out: list[Rule] = []
    for level in levels:
        first = len(out)
        for rule in sorted(level):
            if len(out) > first and rule.start - out[-1].end <= 1.5:
                out[-1] = Rule(out[-1].start, max(out[-1].end, rule.end), out[-1].at)
            else:
                out.append(rule)
    return out
