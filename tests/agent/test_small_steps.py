"""Building in small steps: one file at a time, each tried when it is written, in scripts that the harness has."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.agent.small_steps import SmallSteps, fits_small_steps
from ml_intern.llm.protocol import Message, ToolCall
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Ended, Toolbox
from tests.judge.workshop import Workshop
from tests.tools.bench import again

TABLE = """
import numpy as np

def load():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 6))
    return {"x": x, "y": (x.sum(1) > 0).astype(int)}
"""
DRAWN = {"name": "rows drawn by data.py, made up", "revision": "r", "inputs": ["x"], "label": "y"}
MODEL = """
import numpy as np

def fit(train, validation, config, seed, log):
    x, y = train["x"][:, : config["features"]], train["y"]
    log(1, 1, 0.5)
    return {"mean": np.stack([x[y == k].mean(0) for k in (0, 1)])}

def predict(model, rows, config):
    far = ((rows["x"][:, None, : config["features"]] - model["mean"]) ** 2).sum(2)
    near = np.exp(-far)
    return near / near.sum(1, keepdims=True)
"""


class Steps:
    """The tools of a small model on the workshop's experiment, with no scripts of its own."""

    def __init__(self, bench: Bench, shop: Workshop) -> None:
        shown = {"experiment": shop.experiment, "excerpts": "", "task": "Tell zebras.", "failures": ()}
        self.memory = SmallSteps(bench.laboratory, shown)
        self.toolbox, self.shop = Toolbox(self.memory.tools(bench)), shop

    def say(self, tool: str, **arguments: str) -> str:
        """One call in an answer of its own."""
        self.memory.fitted([Message(role="user", content="")])
        return self.toolbox.carry_out(ToolCall(id="1", name=tool, arguments=json.dumps(arguments)))


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    shop = Workshop(tmp_path, changes={"data": DRAWN})
    for name in ("data.py", "train.py", "predict.py"):
        (shop.places.scripts / name).unlink()
    with again(shop) as opened:
        yield Steps(opened.bench, shop)


def test_table_then_model_and_what_works_is_the_end(steps: Steps) -> None:
    assert "```python table.py" in steps.memory.question()
    assert steps.say("write_file", content=TABLE) == "table.py works"
    asked = steps.memory.question()
    assert "```python model.py" in asked and "table.py" not in asked
    assert (
        '`train["x"]`: double, shape (rows, 6)' in asked and "int64, 2 values: 0, 1, what is to be predicted" in asked
    )
    assert '`config` is {"features": 6}; it differs by variant: zebra' in asked
    with pytest.raises(Ended, match=r"smoke run of zebra: ok.*smoke run of okapi: ok"):
        steps.say("write_file", content=MODEL)
    assert steps.shop.confirmed().verdict.outcome == "reproduced"


def test_a_question_stands_alone_with_what_failed_and_without_the_answer_that_did(steps: Steps) -> None:
    first = [Message(role="user", content=steps.memory.question())]
    assert steps.memory.fitted(first) is first
    told = steps.say("write_file", content=TABLE.replace("return", "return SECRET,"))
    (asked,) = steps.memory.fitted(
        [
            *first,
            Message(role="assistant", content="wrong"),
            Message(role="tool", content=told),
            Message(role="user", content="Use the seed."),
        ]
    )
    assert "NameError: name 'SECRET' is not defined" in asked.content and "table.py, line 7, in load" in asked.content
    assert "wrong" not in asked.content and "data.py ended with" in asked.content
    assert asked.content.endswith("Use the seed.") and "def load(" in asked.content


def test_rows_that_are_drawn_where_the_plan_names_data_are_refused(tmp_path: Path) -> None:
    with again(Workshop(tmp_path, changes={"data": DRAWN | {"name": "the herd book of zebras"}})) as opened:
        told = Steps(opened.bench, Workshop(tmp_path)).say("write_file", content=TABLE)
    assert told.startswith("FAILED: table.py made the rows up.\nNext: Load the true ones: the herd book of zebras")


def test_one_answer_is_one_file(steps: Steps) -> None:
    steps.say("write_file", content=TABLE)
    call = ToolCall(id="2", name="write_file", arguments=json.dumps({"content": MODEL}))
    assert "left alone" in steps.toolbox.carry_out(call)
    assert not (steps.shop.places.scripts / "model.py").exists()


def test_a_resumed_session_goes_on_with_the_step_that_is_open(steps: Steps) -> None:
    steps.say("write_file", content=TABLE)
    with again(steps.shop) as opened:
        assert "```python model.py" in Steps(opened.bench, steps.shop).memory.question()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("def load(raw):\n    return raw\n", "load() returned a PosixPath, not a dict"),
        ("def load():\n    return {'x': [[1.0]], 'y': [0, 1]}\n", "columns of different lengths"),
        ("def load():\n    return {'x': [[1.0]] * 9}\n", "The table has no column 'y'"),
        ("def load(path):\n    return {}\n", "load() has a parameter 'path'"),
        ("x = 1", "What is asked for is table.py, with def load(…)"),
        (TABLE.replace('"x": x', '"x": x.reshape(-1, 2, 3)'), "x is double, shape (rows, 2, 3)"),
        ("from sklearn.model_selection import train_test_split\ndef load(): ...", "table.py split the data"),
    ],
)
def test_a_table_that_does_not_do_is_said_at_once(steps: Steps, content: str, said: str) -> None:
    told = steps.say("write_file", content=content)
    assert told.startswith("FAILED") and said in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('return {"mean"', 'return {"mean": object(), "m"', "fit() returned 'mean', which is no array of numbers"),
        ("return near / near.sum(1, keepdims=True)", "return near[:3]", "one prediction for each of the"),
        ("return {", "return None and {", "fit() returned a NoneType, not a dict"),
        ("config, seed, log):", "config, seed, log, x):", "fit() has a parameter 'x'"),
        ("import numpy as np", "import no_such_package", "No module named 'no_such_package'"),
        ("def fit(", "class Zebra:\n    pass\n\n    def fit(", "Next: Functions of the file itself, in no class."),
        (
            "log):\n",
            "log):\n    depth = config['depth']\n",
            "Next: There is config[\"features\"]: write a number in the place of config['depth'].",
        ),
        (
            "log):\n",
            "log):\n    y = train['label']\n",
            'There is no train[\'label\']; there is train["x"], train["y"].',
        ),
        ('rows["x"][:, None', 'rows["y"][:, None', 'Next: There is no rows["y"]; there is rows["x"].'),
    ],
)
def test_a_model_that_does_not_do_is_said_at_once(steps: Steps, old: str, new: str, said: str) -> None:
    steps.say("write_file", content=TABLE)
    told = steps.say("write_file", content=MODEL.replace(old, new))
    assert told.startswith("FAILED") and said in told


def test_it_is_not_given_up_before_something_was_tried(steps: Steps) -> None:
    told = [steps.say("give_up", reason="too hard") for _ in range(4)]
    assert all("too early to give up" in one for one in told)
    with pytest.raises(Ended, match="too hard"):
        steps.say("give_up", reason="too hard")


def test_the_tries_have_an_end(steps: Steps) -> None:
    told = [steps.say("write_file", content="x = 1") for _ in range(19)]
    assert all("asked for is table.py" in one for one in told)
    with pytest.raises(Ended, match=r"20 tries failed, the last one so: What is asked for is table\.py"):
        steps.say("write_file", content="x = 1")


def test_a_language_model_needs_more_than_the_small_steps(tmp_path: Path) -> None:
    own = Workshop(tmp_path).experiment
    assert fits_small_steps(own)
    assert not fits_small_steps(own.model_copy(update={"data": own.data.model_copy(update={"split": "given"})}))
    texts = {"task": "language-model", "inputs": ("y",), "label": "y"}
    assert not fits_small_steps(own.model_copy(update={"data": own.data.model_copy(update=texts)}))
