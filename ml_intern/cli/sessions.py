"""`ml-intern sessions`: lists sessions."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import MlInternError


def sessions(as_json: Annotated[bool, typer.Option("--json", help="One session a line.")] = False) -> None:
    """List sessions, newest first."""
    from ml_intern.read.show import printable
    from ml_intern.session.store import SessionStore

    store = SessionStore(Config.from_environment().sessions)
    count = 0
    for folder in store.all():
        count += 1
        try:
            state = folder.state()
        except MlInternError as error:
            typer.echo(f"{folder.id}  damaged: {error.what}")
            continue
        if as_json:
            typer.echo(state.model_copy(update={"settings": {**state.settings, "id": folder.id}}).model_dump_json())
            continue
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.updated))
        typer.echo(f"{folder.id}  {when}  {state.status:<11}  {state.runs:>4} runs  {printable(state.title)[:60]}")
    if not count and not as_json:
        typer.echo(f"There are no sessions in {store.root}.")
