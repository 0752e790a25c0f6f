"""`ml-intern verify`: recomputes a published folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from ml_intern.config import Config
from ml_intern.errors import InputError


def verify(
    path: Annotated[Path, typer.Argument(help="A published folder.")],
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also run its evaluate.py again: a model's code.")
    ] = False,
    sandbox: Annotated[str, typer.Option(help="For --evaluate: auto, bubblewrap, landlock or none.")] = "auto",
) -> None:
    """Recompute hashes, scores, verdicts, card and report; exit code 1 on any difference."""
    from ml_intern.publish.verify import Check, not_scored_again
    from ml_intern.publish.verify import verify as verify_folder

    if not path.is_dir():
        raise InputError(f"There is no folder {path}.")
    checks = verify_folder(path)
    if evaluate:
        problems = _evaluated(path, sandbox)
        checks = (*checks, Check(name="every audited metric, evaluated again", problem="; ".join(problems[:5])))
    for check in checks:
        typer.echo(f"{'ok  ' if check.ok else 'DIFF'}  {check.name}" + (f": {check.problem}" if check.problem else ""))
    bad = sum(not check.ok for check in checks)
    if not bad and (taken := not_scored_again(path)):
        typer.echo(f"Taken as recorded: {', '.join(taken)}{' (audited ones: --evaluate)' if not evaluate else ''}.")
    typer.echo(f"{len(checks) - bad} of {len(checks)} checks match.")
    if bad:
        raise typer.Exit(1)


def _evaluated(path: Path, sandbox: str) -> list[str]:
    from ml_intern.errors import MlInternError
    from ml_intern.publish.evaluate_again import evaluate_again
    from ml_intern.run.compute.local import LocalCompute
    from ml_intern.run.selfcheck import choose

    try:
        chosen = choose(sandbox, Config.from_environment().home)
        with contextlib.closing(LocalCompute(chosen)) as compute:
            return list(evaluate_again(path.absolute(), compute))
    except MlInternError as error:
        return [str(error).split("\n")[0]]
