"""Yes or no from the person at the terminal: about a plan, and about what a command is to do.

Ctrl-C raises KeyboardInterrupt (exit code 130); Ctrl-D, like Enter alone, is a no.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ml_intern.cli.keyboard import Keyboard
    from ml_intern.plan.plan import Plan
    from ml_intern.ui.live import View

_MEANS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def confirmed(question: str) -> bool:
    """Asks until there is an answer."""
    try:
        return _answer(question, lambda: sys.stdin.readline() or None)
    except KeyboardInterrupt:
        typer.echo(err=True)
        raise


def approver(yes: bool, keyboard: Keyboard, view: View, stop: threading.Event) -> Callable[[Plan], bool]:
    """Shows the plan, with nothing drawn over it, and asks on a terminal; `--yes` approves; without either the answer
    is no. `stop`, which Ctrl-C sets, ends the question: KeyboardInterrupt."""

    def approve(plan: Plan) -> bool:
        if yes:
            return True
        from rich.console import Console

        from ml_intern.ui.show import show_plan

        with view.paused():
            show_plan(plan, Console(stderr=True))
            if not keyboard.has_terminal:
                typer.echo("Nobody is there to approve the plan: run with --yes, or on a terminal.", err=True)
                return False
            return _answer("Run this plan?", line)

    def line() -> str | None:
        said = keyboard.line(stop)
        if stop.is_set():
            raise KeyboardInterrupt
        return said

    return approve


def _answer(question: str, line: Callable[[], str | None]) -> bool:
    while True:
        typer.echo(f"{question} [y/N]: ", nl=False, err=True)
        if (said := line()) is None:
            typer.echo(err=True)
            return False
        if (answer := _MEANS.get(said.strip().lower())) is not None:
            return answer
        typer.echo("That is no answer: y or n.", err=True)
