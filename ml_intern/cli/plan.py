"""`ml-intern plan`: reads the paper or the task, drafts the plan, stops there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_intern.cli.common import approver, open_model
from ml_intern.config import Config
from ml_intern.errors import InputError, MlInternError


def plan(
    task: Annotated[str, typer.Argument(help='What is to be done, in words: "train … on …, at least 90 %".')] = "",
    paper: Annotated[str, typer.Option(help="arXiv id, URL, PDF, LaTeX file, archive or folder.")] = "",
    model: Annotated[str, typer.Option(help="`recipes` (no key needed) or any litellm model id.")] = "recipes",
    scale: Annotated[str, typer.Option(help="smoke, small or paper.")] = "small",
    smoke: Annotated[bool, typer.Option("--smoke", help="Tiny sizes, two seeds.")] = False,
    sandbox: Annotated[str, typer.Option(help="Where a PDF is parsed: auto, bubblewrap, landlock or none.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write plan.yaml here too.")] = None,
    instructions: Annotated[
        bool, typer.Option("--instructions/--no-instructions", help="Show the model AGENTS.md of this folder.")
    ] = True,
) -> None:
    """Draft a plan and print it; edit plan.yaml and give it to `ml-intern run --plan`."""
    from rich.console import Console

    from ml_intern.agent.budget import Budget, BudgetLimits
    from ml_intern.agent.context import Context
    from ml_intern.agent.pipeline import plan_phase, read_phase
    from ml_intern.cli.instructions import read_instructions
    from ml_intern.cli.run import SCALES, check_task_words
    from ml_intern.cli.upload import redactor
    from ml_intern.plan.plan_file import dump_plan
    from ml_intern.run.compute.local import LocalCompute
    from ml_intern.run.selfcheck import choose
    from ml_intern.session.disk import write_whole
    from ml_intern.session.log import EventLog
    from ml_intern.session.store import SessionStore
    from ml_intern.ui.show import show_plan

    if bool(task) == bool(paper):
        raise InputError("Give a task or --paper.", next="ml-intern plan --paper 2401.01234")
    if task:
        check_task_words(task, model)
    if scale not in SCALES:
        raise InputError(f"There is no scale {scale!r}.", next=f"Give one of {', '.join(SCALES)}.")
    config = Config.from_environment()
    known = redactor()
    preferences, said = read_instructions(Path.cwd()) if instructions else ("", "")
    if said:
        typer.echo(said, err=True)
    task = known.text(task)[0]
    about = {"paper": paper, **({"task": task} if task else {})}
    folder = SessionStore(config.sessions).create()
    with EventLog(folder.log) as log:
        context = Context(
            config,
            folder,
            log,
            open_model(model),
            Budget(BudgetLimits()),
            LocalCompute(choose(sandbox, config.home)),  # a PDF is parsed in it
            approver(False),
            preferences=known.text(preferences)[0],
        )
        context.emit("session.created", settings={**about, "model": model, "scale": scale, "plan_only": True})
        try:
            drafted = plan_phase(context, read_phase(context, paper, task), "", "smoke" if smoke else scale)  # type: ignore[arg-type]
        except MlInternError as error:
            context.emit("session.failed", error=str(error))
            raise
        context.emit("session.finished")
    show_plan(drafted, Console())
    if out is not None:
        write_whole(out, dump_plan(drafted))
    typer.echo(f"Plan: {out or folder.plan}\nRun it: ml-intern run --plan {out or folder.plan}")
