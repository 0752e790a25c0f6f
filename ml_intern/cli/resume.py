"""`ml-intern resume`: goes on with a session that was interrupted or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.cli.common import carry_out
from ml_intern.config import Config


def resume(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan without asking.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Go on with a session: what is in its log and ledger is not done again."""
    from ml_intern.session.store import SessionStore

    config = Config.from_environment()
    folder = SessionStore(config.sessions).find(session)
    state = folder.state()
    if state.status == "finished":
        typer.echo(f"Session {folder.id} is finished: {state.published}")
        return
    view = "json" if json_lines else "quiet" if quiet else "live"
    carry_out(config, folder, dict(state.settings), view, yes, new=False)
