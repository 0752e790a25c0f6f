"""`ml-intern doctor`: what this machine has for a run, line by line."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError, RunError

_PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "huggingface_hub",
    "litellm",
    "scikit-learn",
    "pypdfium2",
)
_TOKENS = ("HF_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY")


def doctor(
    attacks: Annotated[bool, typer.Option("--attacks", help="Play attacks on every sandbox that works here.")] = False,
) -> None:
    """Show Python, packages, cores, memory, GPU, sandbox, tokens (present or not), disk."""
    if attacks:
        _attacks(Config.from_environment().home)
        return
    from ml_intern.run.compute.local import LocalCompute, usable_cores
    from ml_intern.run.sandbox.choice import Choice

    config = Config.from_environment()
    compute = LocalCompute(Choice("none", config.home))
    _line("python", platform.python_version())
    for package in _PACKAGES:
        try:
            _line(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            _line(package, "MISSING: run the README's first command")
    _line("machine", compute.hardware)
    _line("runs at once", f"{compute.slots} (one a core of {usable_cores()})")
    _line("gpu", _gpu())
    _sandboxes(config.home)
    for name in _TOKENS:
        _line(name, "set" if os.environ.get(name) else "not set")
    _line("home", str(config.home))
    place = next(parent for parent in (config.home, *config.home.parents) if parent.exists())
    _line("disk free", f"{shutil.disk_usage(place).free / 2**30:.1f} GiB")
    _line("model", "recipes where --model names none; it needs no key")
    _models(config.settings_file)


def _models(path: Path) -> None:
    """Each model of config.toml, and whether what it needs is there; else what is wrong with the file."""
    from ml_intern.settings import load_settings

    try:
        configured = load_settings(path).models
    except InputError as error:
        _line("", " ".join(str(error).split()))
        return
    for name, said in configured.items():
        key = said.api_key_env
        there = f", {key} {'set' if os.environ.get(key) else 'NOT set'}" if key else ""
        _line("", f"{name} in {path.name}{f', at {said.base_url}' if said.base_url else ''}{there}")
    if not configured:
        _line("", f"none is configured in {path}")


def _sandboxes(home: Path) -> None:
    """Every kind that isolates, with each attempt of the self-check; then the one that a run would get."""
    from ml_intern.run.sandbox.choice import Choice
    from ml_intern.run.selfcheck import ISOLATING, advised, choose, examine

    failed = []
    for kind in ISOLATING:
        examined = examine(kind, home, fresh=True)
        failed += [] if examined.works else [examined]
        _line(kind, f"tier {examined.tier}" if examined.works else f"cannot be used: {examined.problem}")
        for name, reached in examined.found.items():
            fine = "usable" if name == "workspace" else "held"
            _line("", f"{name.replace('_', ' ')}: {f'NO: {reached}' if reached else fine}")
        for words in Choice(kind, home).not_covered if examined.works else ():
            _line("", f"not covered: a script {words}")
    if told := advised(failed):
        _line("user namespaces", told)
    try:
        _line("sandbox", choose("auto", home).kind)
    except RunError as error:
        _line("sandbox", " ".join(str(error).split()))


def _attacks(home: Path) -> None:
    """A line for each attack and sandbox; exit code 1 where one was not held although the sandbox claims it."""
    from ml_intern.run.attacks.case import CASES
    from ml_intern.run.attacks.play import play
    from ml_intern.run.attacks.stage import Stage
    from ml_intern.run.compute.local import LocalCompute
    from ml_intern.run.sandbox.choice import Choice
    from ml_intern.run.selfcheck import ISOLATING, examine

    breaches = held = 0
    for kind, warm in [*((kind, False) for kind in ISOLATING), ("bubblewrap", True)]:
        examined = examine(kind, home)
        if not examined.works:
            _line(kind, f"cannot be used: {examined.problem}")
            continue
        typer.echo(f"{kind}, tier {examined.tier}{', warm start' if warm else ''}:")
        with Stage() as stage, contextlib.closing(LocalCompute(Choice(kind, home), 1, warm=warm)) as compute:
            compute.warm_up("torch")
            for case in CASES:
                if kind in case.uncovered:
                    typer.echo(f"  {case.number:>3}  not covered  {case.name} ({case.uncovered[kind]})")
                    continue
                breach = play(case, stage, compute).breach
                breaches, held = breaches + bool(breach), held + (not breach)
                typer.echo(
                    f"  {case.number:>3}  {'BREACH     ' if breach else 'held       '}  {case.name}  {breach}".rstrip()
                )
    typer.echo(f"{held} attacks held, {breaches} not.")
    if breaches or not held:
        raise typer.Exit(1)


def _gpu() -> str:
    # torch would take seconds to import: the driver's own tool answers at once.
    if shutil.which("nvidia-smi") is None:
        return "none found (no nvidia-smi)"
    import subprocess

    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    return asked.stdout.strip().replace("\n", "; ") or "none found"


def _line(name: str, value: str) -> None:
    typer.echo(f"{name:<18} {value}")
