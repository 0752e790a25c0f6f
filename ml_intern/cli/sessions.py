"""`ml-intern sessions`: list, show, search, rm, prune; export and upload stand in files of their own."""

from __future__ import annotations

import re
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.cli import export, upload
from ml_intern.cli.consent import confirmed
from ml_intern.config import Config
from ml_intern.errors import InputError, MlInternError

if TYPE_CHECKING:
    from ml_intern.session.catalogue import Entry
    from ml_intern.session.store import SessionStore

app = typer.Typer(help="List and look after sessions.", invoke_without_command=True, rich_markup_mode=None)
app.command("export")(export.export)
app.command("upload")(upload.upload)

_Json = Annotated[bool, typer.Option("--json", help="One session a line.")]
_BYTES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@app.callback()
def sessions(context: typer.Context, as_json: _Json = False) -> None:
    """List and look after sessions; without a command: list them."""
    if context.invoked_subcommand is None:
        list_(as_json)


class Sort(StrEnum):
    """In which order sessions are listed."""

    latest = "latest"
    age = "age"
    size = "size"


@app.command("list")
def list_(
    as_json: _Json = False,
    paper: Annotated[str, typer.Option(help="Only of papers, or tasks, with these words.")] = "",
    sort: Annotated[
        Sort, typer.Option(help="The latest first, the oldest (age), or the largest (size).")
    ] = Sort.latest,
    older_than: Annotated[str, typer.Option(help="Only with a last event this old, like 30d, 12h or 2w.")] = "",
    larger_than: Annotated[str, typer.Option(help="Only with files of more than this, like 500MB or 2GB.")] = "",
) -> None:
    """List sessions, the latest first: when they were last worked on, status, runs, size, paper or task."""
    from ml_intern.session.catalogue import as_line, entry

    store = _store()
    age, room = _seconds(older_than) if older_than else 0.0, _bytes(larger_than) if larger_than else 0.0
    entries = [one for one in map(entry, store.all()) if _is_about(one, paper) and one.age >= age]
    if room:
        entries = [one for one in entries if one.size > room]
    if sort is Sort.size:
        entries.sort(key=lambda one: one.size, reverse=True)
    elif sort is Sort.age:
        entries.sort(key=lambda one: one.age, reverse=True)
    for one in entries:
        typer.echo(as_line(one) if as_json else _line(one))
    if not entries and not as_json:
        which = f" about {paper!r}" if paper else " like that" if age or room else ""
        typer.echo(f"There are no sessions{which} in {store.root}.")


@app.command("show")
def show(
    session: Annotated[str, typer.Argument(help="Session id, its beginning, or `last`.")] = "last",
    all_events: Annotated[bool, typer.Option("--events", help="All of its events, not the latest alone.")] = False,
) -> None:
    """Show one session: what it is about, how far it came, what it used, and its latest events. A damaged one is shown
    up to the damage."""
    from rich.console import Console

    from ml_intern.session.catalogue import problem_of, size, status_of
    from ml_intern.session.uploads import repositories
    from ml_intern.ui.session import show_session

    folder = _store().find(session)
    try:
        events, state, problem = folder.good_events()
    except (MlInternError, OSError) as error:
        raise InputError(f"Session {folder.id} cannot be read.", problem_of(error)) from None
    status = "damaged" if problem else status_of(folder, state)
    state = state.model_copy(update={"synced": ", ".join(repositories(folder, state))})
    show_session(folder.id, status, state, events, size(folder), Console(), all_events, problem)


@app.command("search")
def search(words: Annotated[str, typer.Argument(help="Words in any case, as they stand.")]) -> None:
    """Find the events of all sessions that hold some words."""
    from ml_intern.errors import SessionError
    from ml_intern.read.show import printable
    from ml_intern.session.catalogue import search as hits_in

    found = 0
    for folder in _store().all():
        try:
            hits = hits_in(folder, words)
        except (SessionError, OSError) as error:
            what = error.what if isinstance(error, SessionError) else error.strerror or str(error)
            typer.echo(f"{folder.id}  {printable(what)}", err=True)
            continue
        for hit in hits[:10]:
            typer.echo(f"{folder.id}  {hit.seq:>5} {hit.type:<20} {printable(hit.line)[:160]}")
        if len(hits) > 10:
            typer.echo(f"{folder.id}  and {len(hits) - 10} more")
        found += len(hits)
    if not found:
        typer.echo(f"No session holds {words!r}.")
        raise typer.Exit(1)


@app.command("rm")
def remove(
    session: Annotated[list[str], typer.Argument(help="Session ids or their beginnings.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove sessions with all their files. What they published stays."""
    from ml_intern.session.catalogue import entry
    from ml_intern.session.catalogue import remove as remove_one

    store = _store()
    entries = [entry(folder) for folder in {one.id: one for one in map(store.find, session)}.values()]
    _confirm(entries, yes)
    for one in entries:
        remove_one(one.folder)


@app.command("prune")
def prune(
    older_than: Annotated[str, typer.Option(help="Age of the last event, like 30d, 12h or 2w.")] = "30d",
    keep: Annotated[int, typer.Option(min=0, help="So many of the newest are kept in any case.")] = 0,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Those that could be resumed, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove old sessions that are finished. What they published stays."""
    from ml_intern.session.catalogue import left_overs, prunable
    from ml_intern.session.catalogue import remove as remove_one

    store = _store()
    statuses = ("finished", "stopped", "interrupted", "failed") if unfinished else ("finished",)
    entries = prunable(store, _seconds(older_than), statuses, keep)
    if not entries:
        typer.echo("There is nothing to remove.")
    elif dry_run:
        for one in entries:
            typer.echo(_line(one))
    else:
        _confirm(entries, yes)
        for one in entries:
            remove_one(one.folder)
    if not dry_run:
        left_overs(store)


def _store() -> SessionStore:
    from ml_intern.session.store import SessionStore

    return SessionStore(Config.from_environment().sessions)


def _is_about(one: Entry, words: str) -> bool:
    if not words:
        return True
    settings = one.state.settings if one.state else {}
    about = f"{one.state.title} {settings.get('paper', '')} {settings.get('task', '')}" if one.state else ""
    return words.casefold() in about.casefold()


def _line(one: Entry) -> str:
    from ml_intern.read.show import printable
    from ml_intern.ui.session import bytes_in_words

    if one.state is None:
        return f"{one.folder.id}  damaged: {printable(one.problem.splitlines()[0])}"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.state.updated))
    settings = one.state.settings
    about = str(one.state.title or settings.get("paper", "") or settings.get("task", ""))
    about = ("task: " if "task" in settings else "") + " ".join(printable(about).split())[:60]
    room = bytes_in_words(one.size)
    return f"{one.folder.id}  {when}  {one.status:<11}  {one.state.runs:>4} runs  {room:>8}  {about}"


def _confirm(entries: list[Entry], yes: bool) -> None:
    for one in entries:
        typer.echo(_line(one), err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("Nobody is there to confirm the removal.", next="Run with --yes, or on a terminal.")
    if not confirmed(f"Remove {len(entries)} session{'s' if len(entries) > 1 else ''}?"):
        raise typer.Exit(1)


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", age.strip())
    if not match:
        raise InputError(f"{age!r} is no age.", next="Give a number with s, m, h, d or w, like 30d.")
    return float(match[1]) * _SECONDS[match[2]]


def _bytes(room: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", room.strip().lower())
    if not match:
        raise InputError(f"{room!r} is no size.", next="Give a number with kB, MB, GB or TB, like 500MB.")
    return float(match[1]) * _BYTES[match[2]]
