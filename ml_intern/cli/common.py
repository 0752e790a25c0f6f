"""What several commands share: opening a model, running a session to its end, saying how to go on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from ml_intern.cli.upload import open_uploader, redactor
from ml_intern.config import Config
from ml_intern.errors import MlInternError, SessionError

if TYPE_CHECKING:
    from ml_intern.agent.context import Context
    from ml_intern.llm.fallback import Switched
    from ml_intern.llm.protocol import LLM
    from ml_intern.plan.plan import Plan
    from ml_intern.run.sandbox.choice import Choice
    from ml_intern.session.events import EventType
    from ml_intern.session.store import SessionFolder


def open_model(name: str, stop: threading.Event | None = None, switched: Switched | None = None) -> LLM:
    """`recipes`, or any litellm id; `stop` ends its waiting between two tries; `switched` is told where another model
    answers in its place."""
    if name == "recipes":
        from ml_intern.recipes.player import RecipesModel

        return RecipesModel()
    from ml_intern.llm import models

    return models.open_model(name, Config.from_environment(), stop, switched=switched)


def approver(yes: bool) -> Callable[[Plan], bool]:
    """Shows the plan and asks on a terminal; `--yes` approves; without either the answer is no."""

    def approve(plan: Plan) -> bool:
        if yes:
            return True
        from rich.console import Console

        from ml_intern.ui.show import show_plan

        show_plan(plan, Console(stderr=True))
        if not sys.stdin.isatty():
            typer.echo("Nobody is there to approve the plan: run with --yes, or on a terminal.", err=True)
            return False
        return typer.confirm("Run this plan?", err=True)

    return approve


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
    config: Config, folder: SessionFolder | None, settings: dict[str, Any], sandbox: Choice, view: str, yes: bool
) -> None:
    """Runs a new session, or goes on with that of `folder`, its scripts in `sandbox`, and reports its end. Raises what
    ended it, after it has been logged."""
    from rich.console import Console

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

    watcher = _view(view, settings)
    plan_text = settings["plan_text"]
    stop = threading.Event()
    stronger = settings.get("stronger_model", "")
    opened: list[Context] = []

    def switched(before: str, after: str, why: str) -> None:
        opened[0].emit("note", text=f"{after} answers in the place of {before}: {why}")

    # Before anything is written or started: a missing key is said at once.
    model = open_model(settings["model"], stop, switched)
    stronger_model = open_model(stronger, stop, switched) if stronger else None
    fresh = folder is None
    folder = folder or SessionStore(config.sessions).create()
    compute = LocalCompute(replace(sandbox, warm=settings.get("warm_start", True)), settings["jobs"])
    compute.warm_up()
    known = redactor()
    with EventLog(folder.log, lambda data: known.data(data)[0], there=not fresh) as log, contextlib.closing(compute):
        state = fold(log.events)
        limits = BudgetLimits(
            iterations=settings["max_iterations"],
            usd=settings["budget_usd"],
            seconds=settings["time_limit"],
            allow_unknown_price=settings.get("allow_unknown_price", False),
        )
        held = state.held + state.held_open
        micro = micro_dollars(state.cost_usd)
        spent = Spent(iterations=state.iterations, micro=micro, held=held, seconds=state.seconds)
        keyboard = Keyboard(lambda words: folder.inbox.put(Told(words=known.text(words)[0])))
        steering = Steering(folder.inbox, lambda name: open_model(name, stop, switched))
        context = Context(
            config=config,
            folder=folder,
            log=log,
            model=model,
            stronger=stronger_model,
            stop=stop,
            budget=Budget(limits, spent),
            compute=compute,
            approve=approver(yes),
            listeners=[watcher, keyboard],
            preferences=settings.get("instructions", ""),
            steering=steering,
            clean=lambda text: known.text(text, guess=True)[0],
        )
        opened.append(context)
        if not log.events:
            folder.keep_source(settings["paper"])
            context.emit("session.created", settings=settings)
        else:
            context.emit("session.resumed", settings=settings)
        context.emit("sandbox.chosen", kind=sandbox.kind, tier=compute.tier)
        out = Path(settings["out"]) if settings["out"] else None
        with _synced(config, context, settings.get("sync", "")):
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
                context.emit("session.interrupted")
                typer.echo(f"Interrupted. Go on with: ml-intern resume {folder.id}", err=True)
                raise typer.Exit(130) from None
            except MlInternError as error:
                with contextlib.suppress(SessionError):  # a log that cannot be written is what `error` may be about
                    context.emit("session.failed", error=str(error))
                if folder.plan.exists() and error.exit_code != 2:
                    typer.echo(f"Session {folder.id} is kept; go on with: ml-intern resume {folder.id}", err=True)
                if context.state.published:
                    _show_end(folder, view, Console())
                raise
    _show_end(folder, view, Console())


@contextlib.contextmanager
def _synced(config: Config, context: Context, repo: str) -> Iterator[None]:
    """Uploads the session beside what goes on inside, where a repository is given."""
    if not repo:
        yield
        return
    from ml_intern.session.sync.background import BackgroundSync

    uploader = open_uploader(config, context.folder, repo, known=context.state.synced)
    uploader.require_ours()
    if context.state.synced != uploader.repo:
        context.emit("session.synced", repo=uploader.repo)

    def tell(type: EventType, data: dict[str, Any]) -> None:
        with contextlib.suppress(SessionError):
            context.emit(type, **data)

    with BackgroundSync(uploader, config.sync_interval, tell, context.stop.set):
        yield


def _view(name: str, settings: dict[str, Any]) -> Any:
    from ml_intern.ui import live

    if name == "json":
        return live.JsonLines()
    if name == "quiet":
        return live.Silent()
    if sys.stderr.isatty():
        from rich.console import Console

        return live.LiveTable(Console(stderr=True), settings["max_iterations"])
    return live.PlainLines()


def _show_end(folder: SessionFolder, view: str, console: Any) -> None:
    if view in ("json", "quiet"):
        return
    from ml_intern.judge.verdict import Verdict
    from ml_intern.plan.plan_file import load_plan
    from ml_intern.ui.show import show_verdicts

    state = folder.state()
    statements = {claim.id: claim.statement for claim in load_plan(folder.plan).claims}
    show_verdicts([Verdict.model_validate(verdict) for verdict in state.verdicts], statements, console)
    console.print(f"Published: {state.published}", soft_wrap=True)
    console.print(f"Report:    {state.published}/report.html", soft_wrap=True)
    console.print(f"Check it:  ml-intern verify {state.published}", soft_wrap=True)
