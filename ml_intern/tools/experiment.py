"""What an executor may ask of the laboratory: a smoke run, exploration, and to say that it is done."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, Field

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import NamesCheck
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Ended, Tool


class Trials(Protocol):
    """The laboratory as the executor sees it; both raise MlInternError with words that it can act on."""

    def smoke(self, variant: str) -> str: ...

    def explore(self) -> str: ...

    def check_names(self) -> NamesCheck | None: ...


class _Smoke(BaseModel):
    variant: str = Field(default="", description="a variant of the plan; empty: the first")


class _Nothing(BaseModel):
    pass


class _Finish(BaseModel):
    note: str = Field(default="", description="what whoever reads the report should know")


class _GiveUp(BaseModel):
    reason: str


def tools(bench: Bench) -> list[Tool]:
    return experiment_tools(bench.laboratory)


def experiment_tools(trials: Trials) -> list[Tool]:
    """The tools of class `experiment`."""

    def finish(arguments: _Finish) -> str:
        checked = trials.check_names()
        if checked is not None and checked.outcome == "differ":
            why = "train.py may do nothing by a variant's name but look up its settings in settings.json['variants']"
            how = "Do by settings what it does by name, and seed without the name; mend train.py, then finish again."
            raise MlInternError(f"Not finished: {checked.said}", why, how)
        raise Ended(True, arguments.note)

    def give_up(arguments: _GiveUp) -> str:
        raise Ended(False, arguments.reason)

    return [
        Tool(
            "smoke_run",
            "Make the data, draw and check the split, then train (--smoke), predict and score one variant.",
            "experiment",
            _Smoke,
            lambda arguments: trials.smoke(arguments.variant),
        ),
        Tool(
            "explore",
            "Train every variant at full size on the plan's exploration seeds; validation scores only.",
            "experiment",
            _Nothing,
            lambda _: trials.explore(),
        ),
        Tool(
            "finish",
            "The scripts are ready: freeze them for confirmation.",
            "experiment",
            _Finish,
            finish,
            in_order=True,
        ),
        Tool("give_up", "The experiment cannot be done; say why.", "experiment", _GiveUp, give_up, in_order=True),
    ]
