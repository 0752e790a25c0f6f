"""The sections of a PDF: what heads them is told by font, place and number. Knows nothing of words' boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ml_intern.read.anchors import Unique, slug
from ml_intern.read.paper import Element, Paragraph, Section
from ml_intern.read.pdf_prose import TextLine, joined

_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,2})\.?\s+([A-Z][^\n]{2,70})$")
_LETTERED = re.compile(r"^([A-Z](?:\.\d{1,2}){0,2})\.?\s+([A-Z][^\n]{2,90})$")
_ROMAN = re.compile(r"^([IVX]{1,5})\.\s+([A-Z][^\n]{2,70})$")
_ROMANS = {"I": 1, "V": 5, "X": 10}
_PLAIN = re.compile(r"^(Abstract|Introduction|Conclusions?|References|Acknowledge?ments?|Appendix)$", re.IGNORECASE)
_BACK = re.compile(r"^(references|bibliography|appendi(x|ces)|supplement\w*|acknowledge?ments?)", re.IGNORECASE)
_CAPTION = re.compile(r"^(Figure|Fig\.|Table)\s+(\d+)[:.]\s+(.*)", re.DOTALL)
_LABEL = re.compile(r"^(Figure|Fig\.|Table|Tab\.|Algorithm|Listing)\s*[\dIVX]", re.IGNORECASE)
_LARGER = 1.1  # than the body's font: a heading's
_RUNNING = 3  # times that a running head stands in the paper, at the least
_PROSE = 6  # words of a line of running text, at the least


@dataclass(frozen=True)
class _Heading:
    """`name` as in an anchor; `lines` are how many it takes."""

    name: str
    title: str
    level: int
    lines: int = 1


def body_size(lines: Sequence[TextLine]) -> float:
    """The size, in points, of the font that most of the text is set in."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size, 1)] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def title_of(lines: Sequence[TextLine]) -> str:
    """The lines in the largest font of the first page; where no font is larger, the first line of some length."""
    first = [line for line in lines if line.page == 1 and len(line.text.strip()) > 1]
    largest = max((line.size for line in first), default=0.0)
    if largest >= _LARGER * body_size(lines) > 0:
        title = joined(line.text.strip() for line in first if line.size > 0.98 * largest)
        if 8 < len(title) <= 300:
            return title
    return next((line.text.strip() for line in lines if len(line.text.strip()) > 8), "(untitled)")


def structure(lines: Sequence[TextLine]) -> tuple[list[Section], list[Element]]:
    """Sections with their paragraphs, and the figures by their captions."""
    unique = Unique()
    finder = _Finder(lines)
    sections: list[Section] = []
    elements: list[Element] = []
    anchor, title, level = "sec:0", "", 1
    start = place = 0
    while place <= len(lines):
        heading = finder.heading(place) if place < len(lines) else None
        if heading or place == len(lines):
            paragraphs, found = _paragraphs(anchor, lines[start:place])
            elements += found
            if paragraphs or title:
                sections.append(Section(anchor=anchor, title=title, level=level, paragraphs=paragraphs))
        if heading:
            title, level = heading.title, heading.level
            anchor = unique(f"sec:{heading.name}")
            start = place + heading.lines
        place += heading.lines if heading else 1
    return sections, elements


class _Finder:
    """Tells headings, line after line: numbers must go up, or it is a list or a table."""

    def __init__(self, lines: Sequence[TextLine]) -> None:
        self._lines = list(lines)
        self._body = body_size(lines)
        self._times = Counter(line.text.strip() for line in lines)
        first = [place for place, line in enumerate(lines) if line.page == 1]
        self._title = max((lines[place].size for place in first), default=0.0)
        self._front = next((place for place in first if _PLAIN.match(lines[place].text.strip())), 0)
        self._appendix = any(re.match(r"A\.1\.?\s+[A-Z]", line.text) and self._styled(line) for line in lines)
        self._last: tuple[int, ...] = (0,)
        self._letter = ""
        self._roman = 0
        self._back = False
        self._levels: dict[tuple[float, bool], int] = {}

    def heading(self, place: int) -> _Heading | None:
        """The heading that begins with the line at `place`, if one does."""
        text = self._lines[place].text.strip()
        if match := _PLAIN.match(text):
            found: _Heading | None = _Heading(slug(match[1]), match[1], 1)
        else:
            found = self._numbered(place, text) or self._by_style(place, text)
        if found:
            self._back |= bool(_BACK.match(found.title))
        return found

    def _numbered(self, place: int, text: str) -> _Heading | None:
        match = _NUMBERED.match(text)
        if match is None or match[2].endswith((".", ",", ";")) or len(re.findall(r"\d", match[2])) > 4:
            return None
        number = tuple(int(part) for part in match[1].split("."))
        before = self._last
        follows = number[:-1] == before[: len(number) - 1] and number[-1] <= (before[len(number) - 1 :] or (0,))[0] + 2
        if number <= before or not follows:
            return None
        self._last = number
        line = self._lines[place]
        if self._styled(line):
            self._levels.setdefault((round(line.size, 1), line.bold), len(number))
        return self._whole(place, match[1], match[2], len(number))

    def _by_style(self, place: int, text: str) -> _Heading | None:
        line = self._lines[place]
        roman = _ROMAN.match(text)
        value = _roman(roman[1]) if roman else 0
        if roman and (value > self._roman if self._styled(line) else value == self._roman + 1 and roman[2].isupper()):
            self._roman = value
            return self._whole(place, str(self._roman), roman[2], 1)
        if place < self._front or not self._styled(line) or not self._shaped(place, text):
            return None
        if line.page == 1 and line.size > 0.98 * self._title and line.size > 1.02 * self._body:
            return None
        lettered = _LETTERED.match(text)
        if lettered and self._follows(lettered[1]):
            self._letter = lettered[1]
            return self._whole(place, lettered[1], lettered[2], lettered[1].count(".") + 1)
        larger = line.size >= _LARGER * self._body
        if not (larger or self._begins(place)) or not self._heads(place):
            return None
        level = self._levels.get((round(line.size, 1), line.bold), 1)
        found = self._whole(place, "", text, level)
        return _Heading(slug(found.title), found.title, level, found.lines)

    def _follows(self, name: str) -> bool:
        """Whether A, A.1, A.2, B … goes on, and may begin here."""
        if not self._letter:
            return name[0] == "A" and (self._back or self._appendix)
        return self._letter < name and ord(name[0]) - ord(self._letter[0]) <= 1

    def _styled(self, line: TextLine) -> bool:
        if not line.size:
            return False
        return line.size >= _LARGER * self._body or (line.bold and line.size >= 0.95 * self._body)

    def _shaped(self, place: int, text: str) -> bool:
        """Whether it reads like a heading, and stands alone in its row."""
        line = self._lines[place]
        words = re.search(r"[A-Za-z]{3,}", text) and (text[0].isupper() or text[0].isdigit())
        if not words or not 3 <= len(text) <= 110 or text.endswith((".", ",", ";", ":")) or _LABEL.match(text):
            return False
        if len(re.findall(r"\d", text)) > 4 or self._times[text] >= _RUNNING or "@" in text:
            return False
        beside = self._lines[max(0, place - 1) : place] + self._lines[place + 1 : place + 2]
        return not any(other.page == line.page and abs(other.y - line.y) < 0.5 * line.size for other in beside)

    def _begins(self, place: int) -> bool:
        """Whether what stands before it has ended: a bold line within a paragraph is none."""
        if not place or self._lines[place - 1].page != self._lines[place].page:
            return True
        before, line = self._lines[place - 1], self._lines[place]
        return before.y - line.y > 1.4 * line.size or before.text.rstrip().endswith((".", "!", "?", ":"))

    def _heads(self, place: int) -> bool:
        """Whether running text, or another heading, follows below it."""
        for line in self._lines[place + 1 : place + 4]:
            if _LABEL.match(line.text):
                return False
            if self._styled(line) or not line.text.strip():
                continue
            return len(line.text.split()) >= _PROSE and abs(line.size - self._body) <= 0.1 * self._body
        return False

    def _whole(self, place: int, name: str, title: str, level: int) -> _Heading:
        """With the lines right below in the same font, which go on with it."""
        line = self._lines[place]
        texts = [title]
        for other in self._lines[place + 1 : place + 3] if self._styled(line) else ():
            same = other.page == line.page and other.bold == line.bold and abs(other.size - line.size) < 0.1
            above = self._lines[place + len(texts) - 1]
            near = 0 < above.y - other.y <= 1.5 * line.size
            if not same or not near or re.match(r"(\d{1,2}|[A-Z])(\.\d{1,2})*\.?\s", other.text):
                break
            texts.append(other.text.strip())
        return _Heading(name, joined(texts), level, len(texts))


def _roman(text: str) -> int:
    values = [_ROMANS[letter] for letter in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _paragraphs(anchor: str, lines: Sequence[TextLine]) -> tuple[tuple[Paragraph, ...], list[Element]]:
    """Lines to paragraphs: one ends where a short line ends a sentence, at a blank line, and at a page."""
    groups: list[list[TextLine]] = []
    current: list[TextLine] = []
    for line in lines:
        text = line.text.strip()
        if current and (not text or line.page != current[0].page or _CAPTION.match(text)):
            groups.append(current)
            current = []
        if text:
            current.append(line)
            if text.endswith((".", "!", "?")) and len(text) < 60:
                groups.append(current)
                current = []
    if current:
        groups.append(current)
    elements: list[Element] = []
    paragraphs: list[Paragraph] = []
    for group in groups:
        text = joined(line.text.strip() for line in group)
        match = _CAPTION.match(text)
        if match and match[1] != "Table":
            elements.append(Element(anchor=f"fig:{match[2]}", kind="figure", text=match[3]))
            continue
        name = f"{anchor}/par:{len(paragraphs) + 1}"
        doubtful = tuple(number for line in group for number in line.doubtful)
        paragraphs.append(Paragraph(anchor=name, text=text, page=group[0].page, doubtful=doubtful))
    return tuple(paragraphs), elements
