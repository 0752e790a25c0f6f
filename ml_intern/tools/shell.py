"""Shell and Python in the sandbox that scripts run in, at once or in the background. Every output is untrusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml_intern.run.journal import Standing
from ml_intern.run.spec import RunResult
from ml_intern.tools.bench import Bench
from ml_intern.tools.commands import PYTHON, SHELL, Commands
from ml_intern.tools.output import growing_log, plain, shown, shown_log
from ml_intern.tools.registry import Tool
from ml_intern.tools.waiting import Rules, latest, metrics_of, wait

_SECONDS = 60.0
_NUMBERS = 12  # of a line of metrics that are shown


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
    background: bool = Field(default=False, description="return at once; wait_for waits for its end")


class _Command(_Limited):
    command: _Text


class _Code(_Limited):
    code: _Text = Field(description="a whole program")


class _Wait(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: _Id
    nan: bool = Field(default=True, description="also until a number in its metrics.jsonl is NaN or infinite")
    quiet_minutes: float | None = Field(
        default=None, gt=0, description="also until it has written no output and no metrics for so long"
    )
    minutes: float | None = Field(default=None, gt=0, description="no longer than this; left out: to its end")


class _One(BaseModel):
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
        "wait_for": "Wait for a background command, however long it takes, then the same as look_at. Costs nothing"
        " while it runs: call it once instead of looking again and again.",
        "stop": "Stop a background command and all that it started.",
    }

    def running(program: str) -> Callable[[Any], str]:
        return lambda given: _run(
            bench, commands, program, given.command if program == SHELL else given.code, given.seconds, given.background
        )

    def look_at(given: _One) -> str:
        return _state(bench, commands, given.id, commands.standing(given.id))

    def wait_for(given: _Wait) -> str:
        never = float("inf")
        rules = Rules(given.nan, 60 * (given.quiet_minutes or never), 60 * (given.minutes or never))
        found, why = wait(commands, given.id, rules, bench.called_away)
        state = _state(bench, commands, given.id, found)
        return f"Not waited for any longer, {why}.\n{state}" if why else state

    def stop(given: _One) -> str:
        return _state(bench, commands, given.id, commands.stop(given.id))

    return [
        Tool("run_command", told["run_command"], "workspace", _Command, running(SHELL)),
        Tool("run_python", told["run_python"], "workspace", _Code, running(PYTHON)),
        Tool("look_at", told["look_at"], "read-only", _One, look_at),
        Tool("wait_for", told["wait_for"], "read-only", _Wait, wait_for),
        Tool("stop", told["stop"], "workspace", _One, stop, repeatable=True),
    ]


def _run(bench: Bench, commands: Commands, program: str, text: str, seconds: float | None, background: bool) -> str:
    if background:
        limit = commands.limited(seconds or float("inf"))
        id = commands.start(program, text, limit)
        # In these words a number counts for nothing: the same again and again is seen to be the same.
        return f"job {id} runs in the background, for at most {limit:.0f} s"
    id, result = commands.run(program, text, seconds or _SECONDS)
    note = "\n$DATA is not there: smoke_run makes the data." if "DATA" in text and not commands.has_data else ""
    return f"{_ended(result)}{note}\n{shown_log(commands.log(id), bench.outputs)}"


def _state(bench: Bench, commands: Commands, id: int, found: Standing) -> str:
    if found.alive:
        head = f"job {id}: running for {commands.seconds(id):.0f} s"
    elif found.result is None:
        head = f"FAILED: job {id}: nobody knows how it ended; it was killed with what watched over it."
    elif found.result.outcome == "killed":
        head = f"job {id}: stopped after {found.result.wall_seconds:.1f} s"
    else:
        head = _ended(found.result)
    metrics = _last_metrics(commands, id)
    log = growing_log(commands.log(id)) if found.alive else shown_log(commands.log(id), bench.outputs)
    return "\n".join([head, log, *([shown(metrics.encode())] if metrics else [])])


def _ended(result: RunResult) -> str:
    took = f"after {result.wall_seconds:.1f} s"
    if result.outcome == "ok":
        return f"exit code 0 {took}"
    emptied = " The scratch folder was emptied." if result.outcome == "disk" else ""
    return f"FAILED: {result.outcome} {took}: {result.detail}{emptied}"


def _last_metrics(commands: Commands, id: int) -> str:
    """The last values in each log of metrics that a background command writes."""
    lines = []
    for name, tail in metrics_of(commands, id).items():
        if row := latest(tail):
            values = ", ".join(f"{key} {value:.6g}" for key, value in list(row.items())[:_NUMBERS])
            lines.append(f"{plain(name)}: {values}")
    return "\n".join(lines)
