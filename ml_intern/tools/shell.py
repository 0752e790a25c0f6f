"""Shell and Python in the sandbox that scripts run in, at once or in the background. Every output is untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml_intern.errors import InputError
from ml_intern.run.journal import Standing
from ml_intern.run.spec import RunResult
from ml_intern.tools.bench import Bench
from ml_intern.tools.beneath import files_beneath, read_beneath
from ml_intern.tools.commands import PYTHON, SHELL, Commands
from ml_intern.tools.output import numbers, plain, shown, shown_log
from ml_intern.tools.registry import Tool

_SECONDS, _LONGEST_WAIT = 60.0, 600.0
_LOGS_SHOWN, _LOG_BYTES, _NUMBERS = 3, 20_000, 12


def _sayable(text: str) -> str:
    if "\0" in text or not text.strip():
        raise ValueError("it is empty" if not text.strip() else "it holds a NUL character")
    return text


_Text = Annotated[str, Field(max_length=100_000), AfterValidator(_sayable)]
_Id = Annotated[int, Field(ge=1, le=999_999, description="the number of a job in the background")]


class _Limited(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="stopped after so long; left out: 60, in the background the experiment's limit",
    )
    background: bool = Field(default=False, description="return at once; look_at shows how it goes")


class _Command(_Limited):
    command: _Text


class _Code(_Limited):
    code: _Text = Field(description="a whole program")


class _Look(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: _Id
    wait_seconds: float = Field(default=0, ge=0, le=_LONGEST_WAIT, description="wait so long for its end")


class _Stop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: _Id


def tools(bench: Bench) -> list[Tool]:
    commands = Commands(bench)
    most = f"{bench.laboratory.experiment.timeout_seconds:.0f}"
    told = {
        "run_command": "A bash command in the sandbox, without network. It works in a scratch folder that lasts;"
        " $SCRIPTS holds your scripts (read-only), $DATA train/ and validation/ once a smoke run has made them,"
        f" $BACKGROUND/ID what a background command writes. At most {most} s. Nothing it prints is evidence.",
        "run_python": "The same with a Python program; os.environ has the variables, your scripts can be imported.",
        "look_at": "How a command goes or how it ended: status, exit code, output, last metrics.",
        "stop": "Stop a background command and all that it started.",
    }

    def running(program: str) -> Callable[[Any], str]:
        return lambda given: _run(
            commands, program, given.command if program == SHELL else given.code, given.seconds, given.background
        )

    def look_at(given: _Look) -> str:
        return _state(commands, given.id, commands.wait(given.id, given.wait_seconds))

    def stop(given: _Stop) -> str:
        return _state(commands, given.id, commands.stop(given.id))

    return [
        Tool("run_command", told["run_command"], "workspace", _Command, running(SHELL)),
        Tool("run_python", told["run_python"], "workspace", _Code, running(PYTHON)),
        Tool("look_at", told["look_at"], "read-only", _Look, look_at),
        Tool("stop", told["stop"], "workspace", _Stop, stop, repeatable=True),
    ]


def _run(commands: Commands, program: str, text: str, seconds: float | None, background: bool) -> str:
    if background:
        limit = commands.limited(seconds or float("inf"))
        id = commands.start(program, text, limit)
        # In these words a number counts for nothing: the same again and again is seen to be the same.
        return f"job {id} runs in the background, for at most {limit:.0f} s"
    id, result = commands.run(program, text, seconds or _SECONDS)
    note = "\n$DATA is not there: smoke_run makes the data." if "DATA" in text and not commands.has_data else ""
    return f"{_ended(result)}{note}\n{shown_log(commands.log(id))}"


def _state(commands: Commands, id: int, found: Standing) -> str:
    if found.alive:
        head = f"job {id}: running for {commands.seconds(id):.0f} s"
    elif found.result is None:
        head = f"FAILED: job {id}: nobody knows how it ended; it was killed with what watched over it."
    elif found.result.outcome == "killed":
        head = f"job {id}: stopped after {found.result.wall_seconds:.1f} s"
    else:
        head = _ended(found.result)
    metrics = _last_metrics(commands, id)
    return "\n".join([head, shown_log(commands.log(id)), *([shown(metrics.encode())] if metrics else [])])


def _ended(result: RunResult) -> str:
    took = f"after {result.wall_seconds:.1f} s"
    if result.outcome == "ok":
        return f"exit code 0 {took}"
    emptied = " The scratch folder was emptied." if result.outcome == "disk" else ""
    return f"FAILED: {result.outcome} {took}: {result.detail}{emptied}"


def _last_metrics(commands: Commands, id: int) -> str:
    """The last line of each log of metrics that a background command writes."""
    lines = []
    folder = commands.own_folder(id)
    names = [name for name in files_beneath(folder) if name.endswith("metrics.jsonl")] if folder.is_dir() else []
    for name in names[:_LOGS_SHOWN]:
        try:
            rows = read_beneath(folder, name, _LOG_BYTES, from_end=True).splitlines()
            row = numbers(json.loads(rows[-1]))
        except (InputError, ValueError, IndexError, RecursionError):
            continue
        lines.append(f"{plain(name)}: {', '.join(f'{key} {value:.6g}' for key, value in list(row.items())[:_NUMBERS])}")
    return "\n".join(lines)
