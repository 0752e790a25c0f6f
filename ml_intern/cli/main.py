"""The command line: one file per command; this one only names them, and turns errors into words and exit codes.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ml_intern import __version__
from ml_intern.cli import doctor, fork, models, plan, read, recipes, report, resume, run, sessions, tell, verify
from ml_intern.cli.onlooker import let_go, say
from ml_intern.errors import MlInternError, of_the_system

app = typer.Typer(
    name="ml-intern",
    help="Reads a paper, or a task, pre-registers its claims, runs the experiments, publishes measured numbers only.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("read")(read.read)
app.command("verify")(verify.verify)
app.command("resume")(resume.resume)
app.command("tell")(tell.tell)
app.command("report")(report.report)
app.command("fork")(fork.fork)
app.add_typer(sessions.app, name="sessions")
app.command("recipes")(recipes.recipes)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ml-intern {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options that come before a command."""


def main() -> None:
    """Entry point: expected errors are words on stderr and an exit code, never a traceback."""
    try:
        app()
    except MlInternError as error:
        say(f"Error: {_printable(str(error))}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        say(f"Error: {_printable(str(of_the_system(error)))}")
        sys.exit(1)
    finally:
        let_go()


def _printable(text: str) -> str:
    """What an error tells of may come from a paper, a script or another machine."""
    from ml_intern.read.show import printable

    return printable(text)


if __name__ == "__main__":
    main()
