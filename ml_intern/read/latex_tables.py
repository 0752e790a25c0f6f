"""LaTeX tabulars to grids: spans filled in, header rows joined, group rows kept as headings of their block."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ml_intern.read.anchors import cell_anchors
from ml_intern.read.grid import GridRow, body_rows, is_heading, join_header
from ml_intern.read.latex_source import environment_end, group, option, skip_space
from ml_intern.read.paper import Row, Table

_ENVIRONMENTS = r"(tabular\*?|tabularx|tabulary|longtable|array|NiceTabular|tblr|supertabular)"
TABULAR = re.compile(rf"\\begin\s*\{{{_ENVIRONMENTS}\}}")
_RULE = re.compile(
    r"\\(?:(?:hline|toprule|midrule|bottomrule|hdashline)(?![a-zA-Z])(?:\s?\[[^\]]{0,80}\])?"
    r"|(?:hhline|Xhline)\s?\{[^{}]{0,200}\}|specialrule\{[^}]*\}\{[^}]*\}\{[^}]*\})"
)
_PARTIAL_RULE = re.compile(
    r"\\(?:cline|cmidrule|cdashline)(?:\s?(?:\([^)]{0,80}\)|\[[^\]]{0,80}\])){0,3}\s?\{[^}]*\}|\\morecmidrules(?![a-zA-Z])"
)
_COLOURS = re.compile(
    r"\\(?:addlinespace(?:\[[^\]]{0,80}\])?|noalign\s?\{[^{}]*\}|rowcolor(?:\s?\[[^\]]{0,80}\])?\s?\{[^{}]*\}"
    r"(?:\s?\[[^\]]{0,80}\]){0,2}|rowcolors(?:\s?\{[^{}]*\}){3}|arrayrulecolor\s?\{[^{}]*\})"
)
_MAX_COLUMNS, _MAX_ROWS, _MAX_INNER = 200, 5000, 20


@dataclass
class _Raw:
    """One cell before spans are filled: `latex`, columns it spans, rows it spans."""

    latex: str
    columns: int = 1
    rows: int = 1


@dataclass
class _Line:
    cells: list[_Raw]
    rule_after: bool = False


def read_tabular(latex: str, to_text: Callable[[str], str]) -> tuple[tuple[str, ...], list[Row]]:
    """(columns, rows) of one tabular environment (its begin and end included); anchors are still empty."""
    inner = without_captions(_body(latex))
    lines = _lines(_first_page(inner) if "\\endhead" in inner or "\\endfirsthead" in inner else inner)
    grid = _fill(lines, to_text)
    if not grid:
        return (), []
    heads = _header_rows(lines, grid)
    columns = tuple(join_header([row[place] for row in grid[:heads]]) for place in range(len(grid[0])))
    body = [
        GridRow(texts, spans_all=len(line.cells) == 1 and line.cells[0].columns >= max(2, len(texts) - 1))
        for line, texts in zip(lines[heads:], grid[heads:], strict=True)
    ]
    return columns, body_rows(columns, body)


def read_tabulars(latex: str, to_text: Callable[[str], str]) -> list[tuple[tuple[str, ...], list[Row]]]:
    """(columns, rows) of every tabular in `latex` that has rows; one inside a cell is part of its cell."""
    out = []
    place = 0
    while match := TABULAR.search(latex, place):
        _, end = environment_end(latex, match[1], match.end())
        place = len(latex) if end == -1 else end
        columns, rows = read_tabular(latex[match.start() : place], to_text)
        if rows:
            out.append((columns, rows))
    return out


@dataclass(frozen=True)
class Grid:
    """A table that still has no anchor."""

    columns: tuple[str, ...]
    rows: list[Row]
    caption: str
    label: str


def build_tables(anchor: str, grids: Sequence[Grid]) -> list[Table]:
    """Tables with anchors: one for a single grid, `tab:3.1`, `tab:3.2`, … for several in one float."""
    out = []
    for number, grid in enumerate(grids, start=1):
        place = anchor if len(grids) == 1 else f"{anchor}.{number}"
        rows = cell_anchors(place, grid.columns, grid.rows)
        out.append(Table(anchor=place, caption=grid.caption, columns=grid.columns, rows=rows, label=grid.label))
    return out


def split_rows(latex: str) -> list[str]:
    """The lines of an aligned formula."""
    return [re.sub(r"^\s*\*?\s*\[[^\]]{0,40}\]", "", row) for row in _split(latex, "\\\\")]


def _body(latex: str) -> str:
    match = TABULAR.match(latex)
    if match is None:
        return ""
    place = match.end()
    end = latex.rfind("\\end{" + match[1] + "}")
    arguments = 2 if match[1] in ("tabular*", "tabularx", "tabulary") else 1
    while arguments and place < len(latex):
        while place < len(latex) and latex[place].isspace():
            place += 1
        if place < len(latex) and latex[place] == "[":
            content, place = option(latex, place)
            if content is None:
                break
        elif place < len(latex) and latex[place] == "{":
            _, place = group(latex, place)
            arguments -= 1
        else:
            break
    return latex[place : end if end != -1 else len(latex)]


def _first_page(body: str) -> str:
    """A longtable without the heads and feet of its later pages."""
    head = ""
    for mark in ("\\endfirsthead", "\\endhead", "\\endfoot", "\\endlastfoot"):
        before, found, after = body.partition(mark)
        if found:
            head = head or (before if "head" in mark else "")
            body = after
    return f"{head}\\\\{body}"


def without_captions(latex: str) -> str:
    """Without `\\caption{…}` and `\\label{…}`, which a longtable holds in its first row."""
    out, place = [], 0
    for match in re.finditer(r"\\(?:caption|label)\*?\s?(?=[\[{])", latex):
        if match.start() >= place:
            out.append(latex[place : match.start()])
            place = skip_space(latex, option(latex, match.end())[1])
            place = group(latex, place)[1] if latex[place : place + 1] == "{" else place
    return "".join([*out, latex[place:]])


def _lines(body: str) -> list[_Line]:
    lines: list[_Line] = []
    for raw in _split(body, "\\\\"):
        text = re.sub(r"^\s*\*?\s*\[[^\]]*\]", "", raw)
        if _RULE.match(text.strip()) and lines:
            lines[-1].rule_after = True
        text = _PARTIAL_RULE.sub("", _RULE.sub("", text))
        text = _COLOURS.sub("", text)
        if not text.strip():
            continue
        lines.append(_Line([_raw_cell(cell) for cell in _split(text, "&")]))
        if len(lines) > _MAX_ROWS:
            break
    return lines


_SEPARATOR = re.compile(
    r"(?P<begin>\\begin(?=[{ ]))|(?P<end>\\end(?=[{ ]))|(?P<row>\\\\|\\tabularnewline(?![a-zA-Z])|\\cr(?![a-zA-Z]))"
    r"|\\.|(?P<mark>[{}&])",
    re.DOTALL,
)


def _split(text: str, mark: str) -> list[str]:
    """Splits at `mark`, `&` or `\\\\`, where no group or inner environment is open."""
    parts, start, inside, braces = [], 0, 0, 0
    for match in _SEPARATOR.finditer(text):
        char = match["mark"]
        if char in ("{", "}"):
            braces = max(0, braces + (1 if char == "{" else -1))
        elif braces:
            continue
        elif match["begin"]:
            inside += 1
        elif match["end"]:
            inside -= 1
        elif inside <= 0 and (char == mark or (match["row"] and mark == "\\\\")):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _raw_cell(text: str) -> _Raw:
    text = text.strip()
    cell = _Raw(text)
    if match := re.match(r"(?:\\[a-zA-Z]+\s+)?\\multicolumn\s*\{\s*(\d{1,9})\s*\}\s*", text):
        _, place = group(text, match.end()) if text[match.end() : match.end() + 1] == "{" else ("", match.end())
        inner = text.find("{", place)
        if inner != -1:
            cell = _Raw(group(text, inner)[0].strip(), columns=max(1, min(int(match[1]), _MAX_COLUMNS)))
    if match := re.search(r"\\multirow\s*(?:\[[^\]]*\])?\s*\{\s*(-?\d{1,9})\s*\}\s*(?:\[[^\]]*\])?", cell.latex):
        latex, place = cell.latex, match.end()
        _, place = group(latex, place) if latex[place : place + 1] == "{" else ("", place + 1)
        opening = latex.find("{", place)
        if opening != -1:
            content, after = group(latex, opening)
            text = f"{latex[: match.start()]} {content} {latex[after:]}".strip()
            cell = _Raw(text, cell.columns, int(match[1]) or 1)
    return cell


def _fill(lines: list[_Line], to_text: Callable[[str], str]) -> list[list[str]]:
    """Texts by row and column; a spanning cell's text stands in every column it spans, and in every row."""
    width = min(_MAX_COLUMNS, max((sum(cell.columns for cell in line.cells) for line in lines), default=0))
    carried: dict[int, tuple[int, str]] = {}
    grid: list[list[str]] = []
    for line in lines:
        row = [""] * width
        place = 0
        for cell in line.cells:
            text = " ".join(to_text(_unwrapped(cell.latex)).split())
            for _ in range(cell.columns):
                if place >= width:
                    break
                rest, above = carried.get(place, (0, ""))
                row[place] = text or (above if rest else "")
                if rest:
                    carried[place] = (rest - 1, above)
                if text and cell.rows < -1:  # it stands in its last row and reaches up
                    for above_row in grid[max(0, len(grid) + 1 + cell.rows) :]:
                        above_row[place] = above_row[place] or text
                if text and cell.rows > 1:
                    carried[place] = (cell.rows - 1, text)
                elif text and rest:
                    carried.pop(place, None)
                place += 1
        grid.append(row)
    return grid


_INNER = re.compile(rf"\\begin\s?\{{{_ENVIRONMENTS}\}}")
_BOX = re.compile(r"\\(?:makecell|thead|shortstack|makebox|parbox)\*?(?![a-zA-Z])(?:\s?\[[^\]]{0,80}\]){0,3}")


def _unwrapped(latex: str) -> str:
    """The text of cells made with \\makecell, \\shortstack, \\parbox or a tabular of their own, on one line."""
    for _ in range(_MAX_INNER):
        match = _INNER.search(latex)
        if match is None:
            break
        inner = latex[match.start() :]
        end = re.compile(rf"\\end\s?\{{{re.escape(match[1])}\}}").search(inner)
        body = _body(inner[: end.end()] if end else inner)
        after = inner[end.end() :] if end else ""
        latex = f"{latex[: match.start()]}{{{' '.join(_split(_RULE.sub('', body), '&'))}}}{after}"
    latex = re.sub(r"\\parbox((?:\s?\[[^\]]{0,80}\]){0,3})\s?\{[^{}]*\}", "", latex)
    latex = _BOX.sub("", latex)
    latex = re.sub(r"(?<=[a-z])-\s*\\\\\s*(?=[a-z])", "-", latex)
    return re.sub(r"\\(?:\\(?:\s?\[[^\]]{0,40}\])?|newline(?![a-zA-Z]))", " ", latex)


def _header_rows(lines: list[_Line], grid: list[list[str]]) -> int:
    """How many rows head the table: up to the first rule after a row with no number, at least the first."""
    if len(grid) < 2:
        return 0
    for number, line in enumerate(lines[:4], start=1):
        if line.rule_after:
            return number if number < len(lines) and all(is_heading(row) for row in grid[:number]) else 1
        if number < len(grid) and not is_heading(grid[number]):
            return number
    return 1
