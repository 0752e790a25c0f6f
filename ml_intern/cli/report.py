"""`ml-intern report`: prints a session's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError

if TYPE_CHECKING:
    from ml_intern.session.store import SessionFolder


def report(session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last") -> None:
    """Print a session's report (Markdown), and where its page lies."""
    from ml_intern.session.store import SessionStore

    folder = SessionStore(Config.from_environment().sessions).find(session)
    if not folder.report.exists() and folder.state().settings.get("plan_only"):
        raise only_a_plan(folder)
    if not folder.report.exists():
        raise InputError(f"Session {folder.id} has no report yet.", next=f"ml-intern resume {folder.id}")
    typer.echo(folder.report.read_text())
    typer.echo(f"Page: {folder.root / 'report.html'}", err=True)


def only_a_plan(folder: SessionFolder) -> InputError:
    """What to do with a session of `ml-intern plan`, which has no runs and never will."""
    run = f"Run it: ml-intern run --plan {folder.plan}" if folder.plan.exists() else "Begin anew: ml-intern plan"
    return InputError(f"Session {folder.id} is that of a plan alone.", "`ml-intern plan` runs nothing", run)
