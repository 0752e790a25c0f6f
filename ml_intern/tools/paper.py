"""The paper, for an agent: its outline, any part by its anchor, and a search by words; as material only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel, Field

from ml_intern.errors import InputError
from ml_intern.read.paper import Paper
from ml_intern.read.show import printable, table_csv
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Tool, fenced

_HITS, _AROUND = 12, 200


class _Nothing(BaseModel):
    pass


class _Part(BaseModel):
    anchor: str = Field(
        description="as paper_outline or paper_search gives it: sec:3.2, tab:1, eq:4, fig:2, note:1; page:5 of a PDF"
    )


class _Words(BaseModel):
    words: str = Field(description="all of them must stand in one paragraph, caption, equation or table row")


def tools(bench: Bench) -> list[Tool]:
    return paper_tools(bench.paper) if bench.paper else []


def paper_tools(paper: Paper) -> list[Tool]:
    """Tools of class `read-only`."""

    def outline(_: _Nothing) -> str:
        return fenced("paper", "\n".join(_outline(paper)))

    def part(arguments: _Part) -> str:
        return fenced("paper", _part(paper, arguments.anchor.strip("[] ")))

    def search(arguments: _Words) -> str:
        return fenced("paper", _found(paper, arguments.words))

    told = {
        "paper_outline": "Sections, tables, equations and figures of the paper, with anchors.",
        "paper_part": "One part of the paper, whole: a section, table, equation, figure or note.",
        "paper_search": "Where words stand in the paper, with anchors.",
    }
    return [
        Tool("paper_outline", told["paper_outline"], "read-only", _Nothing, outline),
        Tool("paper_part", told["paper_part"], "read-only", _Part, part),
        Tool("paper_search", told["paper_search"], "read-only", _Words, search),
    ]


def _outline(paper: Paper) -> Iterator[str]:
    yield paper.title
    for section in paper.sections:
        words = sum(len(paragraph.text.split()) for paragraph in section.paragraphs)
        yield f"{'  ' * (section.level - 1)}[{section.anchor}] {section.title} ({words} words)"
    for table in paper.tables:
        yield f"[{table.anchor}] {table.caption[:120]} ({len(table.rows)} rows: {', '.join(table.columns)[:200]})"
    for element in paper.elements:
        if element.kind != "reference":
            yield f"[{element.anchor}] {element.text[:100]}"


def _part(paper: Paper, anchor: str) -> str:
    """Raises InputError that names what there is."""
    if anchor == "sec:abstract" and paper.abstract:
        return paper.abstract
    if table := paper.table(anchor.split("/")[0]):
        return f"{table.caption}\n{table_csv(table)}"
    if page := re.fullmatch(r"page:(\d{1,5})", anchor):
        return _page(paper, int(page[1]))
    for element in paper.elements:
        if element.anchor == anchor:
            return element.text
    section = next((section for section in paper.sections if section.anchor == anchor.split("/")[0]), None)
    if section is None:
        known = [one.anchor for one in paper.sections] + [one.anchor for one in paper.tables]
        known += [one.anchor for one in paper.elements if one.kind != "reference"]
        raise InputError(f"The paper has no part {anchor!r}.", next=f"There are {', '.join(known)[:1500]}.")
    paragraphs = [f"[{paragraph.anchor}] {paragraph.text}" for paragraph in section.paragraphs]
    return "\n".join([section.title, *paragraphs])


def _page(paper: Paper, number: int) -> str:
    """What stands on one page (from 1) of a paper that was read from a PDF. Raises InputError where nothing does."""
    paragraphs = [
        f"[{paragraph.anchor}] {paragraph.text}"
        for section in paper.sections
        for paragraph in section.paragraphs
        if paragraph.page == number
    ]
    tables = [f"[{table.anchor}] {table.caption}\n{table_csv(table)}" for table in paper.tables if table.page == number]
    if not paragraphs and not tables:
        there = f"it has {paper.pages}" if paper.pages else "it was read from its source, where nothing has a page"
        raise InputError(f"Nothing of the paper stands on page {number}.", there, "Ask for a section.")
    return "\n".join([*paragraphs, *tables])


def _found(paper: Paper, words: str) -> str:
    wanted = [word.lower() for word in words.split()]
    if not wanted:
        raise InputError("There are no words to search for.")
    hits = [(anchor, text) for anchor, text in _searched(paper) if all(word in text.lower() for word in wanted)]
    shown = [f"[{anchor}] {_around(text, wanted[0])}" for anchor, text in hits[:_HITS]]
    more = f"\n{len(hits) - _HITS} more places" if len(hits) > _HITS else ""
    return "\n".join(shown) + more if shown else f"Nowhere does all of this stand together: {' '.join(wanted)}"


def _searched(paper: Paper) -> Iterator[tuple[str, str]]:
    yield from paper.texts()
    for table in paper.tables:
        for row in table.rows:
            if row.cells:
                yield (
                    row.cells[0].anchor.rsplit("/col:", 1)[0],
                    " | ".join([row.group, *(cell.text for cell in row.cells)]),
                )
    for element in paper.elements:
        if element.kind not in ("figure", "footnote"):
            yield element.anchor, element.text


def _around(text: str, word: str) -> str:
    """The text about the first place of `word`."""
    text = re.sub(r"\s+", " ", text)
    place = max(0, text.lower().find(word))
    start, end = max(0, place - _AROUND), place + _AROUND
    return f"{'…' if start else ''}{printable(text[start:end])}{'…' if end < len(text) else ''}"
