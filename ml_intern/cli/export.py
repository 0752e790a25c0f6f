"""`ml-intern sessions export`: a session for trace viewers, programs, or as a page for people."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError, MlInternError
from ml_intern.session.export.write import Format

if TYPE_CHECKING:
    from ml_intern.redaction import Redactor
    from ml_intern.session.events import Event
    from ml_intern.session.store import SessionFolder


def export(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="trace: for the Hub's viewer. claude-code: as Claude Code's sessions. html: a page. json: everything.",
        ),
    ] = "trace",
    out: Annotated[
        str, typer.Option(help="File to write, - for stdout. Default: stdout, and SESSION.html for the page.")
    ] = "",
) -> None:
    """Export a session. It may hold paths and outputs of this machine: read it before you share it."""
    from ml_intern.cli.known import redactor
    from ml_intern.session.catalogue import entry
    from ml_intern.session.disk import write_whole
    from ml_intern.session.export.session import Session
    from ml_intern.session.export.write import write_export
    from ml_intern.session.state import fold
    from ml_intern.session.store import SessionStore

    config = Config.from_environment()
    folder = SessionStore(config.sessions).find(session)
    known = redactor(config)
    # What counts as secret now may not have done so when the log was written.
    events = tuple(_without_secrets(event, known) for event in folder.events())
    statements = {id: known.text(words, guess=True)[0] for id, words in _statements(folder).items()}
    kept = {str(event.data["digest"]): text for event in events if (text := folder.output(event))}
    outputs = {digest: known.text(text, guess=True)[0] for digest, text in kept.items()}
    about = (str(folder.root), entry(folder).status, statements, outputs)
    exported = Session(folder.id, events, fold(events), *about)
    target = out or (f"{folder.id}.html" if format == "html" else "-")
    if target == "-":
        write_export(exported, format, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    content = io.BytesIO()
    write_export(exported, format, content)
    try:
        write_whole(Path(target), content.getvalue())
    except OSError as error:
        raise InputError(f"{target} cannot be written.", str(error.strerror), "Give another --out.") from None
    typer.echo(f"Written: {target}", err=True)


def _without_secrets(event: Event, known: Redactor) -> Event:
    data, found = known.data(event.data, guess=True)
    return event.model_copy(update={"data": data}) if found else event


def _statements(folder: SessionFolder) -> dict[str, str]:
    """What each claim of the plan says; nothing where there is no plan that can be read."""
    from ml_intern.plan.plan_file import load_plan

    try:
        return {claim.id: claim.statement for claim in load_plan(folder.plan).claims}
    except (MlInternError, OSError):
        return {}
