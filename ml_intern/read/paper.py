"""The Paper: what was read, every part with an anchor. Knows nothing of how it was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Number(_Part):
    """One quantity. `value` as printed (41.8, 3.3e18); `spread` is what stands after ± or in brackets, same unit.

    `doubtful` marks a number that may have been misread (a lost superscript in a PDF, say)."""

    value: float
    spread: float | None = None
    unit: str = ""
    starred: bool = False
    doubtful: bool = False


class Cell(_Part):
    """One cell. `text` is folded to plain text; `number` is set when the cell is one quantity."""

    anchor: str
    text: str
    number: Number | None = None


class Row(_Part):
    """One body row. `group` is the heading of the block it stands in (empty when there is none)."""

    label: str
    cells: tuple[Cell, ...]
    group: str = ""


class Table(_Part):
    """A grid: every row has `len(columns)` cells, spans filled in. `page` (from 1) and `box` (left, bottom, right,
    top, in points) only where read from a PDF."""

    anchor: str
    caption: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    label: str = ""
    page: int | None = None
    box: tuple[float, float, float, float] | None = None


class Paragraph(_Part):
    """Running text, folded (ligatures, hyphenation, spaces). Anchor like `sec:3.2/par:1`. `doubtful` are the numbers in
    it, as printed, that may have been misread."""

    anchor: str
    text: str
    page: int | None = None
    doubtful: tuple[str, ...] = ()


class Section(_Part):
    """A heading and its paragraphs. Anchor `sec:3.2`; unnumbered ones are `sec:abstract`, `sec:SLUG`."""

    anchor: str
    title: str
    level: int = 1
    paragraphs: tuple[Paragraph, ...] = ()


class Element(_Part):
    """A numbered thing that is neither text nor table: equation (`eq:1`), figure (`fig:2`), footnote (`note:1`),
    algorithm (`alg:1`), reference (`ref:KEY`). `text` is its caption or source."""

    anchor: str
    kind: Literal["equation", "figure", "footnote", "algorithm", "reference"]
    text: str
    label: str = ""


class Source(_Part):
    """Where the paper came from. `locator` is what the person typed; `sha256` is of the bytes that were read. Of kind
    `task` it is no paper but a person's own words."""

    kind: Literal["latex", "pdf", "task"]
    locator: str
    sha256: str
    arxiv_id: str = ""


class Paper(_Part):
    """A paper, read. `warnings` says what could not be read and where."""

    source: Source
    title: str
    authors: tuple[str, ...] = ()
    abstract: str = ""
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()
    elements: tuple[Element, ...] = ()
    pages: int | None = None
    warnings: tuple[str, ...] = Field(default=())

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every piece of prose as (anchor, text): abstract, paragraphs, captions, elements."""
        if self.abstract:
            yield "sec:abstract", self.abstract
        for section in self.sections:
            for paragraph in section.paragraphs:
                yield paragraph.anchor, paragraph.text
        for table in self.tables:
            if table.caption:
                yield table.anchor, table.caption
        for element in self.elements:
            if element.kind in ("figure", "footnote"):
                yield element.anchor, element.text

    def cells(self) -> Iterator[tuple[Table, Row, Cell]]:
        for table in self.tables:
            for row in table.rows:
                for cell in row.cells:
                    yield table, row, cell

    def table(self, anchor: str) -> Table | None:
        return next((table for table in self.tables if table.anchor == anchor), None)
