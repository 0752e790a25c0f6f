"""A Paper for a person: its outline, its tables drawn as tables, what could not be read."""

from __future__ import annotations

import csv
import io
import re

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ml_intern.read.paper import Cell, Paper, Table

# C0 and C1 controls, and the marks that turn text around: a paper must not steer a terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Without terminal escapes and other controls."""
    return _CONTROLS.sub("", text)


def show_paper(paper: Paper, console: Console) -> None:
    console.print(Text(printable(paper.title), style="bold"))
    if paper.authors:
        console.print(Text(printable(", ".join(paper.authors)), style="dim"))
    where = f"read from {paper.source.kind}: {paper.source.locator}"
    console.print(Text(printable(where + (f", {paper.pages} pages" if paper.pages else "")), style="dim"))
    if paper.abstract:
        console.print()
        console.print(Text(printable(paper.abstract)))
    console.print()
    for section in paper.sections:
        words = sum(len(paragraph.text.split()) for paragraph in section.paragraphs)
        line = Text("  " * (section.level - 1) + printable(section.title or "(before the first heading)"))
        line.append(f"  {section.anchor}, {words} words", style="dim")
        console.print(line)
    for table in paper.tables:
        console.print()
        show_table(table, console)
    kinds = [element.kind for element in paper.elements]
    counts = [f"{kinds.count(kind)} {kind}s" for kind in dict.fromkeys(kinds)]
    console.print(Text("\n" + f"{len(paper.tables)} tables, " + ", ".join(counts), style="dim"))
    for warning in paper.warnings:
        console.print(Text(f"warning: {printable(warning)}", style="yellow"))


def show_table(table: Table, console: Console) -> None:
    caption = printable(table.caption)
    place = f"{table.anchor}, page {table.page}" if table.page else table.anchor
    drawn = RichTable(title=Text(f"{place}  {caption[:160]}{'…' * (len(caption) > 160)}"), title_justify="left")
    for column in table.columns:
        drawn.add_column(Text(printable(column)), overflow="fold")
    group = ""
    for row in table.rows:
        if row.group and row.group != group:
            group = row.group
            drawn.add_section()
            drawn.add_row(Text(printable(group), style="bold"))
        drawn.add_row(*[_shown(cell) for cell in row.cells])
    console.print(drawn)


def _shown(cell: Cell) -> Text:
    """The cell; a number that may have been misread has a question mark."""
    if cell.number and cell.number.doubtful:
        return Text(printable(cell.text) + " ?", style="yellow")
    return Text(printable(cell.text))


def table_csv(table: Table) -> str:
    """The table as CSV: group, then the columns."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["group", *table.columns])
    for row in table.rows:
        writer.writerow([row.group, *[cell.text for cell in row.cells]])
    return out.getvalue()
