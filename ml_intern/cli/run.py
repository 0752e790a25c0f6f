"""`ml-intern run`: from a paper, a task or a plan to verdicts and a published model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_intern.cli.common import carry_out, checked_effort
from ml_intern.config import Config
from ml_intern.errors import InputError

SCALES = ("smoke", "small", "paper")
APPROVE = (
    "Which tool calls a person is asked about, where no rule in config.toml decides: `external` (what brings something"
    " from outside), `all` (every call that acts), `never` (none: what would be asked is refused, and the model told)."
    " Where nobody is there to be asked, the run stops with exit code 5."
)


def check_task_words(task: str, model: str) -> None:
    """Raises InputError where the words are no task, or nobody is there to plan it."""
    from ml_intern.errors import PaperError
    from ml_intern.read.locate import locate
    from ml_intern.read.task import read_task

    read_task(task)
    try:
        locate(task)
    except PaperError:
        pass
    else:
        raise InputError(f"{task!r} is a paper, not a task.", next=f"ml-intern run --paper {task}")
    if model == "recipes":
        why = "the built-in recipes test claims of papers, and no recipe tests a task"
        raise InputError("A task needs a language model.", why, "Give --model, a litellm id like openai/gpt-5.")


def chosen_scale(scale: str, smoke: bool) -> str:
    """`--smoke` is short for `--scale smoke`; small where neither is given. Raises InputError."""
    if scale and scale not in SCALES:
        raise InputError(f"There is no scale {scale!r}.", next=f"Give one of {', '.join(SCALES)}.")
    if smoke and scale not in ("", "smoke"):
        raise InputError(f"--smoke and --scale {scale} contradict each other.", next="Give one of them.")
    return "smoke" if smoke else scale or "small"


def run(
    task: Annotated[str, typer.Argument(help='What is to be done, in words: "train … on …, at least 90 %".')] = "",
    paper: Annotated[str, typer.Option(help="arXiv id, URL, PDF, LaTeX file, archive or folder.")] = "",
    plan: Annotated[
        Path | None, typer.Option(help="A plan.yaml to run as it stands; beside it, --paper names the plan's paper.")
    ] = None,
    model: Annotated[str, typer.Option(help="`recipes` (no key needed) or any litellm model id.")] = "recipes",
    planner_model: Annotated[
        str, typer.Option("--planner-model", help="Finds claims, plans, reviews; default: --model.")
    ] = "",
    executor_model: Annotated[
        str, typer.Option("--executor-model", help="Writes and tries the scripts; default: --model.")
    ] = "",
    stronger_model: Annotated[
        str, typer.Option("--stronger-model", help="Takes over where the model goes in circles.")
    ] = "",
    effort: Annotated[str, typer.Option(help="Of models that reason: minimal, low, medium or high.")] = "",
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Approve the plan without asking; of tool calls only what is allowed anyway."),
    ] = False,
    approve: Annotated[str, typer.Option(help=APPROVE)] = "external",
    smoke: Annotated[bool, typer.Option("--smoke", help="Tiny sizes, two seeds, every step.")] = False,
    scale: Annotated[str, typer.Option(help="smoke, small (the default) or paper.")] = "",
    out: Annotated[Path | None, typer.Option(help="Publish to this folder.")] = None,
    push: Annotated[str, typer.Option(help="Where to publish: `folder`.")] = "folder",
    sandbox: Annotated[
        str, typer.Option(help="auto (the strongest that works), bubblewrap, landlock, docker, or none: limits only.")
    ] = "auto",
    warm_start: Annotated[
        bool, typer.Option(help="Scripts are forks of a process that has imported torch, inside the sandbox.")
    ] = True,
    max_iterations: Annotated[int, typer.Option(min=1, help="Model calls at most.")] = 300,
    budget_usd: Annotated[float | None, typer.Option(min=0.0, help="Dollars for model calls at most.")] = None,
    allow_unknown_price: Annotated[
        bool, typer.Option("--allow-unknown-price", help="Run under --budget-usd though the model's price is unknown.")
    ] = False,
    time_limit: Annotated[float | None, typer.Option(min=1.0, help="Seconds at most; what runs is finished.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at once; default: one a core.")] = None,
    sync: Annotated[bool, typer.Option("--sync", help="Upload the session now and then, privately.")] = False,
    instructions: Annotated[
        bool, typer.Option("--instructions/--no-instructions", help="Show the model AGENTS.md of this folder.")
    ] = True,
    repo: Annotated[str, typer.Option(help="Where to: a dataset repository; default NAME/ml-intern-sessions.")] = "",
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Test a paper's claims, or do a task: plan, approve, build, run, judge, publish."""
    from ml_intern.agent.approvals import checked_mode
    from ml_intern.cli.instructions import read_instructions
    from ml_intern.cli.known import redactor
    from ml_intern.run.selfcheck import choose
    from ml_intern.session.sync.remote import DEFAULT_NAME

    if sum((bool(task), bool(paper) or plan is not None)) != 1:
        raise InputError("Give one of: a task, --paper, --plan.", next="ml-intern run --paper 2401.01234")
    if task:
        check_task_words(task, planner_model or model)
    if plan is not None and (smoke or scale):
        raise InputError(
            f"{'--smoke' if smoke else '--scale'} cannot be given with --plan.",
            "a plan has its own scale, with sizes and seeds that belong to it",
            "Leave it out, or draft a plan at that scale: ml-intern plan --paper P --scale smoke",
        )
    scale = chosen_scale(scale, smoke)
    if push != "folder":
        raise InputError(f"--push {push} is not supported yet.", next="Use --push folder, and upload that folder.")
    checked_mode(approve)
    if out is not None and out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty.", next="Choose another --out.")
    plan_text = ""
    if plan is not None:
        from ml_intern.agent.plan_checks import read_plan
        from ml_intern.plan.plan_file import text_of

        plan_text = text_of(plan)
        read_plan(plan_text, str(plan), executor_model or model)
    config = Config.from_environment()
    chosen = choose(sandbox, config.home)
    preferences, said = read_instructions(Path.cwd()) if instructions else ("", "")
    if said and not quiet and not json_lines:
        typer.echo(said, err=True)
    known = redactor(config)
    settings = {
        "paper": paper,
        **({"task": known.text(task)[0]} if task else {}),
        **({"instructions": known.text(preferences)[0]} if preferences else {}),
        "plan_text": plan_text,
        "model": model,
        "planner_model": planner_model,
        "executor_model": executor_model,
        "stronger_model": stronger_model,
        "effort": checked_effort(effort),
        "scale": scale,
        "out": str(out.absolute()) if out else "",
        "max_iterations": max_iterations,
        "budget_usd": budget_usd,
        "allow_unknown_price": allow_unknown_price,
        "time_limit": time_limit,
        "jobs": jobs,
        "sandbox": sandbox,
        "approve": approve,
        "warm_start": warm_start,
        "sync": (repo or DEFAULT_NAME) if sync or repo else "",
    }
    view = "json" if json_lines else "quiet" if quiet else "live"
    carry_out(config, None, settings, chosen, view, yes)
