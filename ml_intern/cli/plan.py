"""`ml-intern plan`: reads the paper or the task, drafts the plan, stops there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_intern.cli.common import checked_effort, log_failure, open_model
from ml_intern.config import Config
from ml_intern.errors import InputError


def plan(
    task: Annotated[str, typer.Argument(help='What is to be done, in words: "train … on …, at least 90 %".')] = "",
    paper: Annotated[str, typer.Option(help="arXiv id, URL, PDF, LaTeX file, archive or folder.")] = "",
    model: Annotated[str, typer.Option(help="`recipes` (no key needed) or any litellm model id.")] = "recipes",
    planner_model: Annotated[
        str, typer.Option("--planner-model", help="Finds claims and plans; default: --model.")
    ] = "",
    effort: Annotated[str, typer.Option(help="Of models that reason: minimal, low, medium or high.")] = "",
    max_iterations: Annotated[int, typer.Option(min=1, help="Model calls at most.")] = 300,
    budget_usd: Annotated[float | None, typer.Option(min=0.0, help="Dollars for model calls at most.")] = None,
    allow_unknown_price: Annotated[
        bool, typer.Option("--allow-unknown-price", help="Plan under --budget-usd though the model's price is unknown.")
    ] = False,
    time_limit: Annotated[float | None, typer.Option(min=1.0, help="Seconds at most.")] = None,
    scale: Annotated[str, typer.Option(help="smoke, small (the default) or paper.")] = "",
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
    from ml_intern.agent.pipeline import plan_phase
    from ml_intern.agent.reading import read_phase
    from ml_intern.cli.instructions import read_instructions
    from ml_intern.cli.known import redactor
    from ml_intern.cli.run import check_task_words, chosen_scale
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
        check_task_words(task, planner_model or model)
    scale = chosen_scale(scale, smoke)
    config = Config.from_environment()
    known = redactor(config)
    preferences, said = read_instructions(Path.cwd()) if instructions else ("", "")
    if said:
        typer.echo(said, err=True)
    task = known.text(task)[0]
    about = {"paper": paper, **({"task": task} if task else {})}
    opened: list[Context] = []
    planner = open_model(
        planner_model or model,
        switched=lambda before, after, why: opened[0].emit(
            "note", text=f"{after} answers in the place of {before}: {why}"
        ),
        effort=checked_effort(effort),
        again=lambda attempt: opened[0].again(attempt),
    )
    limits = BudgetLimits(
        iterations=max_iterations, usd=budget_usd, seconds=time_limit, allow_unknown_price=allow_unknown_price
    )
    folder = SessionStore(config.sessions).create()
    with EventLog(folder.log, lambda data: known.data(data)[0]) as log:
        context = Context(
            config,
            folder,
            log,
            planner,
            Budget(limits),
            LocalCompute(choose(sandbox, config.home)),  # a PDF is parsed in it
            lambda _: False,  # the plan is where this ends
            preferences=known.text(preferences)[0],
            clean=lambda text: known.text(text, guess=True)[0],
        )
        opened.append(context)
        settings = {**about, "model": planner_model or model, "effort": effort, "scale": scale, "plan_only": True}
        context.emit("session.created", settings=settings)
        try:
            drafted = plan_phase(context, read_phase(context, paper, task), "", scale)  # type: ignore[arg-type]
        except Exception as error:
            log_failure(context, error)
            raise
        except KeyboardInterrupt:
            context.emit("session.interrupted")
            raise
        context.emit("session.finished")
    show_plan(drafted, Console())
    if out is not None:
        write_whole(out, dump_plan(drafted))
    typer.echo(f"Plan: {out or folder.plan}\nRun it: ml-intern run --plan {out or folder.plan}")
