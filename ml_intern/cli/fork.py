"""`ml-intern fork`: a new session that goes on from an earlier moment of another."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_intern.config import Config


def fork(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    at: Annotated[
        int | None,
        typer.Option(min=0, help="The last event to keep (`ml-intern sessions show --events`); default: all."),
    ] = None,
) -> None:
    """Begin a new session where another one was; the other stays as it is."""
    from ml_intern.session.fork import fork as fork_session
    from ml_intern.session.store import SessionStore

    store = SessionStore(Config.from_environment().sessions)
    origin = store.find(session)
    folder = fork_session(store, origin, at)
    typer.echo(f"{folder.id} goes on from {origin.id}{f', event {at}' if at is not None else ''}.")
    for words in folder.events()[-1].data.get("left_out", ()):
        typer.echo(f"did not come along: {words}", err=True)
    typer.echo(f"Go on with: ml-intern resume {folder.id}")
