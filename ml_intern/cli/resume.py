"""`ml-intern resume`: goes on with a session that was interrupted, killed, or failed."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_intern.cli.common import carry_out, checked_effort
from ml_intern.cli.consent import confirmed
from ml_intern.cli.elsewhere import require_ours
from ml_intern.cli.known import redactor
from ml_intern.cli.report import only_a_plan
from ml_intern.cli.run import APPROVE
from ml_intern.cli.upload import upload_rest
from ml_intern.config import Config
from ml_intern.errors import InputError, SessionError

if TYPE_CHECKING:
    from ml_intern.session.state import State
    from ml_intern.session.store import SessionFolder, SessionStore
    from ml_intern.session.sync.download import Fetched


_MODELS = ("model", "planner_model", "executor_model", "stronger_model")
_SHOWN = 2000  # characters of a text that came along
_NEEDED = {"paper", "plan_text", "model", "scale", "out", "max_iterations", "budget_usd", "time_limit", "jobs"}


def resume(
    session: Annotated[
        str, typer.Argument(help="Session id, its beginning, `last`, or hf://datasets/NAME/REPO/ID.")
    ] = "last",
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Approve the plan without asking; of tool calls only what is allowed anyway."),
    ] = False,
    approve: Annotated[str, typer.Option(help=f"Another choice than before. {APPROVE}")] = "",
    model: Annotated[str, typer.Option(help="Another model than before, for planning and for scripts.")] = "",
    planner_model: Annotated[str, typer.Option("--planner-model", help="Another one, for planning.")] = "",
    executor_model: Annotated[str, typer.Option("--executor-model", help="Another one, for scripts.")] = "",
    stronger_model: Annotated[str, typer.Option("--stronger-model", help="Another one, likewise.")] = "",
    effort: Annotated[str, typer.Option(help="Of models that reason: minimal, low, medium or high.")] = "",
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Model calls at most, those made included.")] = None,
    budget_usd: Annotated[float | None, typer.Option(min=0.0, help="Dollars at most, those spent included.")] = None,
    allow_unknown_price: Annotated[
        bool,
        typer.Option("--allow-unknown-price", help="Go on under --budget-usd though the model's price is unknown."),
    ] = False,
    time_limit: Annotated[float | None, typer.Option(min=1.0, help="Seconds at most, those worked included.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at once.")] = None,
    out: Annotated[Path | None, typer.Option(help="Publish to this folder.")] = None,
    sandbox: Annotated[str, typer.Option(help="Another sandbox than the session began with.")] = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Of hf://: though the machine that had it may have gone on.")
    ] = False,
    sync: Annotated[
        bool | None,
        typer.Option(
            "--sync/--no-sync",
            help="Upload what is done; default: as before, and for hf://. "
            "--no-sync does not ask either whether it has gone on elsewhere.",
        ),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Go on with a session: what is in its log and ledger is not done again. Its settings come back with it."""
    from ml_intern.read.show import printable
    from ml_intern.run.selfcheck import choose
    from ml_intern.session.log import is_held
    from ml_intern.session.store import SessionStore

    config = Config.from_environment()
    store = SessionStore(config.sessions)
    repo = ""
    with contextlib.ExitStack() as untouched:
        if session.startswith("hf://"):
            came = _fetched(config, store, session, take_over, sync is not False)
            untouched.enter_context(_given_back(config, came))
            _hear(came, yes)
            folder, repo = came.folder, came.repo
        else:
            folder = _latest(store, quiet) if session == "last" else store.find(session)
        state = folder.state()
        if state.settings.get("plan_only"):
            raise only_a_plan(folder)
        wanted = _repository(folder, state, sync, repo)
        if state.status == "finished":
            typer.echo(f"Session {folder.id} is finished: {printable(state.published)}")
            if wanted and not repo and not is_held(folder.log):  # a run that still uploads has it open
                upload_rest(config, folder, wanted, state.synced, quiet)
            return
        if not state.settings:
            raise InputError(
                f"Nothing of session {folder.id} is in its log: it ended before its first event was on disk.",
                next="Begin anew: ml-intern run",
            )
        if lacking := sorted(_NEEDED - state.settings.keys()):
            raise InputError(
                f"Session {folder.id} lacks settings: {', '.join(lacking)}.", next="Begin anew: ml-intern run"
            )
        given: dict[str, Any] = {
            "model": model or None,
            "planner_model": planner_model or ("" if model else None),
            "executor_model": executor_model or ("" if model else None),
            "effort": checked_effort(effort) or None,
            "stronger_model": stronger_model or None,
            "approve": approve or None,
            "max_iterations": max_iterations,
            "budget_usd": budget_usd,
            "allow_unknown_price": allow_unknown_price or None,
            "time_limit": time_limit,
            "jobs": jobs,
            "out": str(out.absolute()) if out else None,
        }
        settings = {**state.settings, **{name: value for name, value in given.items() if value is not None}}
        if sync is not None or repo:
            settings["sync"] = wanted
        if state.came:
            settings["paper"] = str(folder.kept_source(str(settings["paper"])) or settings["paper"])
            _require_own_word(folder, state, settings, given, yes, quiet)
        view = "json" if json_lines else "quiet" if quiet else "live"
        # Never a weaker one than before by itself: where that one is not to be had here, a person has to say so.
        chosen = choose(sandbox or state.sandbox or state.settings.get("sandbox", "auto"), config.home)
        uploader = None if sync is False else require_ours(config, folder, state, wanted, quiet)
        carry_out(config, folder, settings, chosen, view, yes, uploader)


def _repository(folder: SessionFolder, state: State, sync: bool | None, repo: str) -> str:
    """Where the session is uploaded to beside its work: as before, unless something else is said; empty for nowhere.
    `repo`: where it came from."""
    from ml_intern.session.sync.remote import DEFAULT_NAME
    from ml_intern.session.uploads import repositories

    if sync is None and not repo:
        return str(state.settings.get("sync", ""))
    return "" if sync is False else repo or next(iter(repositories(folder, state)), DEFAULT_NAME)


def _latest(store: SessionStore, quiet: bool) -> SessionFolder:
    """The latest that is not that of a plan alone; where there is none, the latest of those."""
    for place, folder in enumerate(store.all()):
        with contextlib.suppress(SessionError, OSError):  # what is wrong with it is for whoever goes on with it to say
            if folder.state().settings.get("plan_only"):
                continue
        if place and not quiet:
            typer.echo(f"Session {folder.id} goes on; what came after it is plans alone.", err=True)
        return folder
    return store.find("last")


def _require_own_word(
    folder: SessionFolder, state: State, settings: dict[str, Any], given: dict[str, Any], yes: bool, quiet: bool
) -> None:
    """Whoever uploaded a session chose its paper, model and limits; it goes on with the keys, and on the account, of
    whoever resumes it. `given`: what they say themselves. Raises InputError where nobody says that it may."""
    from ml_intern.read.show import printable

    paper = str(settings["paper"])
    named = Path(paper).expanduser()
    inside = named.resolve().is_relative_to(folder.root.resolve())
    if paper and not folder.paper.exists() and named.exists() and not inside:
        raise InputError(
            "The session names a paper on this machine that did not come with it.",
            printable(paper),
            "If it is the right one, begin anew: ml-intern run --paper PATH",
        )
    for key in _MODELS:
        name = str(settings.get(key) or "")
        if given.get(key) is None and re.search(r"://|https?:", name, re.IGNORECASE):
            raise InputError(
                "The session names a model by the address of a server.",
                f"{printable(name)[:200]}: all that is said to the model would go there",
                f"Give one of your own choice: --{key.replace('_', '-')}.",
            )
    money = "no limit of money" if settings.get("budget_usd") is None else f"${settings['budget_usd']} at most"
    money += ", and models of unknown price beside it" if settings.get("allow_unknown_price") else ""
    lines = {
        "from": state.came,
        "paper": state.title or paper,
        "task": _beginning(str(settings.get("task", ""))),
        "told": _beginning(str(settings.get("instructions", ""))),
        "unheard": _beginning("\n".join(one.words for one in folder.inbox.waiting() if one.words)),
        "models": ", ".join(str(one) for key in _MODELS if (one := settings.get(key))),
        "limits": f"{settings.get('max_iterations')} model calls, {state.iterations} of them made; {money}",
        "runs": f"{state.brought} came with it; this machine cannot vouch for them" if state.brought else "",
    }
    for name, text in lines.items():
        if text and not (yes and quiet):
            typer.echo(f"{name:>7}: {printable(text)}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "Nobody is there to say that this session, which came from elsewhere, goes on.",
            "it would use your keys and this machine as it is told above",
            "Run with --yes, or on a terminal; --model, --max-iterations and --budget-usd change it.",
        )
    if not confirmed("Go on with it, on your account?"):
        raise typer.Exit(5)


def _beginning(text: str) -> str:
    left = len(text) - _SHOWN
    return text if left <= 0 else f"{text[:_SHOWN]} … and {left} characters more"


def _hear(came: Fetched, yes: bool) -> None:
    """What was said to the session elsewhere and has not come here: whoever may write to the repository can have put it
    there, so it is for a person here to say that the model hears it."""
    from ml_intern.read.show import printable

    for told in came.words:
        typer.echo(f"said elsewhere: {printable(_beginning(told.words))}", err=True)
    if not came.words:
        return
    if yes or (sys.stdin.isatty() and confirmed("Is the model to hear it?")):
        came.folder.inbox.add(came.words)
    else:
        typer.echo("The model does not hear it.", err=True)


@contextlib.contextmanager
def _given_back(config: Config, came: Fetched) -> Iterator[None]:
    """Its lease, where the session did not go on inside: the answer was no, or a key is missing."""
    from ml_intern.session.sync.download import give_back
    from ml_intern.session.sync.remote import Remote

    before = came.folder.log.stat().st_size
    try:
        yield
    finally:
        if came.folder.log.stat().st_size == before:
            give_back(Remote(config.hub_endpoint), came)


def _fetched(config: Config, store: SessionStore, locator: str, take_over: bool, lease: bool) -> Fetched:
    """The session brought here from the Hub."""
    from ml_intern.read.show import printable
    from ml_intern.session.sync.download import fetch
    from ml_intern.session.sync.remote import Remote

    remote = Remote(config.hub_endpoint)
    came = fetch(locator, store, remote, config.home, redactor(config), take_over=take_over, lease=lease)
    if came.new:
        typer.echo(f"Session {came.folder.id} came from {came.repo}: {came.manifest.events} events.", err=True)
        for words in came.manifest.along:
            typer.echo(f"came along: {printable(words)}", err=True)
        for words in came.manifest.left_out:
            typer.echo(f"did not come along: {printable(words)}", err=True)
        for name in came.manifest.changed:
            typer.echo(f"came without its secrets: {printable(name)}", err=True)
    else:
        typer.echo(f"Session {came.folder.id} is here already, and as far as the copy on the Hub.", err=True)
    return came
