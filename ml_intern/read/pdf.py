"""A paper from its PDF: pages of text in reading order, sections by their headings, true superscripts, tables as
grids. What of a table cannot be made a grid stays in the text of its page, and a warning says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_intern.errors import PaperError
from ml_intern.read.paper import Paper, Source
from ml_intern.read.pdf_captions import gutters
from ml_intern.read.pdf_prose import TextLine, plain_lines, text_lines
from ml_intern.read.pdf_sections import structure, title_of
from ml_intern.read.pdf_tables import Found, read_tables
from ml_intern.read.pdf_words import PageContent, page_content

_MAX_PAGES = 200
_MIN_CHARS_A_PAGE = 40
_SHOWN = 5  # doubtful numbers in a warning
_TABLE_NUMBER = r"(?:Table|TABLE|T ABLE|Tab\.)\s*(?:[A-Z]?\.?\d+|[IVXLC]+)"
_MAY_HOLD_TABLE = re.compile(rf"^\W*{_TABLE_NUMBER}|\b{_TABLE_NUMBER}[:.|]", re.MULTILINE)
_MENTION = re.compile(r"\bTable\s+(\d{1,2})\b(?!\.\d)")


@dataclass(frozen=True)
class _RawPage:
    """A page's text as the PDF gives it, and what stands where on it; None where that was not looked at, since the page
    is damaged or holds too many characters."""

    text: str
    content: PageContent | None
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
        named = document.get_metadata_dict()
    finally:
        document.close()
    contents = [page.content for page in raw if page.content]
    found = read_tables([page for page in contents if _MAY_HOLD_TABLE.search(raw[page.number - 1].text)])
    splits = gutters(contents)
    lines = [line for number, page in enumerate(raw, 1) for line in _lines(page, number, found, splits)]
    if sum(len(page.text) for page in raw) < _MIN_CHARS_A_PAGE * max(1, len(raw)):
        raise PaperError(
            "The PDF holds no text.",
            f"{count} pages with almost no characters: a scan, or pictures of pages",
            "Run it through a text recogniser (ocrmypdf, say), or give the LaTeX source.",
        )
    warnings = _warnings(count, raw, found)
    if b"%%EOF" not in data[-2048:]:
        warnings.append("the end of the file is missing: parts of the paper may be missing too")
    warnings += _doubts(lines)
    sections, elements = structure(lines)
    title = (named.get("Title") or "").strip()
    abstract = next((" ".join(p.text for p in s.paragraphs) for s in sections if s.anchor == "sec:abstract"), "")
    return Paper(
        source=source,
        title=title if len(title) > 8 else title_of(lines),
        authors=_authors(named.get("Author") or ""),
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
    skipped = [str(number) for number, page in enumerate(raw, 1) if page.content is None and not page.damaged]
    if skipped:
        warnings.append(
            f"tables and raised digits were not looked for on page {', '.join(skipped)}: it holds too many characters"
        )
    known = {table.anchor.split(":", 1)[1].split(".")[0].split("#")[0] for table in found.tables}
    named = {match[1] for page in raw for match in _MENTION.finditer(page.text)}
    said = {match[1] for warning in warnings for match in _MENTION.finditer(warning)}
    if missing := sorted(named - known - said, key=int):
        warnings.append(f"named in the text, but no table with such a caption was found: Table {', '.join(missing)}")
    if count > _MAX_PAGES:
        warnings.append(f"only the first {_MAX_PAGES} of {count} pages were read")
    return warnings


def _doubts(lines: list[TextLine]) -> list[str]:
    doubts = [f"{number!r} on page {line.page}" for line in lines for number in line.doubtful]
    if not doubts:
        return []
    shown = ", ".join(doubts[:_SHOWN]) + (f" and {len(doubts) - _SHOWN} more" if len(doubts) > _SHOWN else "")
    return [f"whether digits are raised could not be told, so these numbers may be misread: {shown}"]


def _authors(named: str) -> tuple[str, ...]:
    """The names that the PDF's own record gives, where they look like names."""
    names = [" ".join(name.split()) for name in re.split(r"[;,]|\band\b|&", named)]
    if any(re.search(r"[\d@/\\]", name) for name in names):
        return ()
    return tuple(name for name in names if len(name.split()) > 1)[:60]


def _raw_page(document: Any, number: int) -> _RawPage:
    """The page at index `number` (from 0); a damaged one is as empty and marked so."""
    import pypdfium2 as pdfium

    try:
        page = document[number]
        textpage = page.get_textpage()
    except pdfium.PdfiumError:
        return _RawPage("", None, damaged=True)
    try:
        text = textpage.get_text_range().replace("\r\n", "\n").replace("\r", "\n")
        return _RawPage(text, page_content(page, textpage, number + 1))
    finally:
        textpage.close()
        page.close()


def _lines(page: _RawPage, number: int, found: Found, splits: Mapping[int, float | None]) -> list[TextLine]:
    if page.content is None:
        return plain_lines(page.text, number)
    return text_lines(page.content, found.used.get(number, frozenset()), splits[number])
