"""`ml-intern resume`: goes on with a session that was interrupted, killed, or failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_intern.cli.common import carry_out
from ml_intern.config import Config

if TYPE_CHECKING:
    from ml_intern.session.store import SessionFolder, SessionStore


def resume(
    session: Annotated[
        str, typer.Argument(help="Session id, its beginning, `last`, or hf://datasets/NAME/REPO/ID.")
    ] = "last",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan without asking.")] = False,
    model: Annotated[str, typer.Option(help="Another model than before.")] = "",
    stronger_model: Annotated[str, typer.Option("--stronger-model", help="Another one, likewise.")] = "",
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Model calls at most, those made included.")] = None,
    budget_usd: Annotated[float | None, typer.Option(min=0.0, help="Dollars at most, those spent included.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=1.0, help="Seconds at most, those worked included.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at once.")] = None,
    out: Annotated[Path | None, typer.Option(help="Publish to this folder.")] = None,
    sandbox: Annotated[str, typer.Option(help="Another sandbox than the session began with.")] = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Of hf://: though the machine that had it may have gone on.")
    ] = False,
    sync: Annotated[
        bool | None, typer.Option("--sync/--no-sync", help="Upload what is done; default: as before, and for hf://.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Go on with a session: what is in its log and ledger is not done again. Its settings come back with it."""
    from ml_intern.run.selfcheck import choose
    from ml_intern.session.store import SessionStore
    from ml_intern.session.sync.remote import DEFAULT_NAME

    config = Config.from_environment()
    store = SessionStore(config.sessions)
    repo = ""
    if session.startswith("hf://"):
        folder, repo = _fetched(config, store, session, take_over, sync is not False)
    else:
        folder = store.find(session)
    state = folder.state()
    if state.status == "finished":
        typer.echo(f"Session {folder.id} is finished: {state.published}")
        return
    given: dict[str, Any] = {
        "model": model or None,
        "stronger_model": stronger_model or None,
        "max_iterations": max_iterations,
        "budget_usd": budget_usd,
        "time_limit": time_limit,
        "jobs": jobs,
        "out": str(out.absolute()) if out else None,
    }
    settings = {**state.settings, **{name: value for name, value in given.items() if value is not None}}
    if sync is False or sync or repo:
        settings["sync"] = "" if sync is False else repo or state.synced or DEFAULT_NAME
    view = "json" if json_lines else "quiet" if quiet else "live"
    # Never a weaker one than before by itself: where that one is not to be had here, a person has to say so.
    chosen = choose(sandbox or state.sandbox or state.settings.get("sandbox", "auto"), config.home)
    carry_out(config, folder, settings, chosen, view, yes)


def _fetched(
    config: Config, store: SessionStore, locator: str, take_over: bool, lease: bool
) -> tuple[SessionFolder, str]:
    """The session brought here from the Hub, and its repository."""
    from ml_intern.session.sync.download import fetch
    from ml_intern.session.sync.remote import Remote

    came = fetch(locator, store, Remote(config.hub_endpoint), config.home, take_over=take_over, lease=lease)
    if came.new:
        typer.echo(f"Session {came.folder.id} came from {came.repo}: {came.manifest.events} events.", err=True)
        for words in came.manifest.left_out:
            typer.echo(f"did not come along: {words}", err=True)
        for name in came.manifest.changed:
            typer.echo(f"came without its secrets: {name}", err=True)
    else:
        typer.echo(f"Session {came.folder.id} is here already, and as far as the copy on the Hub.", err=True)
    return came.folder, came.repo
