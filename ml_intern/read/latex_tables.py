"""LaTeX tabulars to grids: spans filled in, header rows joined, group rows kept as headings of their block."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ml_intern.read.anchors import cell_anchors
from ml_intern.read.grid import GridRow, body_rows, is_heading, join_header
from ml_intern.read.latex_source import group
from ml_intern.read.paper import Row, Table

_ENVIRONMENTS = r"(tabular\*?|tabularx|tabulary|longtable|array|NiceTabular|tblr|supertabular)"
TABULAR = re.compile(rf"\\begin\s*\{{{_ENVIRONMENTS}\}}")
_RULE = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|hdashline|specialrule\{[^}]*\}\{[^}]*\}\{[^}]*\})")
_PARTIAL_RULE = re.compile(r"\\(?:cline|cmidrule|cdashline)\s*(?:\([^)]*\))?\s*(?:\[[^\]]*\])?\s*\{[^}]*\}")
_MAX_COLUMNS, _MAX_ROWS = 200, 5000


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
    lines = _lines(_body(latex))
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


def build_table(
    anchor: str, tabulars: list[tuple[tuple[str, ...], list[Row]]], caption: str, label: str
) -> list[Table]:
    """Tables with anchors: one for a single tabular, `tab:3.1`, `tab:3.2`, … for several in one float."""
    out = []
    for number, (columns, rows) in enumerate(tabulars, start=1):
        place = anchor if len(tabulars) == 1 else f"{anchor}.{number}"
        out.append(
            Table(anchor=place, caption=caption, columns=columns, rows=cell_anchors(place, columns, rows), label=label)
        )
    return out


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
            _, place = group(latex, place, "[", "]")
        elif place < len(latex) and latex[place] == "{":
            _, place = group(latex, place)
            arguments -= 1
        else:
            break
    return latex[place : end if end != -1 else len(latex)]


def _lines(body: str) -> list[_Line]:
    lines: list[_Line] = []
    for raw in _split(body, "\\\\"):
        text = re.sub(r"^\s*\*?\s*\[[^\]]*\]", "", raw)
        text = re.sub(r"\\(endhead|endfirsthead|endfoot|endlastfoot|caption\{[^}]*\}|label\{[^}]*\})", "", text)
        if _RULE.match(text.strip()) and lines:
            lines[-1].rule_after = True
        text = _PARTIAL_RULE.sub("", _RULE.sub("", text))
        text = re.sub(r"\\(addlinespace(\[[^\]]*\])?|noalign\{[^}]*\}|rowcolor(\[[^\]]*\])?\{[^}]*\})", "", text)
        if not text.strip():
            continue
        lines.append(_Line([_raw_cell(cell) for cell in _split(text, "&")]))
        if len(lines) > _MAX_ROWS:
            break
    return lines


def _split(text: str, mark: str) -> list[str]:
    """Splits at `mark` where no group or inner environment is open."""
    parts, start, place, inside = [], 0, 0, 0
    while place < len(text):
        if text.startswith("\\begin", place):
            inside += 1
            place += 6
        elif text.startswith("\\end", place) and text[place + 4 : place + 5] in ("{", " "):
            inside -= 1
            place += 4
        elif mark == "\\\\" and inside <= 0 and (end := _row_end(text, place)):
            parts.append(text[start:place])
            start = place = end
        elif text[place] == "\\":
            place += 2
        elif text[place] == "{":
            _, place = group(text, place)
        elif text.startswith(mark, place) and inside <= 0:
            parts.append(text[start:place])
            place += len(mark)
            start = place
        else:
            place += 1
    return [*parts, text[start:]]


def _row_end(text: str, place: int) -> int:
    if text.startswith("\\\\", place):
        return place + 2
    if text.startswith("\\tabularnewline", place):
        return place + len("\\tabularnewline")
    return place + 3 if re.match(r"\\cr(?![a-zA-Z])", text[place : place + 4]) else 0


def _raw_cell(text: str) -> _Raw:
    text = text.strip()
    cell = _Raw(text)
    if match := re.match(r"(?:\\[a-zA-Z]+\s+)?\\multicolumn\s*\{\s*(\d+)\s*\}\s*", text):
        _, place = group(text, match.end()) if text[match.end() : match.end() + 1] == "{" else ("", match.end())
        inner = text.find("{", place)
        if inner != -1:
            cell = _Raw(group(text, inner)[0].strip(), columns=max(1, min(int(match[1]), _MAX_COLUMNS)))
    if match := re.search(r"\\multirow\s*(?:\[[^\]]*\])?\s*\{\s*(-?\d+)\s*\}\s*(?:\[[^\]]*\])?", cell.latex):
        latex, place = cell.latex, match.end()
        _, place = group(latex, place) if latex[place : place + 1] == "{" else ("", place + 1)
        opening = latex.find("{", place)
        if opening != -1:
            content, after = group(latex, opening)
            text = f"{latex[: match.start()]} {content} {latex[after:]}".strip()
            cell = _Raw(text, cell.columns, max(1, int(match[1])))
    return cell


def _fill(lines: list[_Line], to_text: Callable[[str], str]) -> list[list[str]]:
    """Texts by row and column; a spanning cell's text stands in every column it spans, and in every row."""
    width = min(_MAX_COLUMNS, max((sum(cell.columns for cell in line.cells) for line in lines), default=0))
    carried: dict[int, tuple[int, str]] = {}
    grid = []
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
                if text and cell.rows > 1:
                    carried[place] = (cell.rows - 1, text)
                elif text and rest:
                    carried.pop(place, None)
                place += 1
        grid.append(row)
    return grid


def _unwrapped(latex: str) -> str:
    """The text of cells made with \\makecell, \\shortstack or \\parbox; line breaks become spaces."""
    latex = re.sub(r"\\(?:makecell|thead|shortstack)\s*(?:\[[^\]]*\])?", "", latex)
    return latex.replace("\\\\", " ")


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
