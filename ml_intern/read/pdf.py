"""A paper from its PDF: pages of text in reading order, sections by their numbered headings, true powers of ten,
tables as grids. What of a table cannot be made a grid stays in the text of its page, and a warning says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ml_intern.errors import PaperError
from ml_intern.read.anchors import Unique, slug
from ml_intern.read.paper import Element, Paper, Paragraph, Section, Source
from ml_intern.read.pdf_tables import Found, read_tables
from ml_intern.read.pdf_words import LIGATURES, PageContent, page_content

_MAX_PAGES = 200
_MIN_CHARS_A_PAGE = 40
_HEADING = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,2})\.?\s+([A-Z][^\n]{2,70})$")
_PLAIN_HEADING = re.compile(
    r"^(Abstract|Introduction|Conclusions?|References|Acknowledge?ments?|Appendix)$", re.IGNORECASE
)
_CAPTION = re.compile(r"^(Figure|Fig\.|Table)\s+(\d+)[:.]\s+(.*)", re.DOTALL)
_TABLE_NUMBER = r"(?:Table|TABLE|T ABLE|Tab\.)\s*(?:[A-Z]?\.?\d+|[IVXLC]+)"
_MAY_HOLD_TABLE = re.compile(rf"^\W*{_TABLE_NUMBER}|\b{_TABLE_NUMBER}[:.|]", re.MULTILINE)
_MENTION = re.compile(r"\bTable\s+(\d{1,2})\b(?!\.\d)")


@dataclass(frozen=True)
class _Line:
    text: str
    page: int


@dataclass(frozen=True)
class _RawPage:
    """A page's text as the PDF gives it, where a ^ is missing in it, and its words where it may hold a table."""

    text: str
    powers: tuple[int, ...]
    aligned: bool  # whether places in the text are the places of its characters
    content: PageContent | None
    skipped: bool  # too full to be looked through for tables
    damaged: bool = False


def read_pdf(data: bytes, source: Source) -> Paper:
    """Raises PaperError for what is encrypted, scanned, truncated or empty; at most 200 pages are read."""
    if not data:
        raise PaperError("The PDF is empty.", "it has 0 bytes", "Download it again.")
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise _cannot_open(str(error)) from None
    try:
        count = len(document)
        raw = [_raw_page(document, number) for number in range(min(count, _MAX_PAGES))]
        title = (document.get_metadata_dict().get("Title") or "").strip()
    finally:
        document.close()
    found = read_tables([page.content for page in raw if page.content])
    pages = [_page_text(page, found.used.get(number, frozenset())) for number, page in enumerate(raw, 1)]
    if sum(len(page.text) for page in raw) < _MIN_CHARS_A_PAGE * max(1, len(pages)):
        raise PaperError(
            "The PDF holds no text.",
            f"{count} pages with almost no characters: a scan, or pictures of pages",
            "Run it through a text recogniser (ocrmypdf, say), or give the LaTeX source.",
        )
    warnings = _warnings(count, raw, found)
    if b"%%EOF" not in data[-2048:]:
        warnings.append("the end of the file is missing: parts of the paper may be missing too")
    lines = [_Line(line, number) for number, text in enumerate(pages, 1) for line in text.split("\n")]
    sections, elements = _structure(lines)
    abstract = next((" ".join(p.text for p in s.paragraphs) for s in sections if s.anchor == "sec:abstract"), "")
    return Paper(
        source=source,
        title=title if len(title) > 8 else _first_line(lines),
        abstract=abstract,
        sections=tuple(sections),
        tables=found.tables,
        elements=tuple(elements),
        pages=count,
        warnings=tuple(warnings),
    )


def _cannot_open(why: str) -> PaperError:
    if "password" in why.lower():
        return PaperError("The PDF is encrypted.", "it needs a password", "Save a copy without one and give that.")
    return PaperError("The PDF cannot be opened.", f"it is damaged or cut short ({why})", "Download it again.")


def _warnings(count: int, raw: list[_RawPage], found: Found) -> list[str]:
    warnings = list(found.warnings)
    damaged = [str(number) for number, page in enumerate(raw, 1) if page.damaged]
    if damaged:
        warnings.append(f"damaged, and so not read: page {', '.join(damaged)}")
    skipped = [str(number) for number, page in enumerate(raw, 1) if page.skipped]
    if skipped:
        warnings.append(f"tables were not looked for on page {', '.join(skipped)}: it holds too many characters")
    known = {table.anchor.split(":", 1)[1].split(".")[0].split("#")[0] for table in found.tables}
    named = {match[1] for page in raw for match in _MENTION.finditer(page.text)}
    said = {match[1] for warning in warnings for match in _MENTION.finditer(warning)}
    if missing := sorted(named - known - said, key=int):
        warnings.append(f"named in the text, but no table with such a caption was found: Table {', '.join(missing)}")
    if count > _MAX_PAGES:
        warnings.append(f"only the first {_MAX_PAGES} of {count} pages were read")
    return warnings


def _raw_page(document: Any, number: int) -> _RawPage:
    """The page at index `number` (from 0); a damaged one is as empty and marked so."""
    import pypdfium2 as pdfium

    try:
        page = document[number]
        textpage = page.get_textpage()
    except pdfium.PdfiumError:
        return _RawPage("", (), False, None, False, damaged=True)
    try:
        text = textpage.get_text_range()
        # Characters beyond the basic plane shift the places: then nothing is put in or taken out.
        aligned = textpage.count_chars() == len(text)
        powers = tuple(_powers(textpage, text)) if aligned else ()
        wanted = _MAY_HOLD_TABLE.search(text.replace("\r", "\n")) is not None
        content = page_content(page, textpage, number + 1) if wanted else None
        return _RawPage(text, powers, aligned, content, wanted and content is None)
    finally:
        textpage.close()
        page.close()


def _page_text(page: _RawPage, used: frozenset[int]) -> str:
    """The running text: without the characters at `used`, which stand in tables, but with the line breaks there."""
    text = page.text
    if page.aligned and (used or page.powers):
        marked = set(page.powers)
        text = "".join(
            ("^" if place in marked else "") + char for place, char in enumerate(page.text) if place not in used
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # A soft hyphen at a line's end comes as U+FFFE: the word goes on in the next line.
    text = re.sub("[\ufffe\u00ad]\n?", "", text)
    text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)
    return text.translate(LIGATURES)


def _powers(textpage: Any, text: str) -> Iterator[int]:
    """10²⁰ comes as "1020": the places of digits after 10 that are raised or smaller, where a ^ belongs."""
    for match in re.finditer(r"(?<![\d.])10(\d{1,2})(?!\d)", text):
        base = textpage.get_charbox(match.start())
        power = textpage.get_charbox(match.start(1))
        height = base[3] - base[1]
        if height > 0 and (power[1] - base[1] > 0.2 * height or (power[3] - power[1]) < 0.8 * height):
            yield match.start(1)


def _structure(lines: list[_Line]) -> tuple[list[Section], list[Element]]:
    unique = Unique()
    sections: list[Section] = []
    elements: list[Element] = []
    anchor, title, level = "sec:0", "", 1
    kept: list[_Line] = []
    last: tuple[int, ...] = (0,)
    for line in [*lines, _Line("0 End", 0)]:
        heading = None if line.page == 0 else _heading(line.text.strip(), last)
        if heading or line.page == 0:
            paragraphs, found = _paragraphs(anchor, kept)
            elements += found
            if paragraphs or title:
                sections.append(Section(anchor=anchor, title=title, level=level, paragraphs=paragraphs))
            if heading:
                name, title, level = heading
                anchor, kept = unique(f"sec:{name}"), []
                last = _number(name) or last
        else:
            kept.append(line)
    return sections, elements


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".")) if re.fullmatch(r"[\d.]+", name) else ()


def _heading(text: str, last: tuple[int, ...]) -> tuple[str, str, int] | None:
    """(anchor name, title, level) when a line heads a section; numbers must go up, or it is a list or a table."""
    if match := _PLAIN_HEADING.match(text):
        return slug(match[1]), match[1], 1
    match = _HEADING.match(text)
    if match is None or match[2].endswith((".", ",", ";")) or len(re.findall(r"\d", match[2])) > 4:
        return None
    number = _number(match[1])
    follows = number[:-1] == last[: len(number) - 1] and number[-1] <= (last[len(number) - 1 :] or (0,))[0] + 2
    return (match[1], match[2], len(number)) if number > last and follows else None


def _paragraphs(anchor: str, lines: list[_Line]) -> tuple[tuple[Paragraph, ...], list[Element]]:
    """Lines to paragraphs: one ends where a short line ends a sentence, at a blank line, and at a page."""
    texts: list[tuple[str, int]] = []
    current: list[str] = []
    page = lines[0].page if lines else 0
    for line in lines:
        text = line.text.strip()
        if not text or line.page != page or _CAPTION.match(text):
            if current:
                texts.append((" ".join(current), page))
            current = []
        page = line.page
        if text:
            current.append(text)
            if text.endswith((".", "!", "?")) and len(text) < 60:
                texts.append((" ".join(current), page))
                current = []
    if current:
        texts.append((" ".join(current), page))
    elements = []
    kept = []
    for text, number in texts:
        if match := _CAPTION.match(text):
            kind = "tab" if match[1] == "Table" else "fig"
            if kind == "fig":
                elements.append(Element(anchor=f"fig:{match[2]}", kind="figure", text=match[3]))
                continue
        kept.append((text, number))
    paragraphs = tuple(
        Paragraph(anchor=f"{anchor}/par:{place}", text=text, page=number)
        for place, (text, number) in enumerate(kept, 1)
    )
    return paragraphs, elements


def _first_line(lines: list[_Line]) -> str:
    return next((line.text.strip() for line in lines if len(line.text.strip()) > 8), "(untitled)")
