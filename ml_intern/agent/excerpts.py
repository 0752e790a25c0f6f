"""What a model is shown of a paper: all of it in parts, or what claims stand on; each piece has its anchor in brackets.

Knows nothing of models and prompts; whoever shows it fences it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ml_intern.plan.claim import Claim
from ml_intern.read.paper import Paper, Row, Table

_TABLE_CHARS = 3_000  # of one table that a claim stands on


def lines(paper: Paper) -> list[str]:
    """All of it: a paragraph, a caption or a row of a table each."""
    out = [_line(anchor, text) for anchor, text in paper.texts()]
    for table in paper.tables:
        out += [_row_line(table, row) for row in table.rows if row.cells]
    return out


def cut_into_parts(given: list[str], limit: int) -> list[list[str]]:
    """Of at most `limit` characters each; at least one part."""
    parts: list[list[str]] = [[]]
    size = 0
    for line in given:
        if parts[-1] and size + len(line) > limit:
            parts.append([])
            size = 0
        parts[-1].append(line[:limit])
        size += len(parts[-1][-1]) + 1
    return parts


def excerpts(paper: Paper, claims: Iterable[Claim], most: int) -> str:
    """At most `most` characters: the paragraphs, tables and equations that claims and their numbers name, then the rest
    of the sections that these stand in."""
    named = [anchor for claim in claims for anchor in (claim.anchor, *(number.anchor for number in claim.numbers))]
    found = [line for anchor in dict.fromkeys(named) for line in _at(paper, anchor, named)]
    places = {anchor.split("/")[0] for anchor in named}
    found += [_line(anchor, text) for anchor, text in paper.texts() if anchor.split("/")[0] in places]
    return "\n".join(dict.fromkeys(found))[:most]


def _at(paper: Paper, anchor: str, named: list[str]) -> Iterator[str]:
    place = anchor.split("/")[0]
    if table := paper.table(place):
        yield from _table(table, named)
    yield from (_line(element.anchor, element.text) for element in paper.elements if element.anchor == place)
    yield from (_line(at, text) for at, text in paper.texts() if at == anchor)


def _table(table: Table, named: list[str]) -> list[str]:
    """Its caption, the rows that are named, then the others as long as there is room."""
    rows = [row for row in table.rows if row.cells]
    rows.sort(key=lambda row: not any(f"{anchor}/".startswith(f"{_anchor(row)}/") for anchor in named))
    out, room = [_line(table.anchor, table.caption)], _TABLE_CHARS
    for place, row in enumerate(rows):
        line = _row_line(table, row)[:_TABLE_CHARS]
        room -= len(line)
        if room < 0:
            return [*out, f"[{table.anchor}] … {len(rows) - place} more rows"]
        out.append(line)
    return out


def _row_line(table: Table, row: Row) -> str:
    """Each cell behind the name of its column."""
    pairs = zip(table.columns, row.cells, strict=True)
    cells = ", ".join(f"{column or 'label'}: {cell.text}" for column, cell in pairs if cell.text)
    return f"[{_anchor(row)}] {cells}"


def _anchor(row: Row) -> str:
    return row.cells[0].anchor.rsplit("/col:", 1)[0]


def _line(anchor: str, text: str) -> str:
    return f"[{anchor}] {' '.join(text.split())}"
