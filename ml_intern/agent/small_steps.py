"""Building in small steps, for a model with a small context: the harness has the three scripts, the model writes two
files of functions, one after the other. Each is tried when it is written; what failed is said in a question that stands
alone, because a small model that sees its own wrong answer gives it again."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

import ml_intern.recipes
from ml_intern.agent.compaction import Memory
from ml_intern.agent.own_traceback import own_traceback, way_out
from ml_intern.errors import BudgetExhausted, InputError, MlInternError
from ml_intern.judge.laboratory import Laboratory
from ml_intern.llm.protocol import Message
from ml_intern.plan.plan import Experiment
from ml_intern.resources import render_prompt
from ml_intern.tools.bench import Bench
from ml_intern.tools.families import executor_tools
from ml_intern.tools.outputs import Outputs
from ml_intern.tools.registry import Ended, Tool, fenced

SMALL_CONTEXT = 25_000  # characters: with less, a model is asked in small steps from the beginning
_TABLE, _MODEL = "table.py", "model.py"
_DEFINES = {_TABLE: ("def load(",), _MODEL: ("def fit(", "def predict(")}
# What makes rows up, and the words of a plan that wants it so.
_MADE_UP, _WANTED_SO = (
    r"\b(random|rand|randn|randint|make_\w+)\b",
    r"(?i)made|make|generat|synthe|random|simulat|artific",
)
_MADE_UP_KEY = re.compile(
    r"(?P<written>\b(?P<where>config|train|rows)\[(['\"])(?P<name>\w+)\3\])[\s\S]*^KeyError: '(?P=name)'", re.MULTILINE
)
_SCRIPTS = ("data.py", "train.py", "predict.py")
_FAILURES_SHOWN, _TOLD_SHOWN = 2, 2
_TRIES_AT_LEAST = 4  # before the work may be given up
_TRIES_AT_MOST = 20


class _Write(BaseModel):
    path: str = Field(default="", description="table.py or model.py")
    content: str = Field(description="the whole file")


def takes_small_steps(room: int) -> bool:
    """Whether a model with room for so many characters has a context so small that long forms and many tools are too
    much for it."""
    return room <= SMALL_CONTEXT


def fits_small_steps(experiment: Experiment) -> bool:
    """Whether the harness's scripts do for this experiment."""
    data = experiment.data
    return data.task != "language-model" and data.split != "given" and not experiment.audited


class SmallSteps(Memory):
    """The steps of one experiment. As a memory it keeps nothing of a conversation: `fitted` is the question of the step
    that is open, with what failed in it. `shown`: what the first question is rendered with; `completed` puts behind a
    question what belongs to each."""

    quiet = True

    def __init__(
        self,
        laboratory: Laboratory,
        shown: dict[str, Any],
        completed: Callable[[str], str] = lambda question: question,
    ) -> None:
        super().__init__(SMALL_CONTEXT, lambda transcript: transcript, Outputs())
        self._laboratory, self._shown, self._completed = laboratory, shown, completed
        self._scripts = laboratory.places.scripts
        self._failures: list[str] = []
        self._told: list[str] = []
        self._tries = 0
        self._answered = False
        self._columns: dict[str, str] = {}
        self._split = ""

    def question(self) -> str:
        """What the model is asked now."""
        return self._completed(self._question())

    def _question(self) -> str:
        experiment = self._laboratory.experiment
        failures = list(dict.fromkeys(self._failures))[-_FAILURES_SHOWN:]
        if not self._columns:
            made_up = re.search(_WANTED_SO, experiment.data.name) is not None
            return render_prompt("small_data", failed=failures, made_up=made_up, **self._shown)
        config = experiment.settings | experiment.variants[0].settings
        about = {"columns": self._columns, "split": self._split, "config": config}
        return render_prompt("small_model", experiment=experiment, failed=failures, **about)

    def fitted(self, messages: list[Message]) -> list[Message]:
        self._answered = False
        return messages if len(messages) == 1 else self.shortened(messages)

    def shortened(self, messages: Sequence[Message]) -> list[Message]:
        """The question, and what was said to the model meanwhile: by a person, or about circles and the budget."""
        self._told += [message.content for message in messages[1:] if message.role == "user"]
        return [Message(role="user", content="\n\n".join([self.question(), *self._told[-_TOLD_SHOWN:]]))]

    def tools(self, bench: Bench) -> list[Tool]:
        """Two, after the scripts have been put where the model's files are. Scripts that stand there stay."""
        found = {tool.name: tool for tool in executor_tools(bench)}
        for name in _SCRIPTS:
            if not (self._scripts / name).exists():
                shutil.copyfile(Path(ml_intern.recipes.__path__[0]) / "small_steps" / name, self._scripts / name)
        if (self._scripts / _TABLE).exists():  # a resumed session's, or that of an earlier try
            with contextlib.suppress(MlInternError):
                self._columns, self._split = self._laboratory.data()
        write = found["write_file"]
        told = "Write the file that is asked for, whole; it is tried at once."
        give_up = replace(found["give_up"], run=self._late(found["give_up"].run))
        return [replace(write, description=told, arguments=_Write, run=self._tried(write.run), in_order=True), give_up]

    def _tried(self, write: Callable[[Any], str]) -> Callable[[_Write], str]:
        def run(given: _Write) -> str:
            """Raises InputError with what the trial showed, and Ended where all works."""
            if self._answered:
                return "One file in each answer: this one was left alone."
            self._answered = True
            self._tries += 1
            wanted = _MODEL if self._columns else _TABLE
            try:
                self._require(given, wanted)
                write(given.model_copy(update={"path": wanted}))
                told = self._trial()
            except BudgetExhausted:
                raise  # no other try would help
            except MlInternError as error:
                why = own_traceback(error.why, _DEFINES)
                way = error.next or way_out(why) or self._what_there_is(why)
                self._failures.append("\n".join(filter(None, (error.what, why and fenced("output", why), way))))
                if self._tries >= _TRIES_AT_MOST:
                    raise Ended(False, f"{self._tries} tries failed, the last one so: {error.what} {why}") from error
                raise InputError(error.what, why, way) from error
            return told

        return run

    def _what_there_is(self, why: str) -> str:
        """What to do about a column or a setting that a model made up; empty where that is not what failed."""
        made_up = _MADE_UP_KEY.search(why)
        if made_up is None:
            return ""
        experiment, where = self._laboratory.experiment, made_up["where"]
        settings = experiment.settings | experiment.variants[0].settings
        there = {"config": settings, "train": self._columns, "rows": experiment.data.inputs}[where]
        names = ", ".join(f"{where}[{json.dumps(name)}]" for name in there)
        if where == "config":
            return f"There is {names or 'nothing in config'}: write a number in the place of {made_up['written']}."
        return f"There is no {made_up['written']}; there is {names}."

    def _trial(self) -> str:
        """Makes the data, or tries every variant at small size. Raises MlInternError, and Ended at the end."""
        if not self._columns:
            columns, split = self._laboratory.data()
            for name, about in columns.items():
                if about.count(",") > 2 and "shape" in about:  # most models take vectors, and small ones forget it
                    raise InputError(f"{name} is {about}.", next="Give each row as one vector: x.reshape(len(x), -1).")
            self._columns, self._split, self._failures = columns, split, []
            return f"{_TABLE} works"
        variants = self._laboratory.experiment.variants
        raise Ended(True, "; ".join(self._laboratory.smoke(variant.name) for variant in variants))

    def _require(self, given: _Write, wanted: str) -> None:
        """Raises InputError where it is not the file that is asked for."""
        lacks = [words for words in _DEFINES[wanted] if not re.search(rf"^{re.escape(words)}", given.content, re.M)]
        if given.path not in ("", wanted) or lacks:
            asked = f"{wanted}, with {' and '.join(_DEFINES[wanted])}…)"
            raise InputError(f"What is asked for is {asked}.", next="Functions of the file itself, in no class.")
        if wanted == _TABLE and "train_test_split" in given.content:
            raise InputError("table.py split the data.", next="Return all rows: they are split when they are stored.")
        data = self._laboratory.experiment.data.name
        if wanted == _TABLE and re.search(_MADE_UP, given.content) and not re.search(_WANTED_SO, data):
            raise InputError("table.py made the rows up.", next=f"Load the true ones: {data}.")

    def _late(self, give_up: Callable[[Any], str]) -> Callable[[Any], str]:
        def run(arguments: Any) -> str:
            if self._tries < _TRIES_AT_LEAST:
                self._tries += 1
                raise InputError("It is too early to give up.", next="Do it in another way.")
            return give_up(arguments)

        return run
