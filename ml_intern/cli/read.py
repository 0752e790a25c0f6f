"""`ml-intern read`: shows what was read of a paper."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError

if TYPE_CHECKING:
    from ml_intern.read.paper import Paper, Source


def read(
    paper: Annotated[str, typer.Argument(help="arXiv id, URL, PDF, LaTeX file, archive or folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
    sandbox: Annotated[str, typer.Option(help="Where a PDF is parsed: auto, bubblewrap, landlock or none.")] = "auto",
    table: Annotated[str, typer.Option(help="One table, by its anchor (tab:3), as CSV.")] = "",
) -> None:
    """Read a paper and show its outline, tables and warnings."""
    from ml_intern.agent.pdf_inside import pdf_reader
    from ml_intern.read.reader import read_paper
    from ml_intern.read.show import show_paper, table_csv
    from ml_intern.run.compute.local import LocalCompute
    from ml_intern.run.selfcheck import choose

    config = Config.from_environment()

    def read_pdf(data: bytes, source: Source) -> Paper:
        with contextlib.closing(LocalCompute(choose(sandbox, config.home), 1)) as compute:
            return pdf_reader(compute, config.cache / "read", threading.Event())(data, source)

    found = read_paper(paper, config, read_pdf)
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
