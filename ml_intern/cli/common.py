"""What several commands share: opening a model, running a session to its end, saying how to go on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, get_args

import typer

from ml_intern.cli.consent import approver
from ml_intern.cli.known import redactor
from ml_intern.cli.onlooker import Onlooker, say
from ml_intern.cli.upload import open_uploader
from ml_intern.config import Config
from ml_intern.errors import InputError, MlInternError, SessionError, in_words, of_the_system

if TYPE_CHECKING:
    from ml_intern.agent.context import Context
    from ml_intern.llm.fallback import Switched
    from ml_intern.llm.protocol import LLM, Again, Attempt
    from ml_intern.run.sandbox.choice import Choice
    from ml_intern.session.events import EventType
    from ml_intern.session.state import State
    from ml_intern.session.store import SessionFolder
    from ml_intern.session.sync.upload import Uploader
    from ml_intern.ui.live import View


def checked_effort(effort: str) -> str:
    """How long a reasoning model thinks, empty where nothing is said. Raises InputError."""
    from ml_intern.settings import Effort

    if effort and effort not in get_args(Effort):
        raise InputError(f"There is no effort {effort!r}.", next=f"Give one of {', '.join(get_args(Effort))}.")
    return effort


def open_model(
    name: str,
    stop: threading.Event | None = None,
    switched: Switched | None = None,
    effort: str = "",
    again: Again | None = None,
) -> LLM:
    """`recipes`, or any litellm id; `stop` ends its waiting between two tries; `switched` is told where another model
    answers in its place, and `again` is asked whether there is to be another try."""
    if name == "recipes":
        from ml_intern.recipes.player import RecipesModel

        return RecipesModel()
    from ml_intern.llm import models

    given: dict[str, Any] = {"effort": effort or None, "again": again}
    return models.open_model(name, Config.from_environment(), stop, switched=switched, **given)


@contextlib.contextmanager
def gentle_stop(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C once sets `stop`; twice ends at once."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        sys.stderr.write("\nStopping: running scripts are ended, what was measured is kept. Ctrl-C again: at once.\n")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def carry_out(
    config: Config,
    folder: SessionFolder | None,
    settings: dict[str, Any],
    sandbox: Choice,
    view: str,
    yes: bool,
    uploader: Uploader | None = None,
) -> None:
    """Runs a new session, or goes on with that of `folder`, its scripts in `sandbox`, and reports its end. `uploader`:
    to where a session that goes on is uploaded meanwhile; a new one's is opened here. Raises what ended it, after it
    has been logged."""
    from rich.console import Console

    from ml_intern.agent.allowance import MeteredCompute
    from ml_intern.agent.approvals import Approvals, checked_mode
    from ml_intern.agent.budget import Budget, BudgetLimits, Spent, micro_dollars
    from ml_intern.agent.context import Context
    from ml_intern.agent.pipeline import run as run_pipeline
    from ml_intern.agent.steering import Steering
    from ml_intern.cli.keyboard import Keyboard
    from ml_intern.run.compute.local import LocalCompute
    from ml_intern.session.inbox import Told
    from ml_intern.session.log import EventLog
    from ml_intern.session.state import fold
    from ml_intern.session.store import SessionStore
    from ml_intern.settings import load_settings

    approved = load_settings(config.settings_file).approvals
    approvals = Approvals(
        approved.rules,
        checked_mode(str(settings.get("approve", "external"))),
        str(config.settings_file),
        approved.answer_seconds,
    )
    watcher = _view(view)
    plan_text = settings["plan_text"]
    stop = threading.Event()
    opened: list[Context] = []

    def switched(before: str, after: str, why: str) -> None:
        opened[0].emit("note", text=f"{after} answers in the place of {before}: {why}")

    def again(attempt: Attempt) -> bool:
        return opened[0].again(attempt)

    def opened_model(name: str) -> LLM:
        return open_model(name, stop, switched, settings.get("effort", ""), again)

    # Before anything is written or started: a missing key is said at once.
    names = {role: settings.get(f"{role}_model") or settings["model"] for role in ("executor", "planner")}
    names["stronger"] = settings.get("stronger_model", "")
    models = {name: opened_model(name) for name in dict.fromkeys(names.values()) if name}
    fresh = folder is None
    folder = folder or SessionStore(config.sessions).create()
    compute = LocalCompute(sandbox, settings["jobs"], warm=settings.get("warm_start", True))
    compute.warm_up()
    known = redactor(config)
    with EventLog(folder.log, lambda data: known.data(data)[0], there=not fresh) as log, contextlib.closing(compute):
        state = fold(log.events)
        watcher.take_up(state)
        limits = BudgetLimits(
            iterations=settings["max_iterations"],
            usd=settings["budget_usd"],
            seconds=settings["time_limit"],
            allow_unknown_price=settings.get("allow_unknown_price", False),
        )
        held = state.held + state.held_open
        micro = micro_dollars(state.cost_usd)
        spent = Spent(iterations=state.iterations, micro=micro, held=held, seconds=state.seconds)
        keyboard = Keyboard(lambda words: folder.inbox.put(Told(words=known.text(words)[0])), watcher)
        onlooker = Onlooker((watcher, keyboard), stop)
        steering = Steering(folder.inbox, opened_model)
        context = Context(
            config=config,
            folder=folder,
            log=log,
            model=models[names["executor"]],
            planner=models[names["planner"]],
            stronger=models.get(names["stronger"]),
            stop=stop,
            budget=Budget(limits, spent),
            compute=compute,
            approve=approver(yes, keyboard, watcher, stop),
            listeners=[onlooker],
            preferences=settings.get("instructions", ""),
            steering=steering,
            approvals=approvals,
            person=keyboard,
            clean=lambda text: known.text(text, guess=True)[0],
        )
        opened.append(context)
        context.compute = MeteredCompute(compute, context, approved.gpu_minutes, approved.usd)
        if not log.events:
            folder.keep_source(settings["paper"])
            context.emit("session.created", settings=settings)
        else:
            context.emit("session.resumed", settings=settings)
        context.emit("sandbox.chosen", kind=sandbox.kind, tier=compute.tier)
        if sandbox.instead:
            context.emit("note", text=sandbox.instead)
        if sandbox.not_covered:
            context.emit(
                "note", text=f"This sandbox does not cover everything. A script {'; '.join(sandbox.not_covered)}."
            )
        out = Path(settings["out"]) if settings["out"] else None
        with _synced(config, context, uploader, settings.get("sync", "") if fresh else ""):
            try:
                with gentle_stop(stop), watcher.open(), steering.watching(context), contextlib.closing(keyboard):
                    run_pipeline(
                        context, settings["paper"], plan_text, settings["scale"], out, settings.get("task", "")
                    )
                if unheard := steering.unheard(context):
                    context.emit(
                        "note", text=f"What a person said came after the model's last turn: {unheard} messages."
                    )
                context.emit("session.finished")
            except KeyboardInterrupt:
                if onlooker.fault is not None:
                    _fail(context, onlooker.fault)
                    raise onlooker.fault from None
                context.emit("session.interrupted")
                say(f"Interrupted. Go on with: ml-intern resume {folder.id}")
                raise typer.Exit(130) from None
            except MlInternError as error:
                _fail(context, error)
                if context.state.published:
                    _show_end(folder, view, Console())
                elif view == "live":
                    _show_questions(context.state)
                raise
            except OSError as error:
                failure = of_the_system(error)
                _fail(context, failure)
                raise failure from error
            except Exception as error:  # nobody has foreseen it: its traceback is for whoever mends the program
                _fail(context, in_words(error))
                raise
    _show_end(folder, view, Console())


def log_failure(context: Context, error: Exception) -> None:
    """How a session ended, where its log can be written: that may be the very thing that `error` is about."""
    told = in_words(error)
    with contextlib.suppress(SessionError, OSError):
        context.emit("session.failed", error=str(told), code=told.exit_code)


def _fail(context: Context, error: MlInternError) -> None:
    """Logs how the run ended, and says how it goes on."""
    log_failure(context, error)
    if context.state.settings and (error.exit_code != 2 or context.state.plan):
        id = context.folder.id
        say(f"Session {id} is kept; go on with: ml-intern resume {id}")


@contextlib.contextmanager
def _synced(config: Config, context: Context, uploader: Uploader | None, repo: str) -> Iterator[None]:
    """Uploads the session beside what goes on inside, by `uploader` or to the repository that is named, if any."""
    if repo:
        uploader = open_uploader(config, context.folder, repo)
    if uploader is None:
        yield
        return
    from ml_intern.read.show import printable
    from ml_intern.session.sync.background import BackgroundSync

    if context.state.synced != uploader.repo:
        context.emit("session.synced", repo=uploader.repo)

    def tell(type: EventType, data: dict[str, Any]) -> None:
        with contextlib.suppress(SessionError, OSError):  # nor may this take the place of how the run ends
            context.emit(type, **data)

    sync = BackgroundSync(uploader, config.sync_interval, tell, context.stop.set)
    try:
        with sync:
            yield
    finally:
        if sync.rest:
            say(printable(sync.rest))


def _view(name: str) -> View:
    from ml_intern.cli.keyboard import HINT
    from ml_intern.ui import live

    if name == "json":
        return live.JsonLines()
    if name == "quiet":
        return live.Silent()
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_dumb_terminal:  # which has no way to draw over what it shows
            return live.LiveTable(console, HINT if sys.stdin.isatty() else "")
    return live.PlainLines()


def _show_end(folder: SessionFolder, view: str, console: Any) -> None:
    if view in ("json", "quiet"):
        return
    with contextlib.suppress(OSError, SystemExit):  # rich's word for a closed pipe, which is not how the run ended
        _show_outcome(folder, console)


def _show_outcome(folder: SessionFolder, console: Any) -> None:
    from ml_intern.judge.verdict import Verdict
    from ml_intern.plan.plan_file import load_plan
    from ml_intern.ui.show import show_verdicts

    state = folder.state()
    statements = {claim.id: claim.statement for claim in load_plan(folder.plan).claims}
    show_verdicts([Verdict.model_validate(verdict) for verdict in state.verdicts], statements, console)
    _show_questions(state)
    console.print(f"Published: {state.published}", soft_wrap=True)
    console.print(f"Report:    {state.published}/report.html", soft_wrap=True)
    console.print(f"Check it:  ml-intern verify {state.published}", soft_wrap=True)


def _show_questions(state: State) -> None:
    """What nobody answered, and what was decided instead."""
    from ml_intern.read.show import printable

    waiting = [one for one in state.questions if one.outcome != "answered"]
    if waiting:
        typer.echo("Questions that were deferred:", err=True)
    for one in waiting:
        typer.echo(printable(f"  {one.id}: {one.question} Decided: {one.decided}"), err=True)
