"""`ml-intern resume`: goes on with a session that was interrupted, killed, or failed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_intern.cli.common import carry_out
from ml_intern.config import Config
from ml_intern.errors import InputError

if TYPE_CHECKING:
    from ml_intern.session.state import State
    from ml_intern.session.store import SessionFolder, SessionStore


_NEEDED = {"paper", "plan_text", "model", "scale", "out", "max_iterations", "budget_usd", "time_limit", "jobs"}


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
    from ml_intern.read.show import printable
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
        typer.echo(f"Session {folder.id} is finished: {printable(state.published)}")
        return
    if lacking := sorted(_NEEDED - state.settings.keys()):
        raise InputError(f"Session {folder.id} lacks settings: {', '.join(lacking)}.", next="Begin anew: ml-intern run")
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
    if state.came:
        settings["paper"] = str(folder.kept_source(str(settings["paper"])) or settings["paper"])
        _require_own_word(folder, state, settings, yes)
    view = "json" if json_lines else "quiet" if quiet else "live"
    # Never a weaker one than before by itself: where that one is not to be had here, a person has to say so.
    chosen = choose(sandbox or state.sandbox or state.settings.get("sandbox", "auto"), config.home)
    carry_out(config, folder, settings, chosen, view, yes)


def _require_own_word(folder: SessionFolder, state: State, settings: dict[str, Any], yes: bool) -> None:
    """Whoever uploaded a session chose its paper, model and limits; it goes on with the keys, and on the account, of
    whoever resumes it. Raises InputError where nobody says that it may."""
    from ml_intern.read.show import printable

    paper = str(settings["paper"])
    named = Path(paper).expanduser()
    if paper and not folder.paper.exists() and named.exists() and not named.is_relative_to(folder.root):
        raise InputError(
            "The session names a paper on this machine that did not come with it.",
            printable(paper),
            "If it is the right one, begin anew: ml-intern run --paper PATH",
        )
    money = "no limit of money" if settings.get("budget_usd") is None else f"${settings['budget_usd']} at most"
    lines = {
        "from": state.came,
        "paper": state.title or paper,
        "task": str(settings.get("task", ""))[:2000],
        "told": str(settings.get("instructions", ""))[:2000],
        "models": ", ".join(str(one) for key in ("model", "stronger_model") if (one := settings.get(key))),
        "limits": f"{settings.get('max_iterations')} model calls, {state.iterations} of them made; {money}",
    }
    if yes:
        return
    for name, text in lines.items():
        if text:
            typer.echo(f"{name:>7}: {printable(text)}", err=True)
    if not sys.stdin.isatty():
        raise InputError(
            "Nobody is there to say that this session, which came from elsewhere, goes on.",
            "it would use your keys and this machine as it is told above",
            "Run with --yes, or on a terminal; --model, --max-iterations and --budget-usd change it.",
        )
    if not typer.confirm("Go on with it, on your account?", err=True):
        raise typer.Exit(5)


def _fetched(
    config: Config, store: SessionStore, locator: str, take_over: bool, lease: bool
) -> tuple[SessionFolder, str]:
    """The session brought here from the Hub, and its repository."""
    from ml_intern.read.show import printable
    from ml_intern.session.sync.download import fetch
    from ml_intern.session.sync.remote import Remote

    came = fetch(locator, store, Remote(config.hub_endpoint), config.home, take_over=take_over, lease=lease)
    if came.new:
        typer.echo(f"Session {came.folder.id} came from {came.repo}: {came.manifest.events} events.", err=True)
        for words in came.manifest.left_out:
            typer.echo(f"did not come along: {printable(words)}", err=True)
        for name in came.manifest.changed:
            typer.echo(f"came without its secrets: {printable(name)}", err=True)
    else:
        typer.echo(f"Session {came.folder.id} is here already, and as far as the copy on the Hub.", err=True)
    return came.folder, came.repo
