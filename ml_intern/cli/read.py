"""`ml-intern read`: shows what was read of a paper."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError


def read(
    paper: Annotated[str, typer.Argument(help="arXiv id, URL, PDF, LaTeX file, archive or folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
    table: Annotated[str, typer.Option(help="One table, by its anchor (tab:3), as CSV.")] = "",
) -> None:
    """Read a paper and show its outline, tables and warnings."""
    from ml_intern.read.reader import read_paper
    from ml_intern.read.show import show_paper, table_csv

    found = read_paper(paper, Config.from_environment())
    if table:
        chosen = found.table(table)
        if chosen is None:
            names = ", ".join(t.anchor for t in found.tables) or "none"
            raise InputError(f"There is no table {table!r}.", f"there are: {names}")
        typer.echo(table_csv(chosen), nl=False)
    elif as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        from rich.console import Console

        show_paper(found, Console())
