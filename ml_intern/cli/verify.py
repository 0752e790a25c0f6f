"""`ml-intern verify`: recomputes a published folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_intern.errors import InputError


def verify(path: Annotated[Path, typer.Argument(help="A published folder.")]) -> None:
    """Recompute hashes, scores, verdicts, card and report; exit code 1 on any difference."""
    from ml_intern.publish.verify import verify as verify_folder

    if not path.is_dir():
        raise InputError(f"There is no folder {path}.")
    checks = verify_folder(path)
    for check in checks:
        typer.echo(f"{'ok  ' if check.ok else 'DIFF'}  {check.name}" + (f": {check.problem}" if check.problem else ""))
    bad = sum(not check.ok for check in checks)
    typer.echo(f"{len(checks) - bad} of {len(checks)} checks match.")
    if bad:
        raise typer.Exit(1)
