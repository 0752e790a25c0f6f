"""A piece of LaTeX, read as a paper."""

from ml_intern.read.latex import read_latex
from ml_intern.read.paper import Number, Paper, Source

SOURCE = Source(kind="latex", locator="test", sha256="")


def latex(text: str, preamble: str = "", **files: str) -> Paper:
    """`text` is the body; `files` are the others of the paper, with `__` for the dot of a name."""
    main = f"\\documentclass{{article}}{preamble}\n\\begin{{document}}\n{text}\n\\end{{document}}\n"
    others = {name.replace("__", "."): content.encode() for name, content in files.items()}
    return read_latex({"main.tex": main.encode(), **others}, SOURCE)


def prose(paper: Paper) -> str:
    return " ".join(paragraph.text for section in paper.sections for paragraph in section.paragraphs)


def shown(text: str, preamble: str = "", **files: str) -> str:
    """The running text of a snippet."""
    return prose(latex(text, preamble, **files))


def grid(paper: Paper, anchor: str = "tab:1") -> list[list[str]]:
    """The header and the rows of a table."""
    table = paper.table(anchor)
    assert table, [table.anchor for table in paper.tables]
    return [list(table.columns), *([cell.text for cell in row.cells] for row in table.rows)]


def number(cell: str) -> Number | None:
    """What one cell of a table holds."""
    paper = latex(
        rf"\begin{{table}}\begin{{tabular}}{{ll}}M & A \\ \hline x & {cell} \\ y & 0.5 \end{{tabular}}\end{{table}}"
    )
    table = paper.table("tab:1")
    assert table
    return table.rows[0].cells[1].number
