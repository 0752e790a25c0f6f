"""`ml-intern report`: prints a session's report."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError


def report(session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last") -> None:
    """Print a session's report (Markdown), and where its page lies."""
    from ml_intern.session.store import SessionStore

    folder = SessionStore(Config.from_environment().sessions).find(session)
    if not folder.report.exists():
        raise InputError(f"Session {folder.id} has no report yet.", next=f"ml-intern resume {folder.id}")
    typer.echo(folder.report.read_text())
    typer.echo(f"Page: {folder.root / 'report.html'}", err=True)
