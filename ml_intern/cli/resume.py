"""`ml-intern resume`: goes on with a session that was interrupted or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.cli.common import carry_out
from ml_intern.config import Config


def resume(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan without asking.")] = False,
    sandbox: Annotated[str, typer.Option(help="Another sandbox than the session began with.")] = "",
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Go on with a session: what is in its log and ledger is not done again."""
    from ml_intern.run.selfcheck import choose
    from ml_intern.session.store import SessionStore

    config = Config.from_environment()
    folder = SessionStore(config.sessions).find(session)
    state = folder.state()
    if state.status == "finished":
        typer.echo(f"Session {folder.id} is finished: {state.published}")
        return
    view = "json" if json_lines else "quiet" if quiet else "live"
    # Never a weaker one than before by itself: where that one is not to be had here, a person has to say so.
    chosen = choose(sandbox or state.sandbox or state.settings.get("sandbox", "auto"), config.home)
    carry_out(config, folder, dict(state.settings), chosen, view, yes, new=False)
