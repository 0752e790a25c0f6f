"""`ml-intern models`: which models there are here, and whether one works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError

if TYPE_CHECKING:
    from ml_intern.llm.inventory import Entry
    from ml_intern.llm.trial import Trial

app = typer.Typer(help="Show which models there are here, or try one.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    search: Annotated[str, typer.Option(help="Search litellm's list of models for this text.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """List the configured models, keys found (by name), and model servers on this machine."""
    if context.invoked_subcommand:
        return
    from ml_intern.llm import inventory
    from ml_intern.settings import load_settings

    config = Config.from_environment()
    entries = inventory.search(search) if search else inventory.inventory(load_settings(config.settings_file))
    if as_json:
        typer.echo(json.dumps([entry.model_dump() for entry in entries], indent=1))
        return
    for entry in entries:
        typer.echo(_line(entry))
    if not search:
        exists = "" if config.settings_file.exists() else " (not there yet)"
        typer.echo(f"\nConfiguration: {config.settings_file}{exists}\nTry one: ml-intern models test ID")


@app.command("test")
def test(
    model: Annotated[str, typer.Argument(help="A model id, as for --model.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Ask a model for one tool call and one structured answer; exit code 1 when it does not work."""
    from ml_intern.llm.fallback import Fallback
    from ml_intern.llm.gateway import LitellmModel
    from ml_intern.llm.models import open_model
    from ml_intern.llm.trial import try_model

    if model == "recipes":
        raise InputError("recipes is built in and needs no test.", next="ml-intern run --smoke --model recipes")
    opened = open_model(model, Config.from_environment())
    first = opened.models[0] if isinstance(opened, Fallback) else opened
    assert isinstance(first, LitellmModel)
    trial = try_model(first)
    typer.echo(json.dumps(trial.model_dump(), indent=1) if as_json else _report(trial))
    if not trial.works:
        raise typer.Exit(1)


def _line(entry: Entry) -> str:
    price: str = entry.pricing
    if entry.pricing == "known":
        price = f"${entry.input_usd_per_million or 0:g} in, ${entry.output_usd_per_million or 0:g} out"
    if entry.id.endswith("…"):
        price = ""
    context = f"{entry.context_tokens:,} tokens" if entry.context_tokens else ""
    told = "; ".join(part for part in (entry.note, entry.needs) if part)
    return f"{entry.id:<40} {entry.source:<13} {price:<24} {context:<17} {told}".rstrip()


def _report(trial: Trial) -> str:
    first = "" if trial.first_token_seconds is None else f", first token after {trial.first_token_seconds:.1f} s"
    cost = "free" if trial.pricing == "free" else "unknown (prices go into config.toml)"
    if trial.cost_usd:
        cost = f"${trial.cost_usd:.6f}"
    context = f"{trial.context_tokens:,} tokens" if trial.context_tokens else "unknown: 32,000 tokens are assumed"
    lines = [
        f"{trial.model}: {'works' if trial.works else 'does NOT work'}",
        f"tool call          {trial.tools}",
        f"structured answer  {trial.answer}",
        f"streamed           {'yes' if trial.streamed else 'no'}{first}, {trial.seconds:.1f} s in all",
        f"tokens             {trial.input_tokens} in ({trial.cached_tokens} cached), {trial.output_tokens} out",
        f"cost               {cost}",
        f"context            {context}",
    ]
    return "\n".join(lines + [f"Problem: {problem}" for problem in trial.problems])
