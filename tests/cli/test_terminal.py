"""What a person sees and types at a terminal: questions stay on the screen, and no answer is a crash."""

import signal
import sys
import time
from pathlib import Path

import pytest

from ml_intern.session.log import read_log
from tests.e2e.conftest import PAPER, ROOT
from tests.support.inside import inside, with_known_sandbox
from tests.support.screen import Screen, Terminal

ASKS = "Run this plan? [y/N]:"
# The view and the keyboard as a run has them, without the run. Each line on stdin of `do` is a step of it.
RUN = """
import threading, time
from ml_intern.cli.common import _view, gentle_stop
from ml_intern.cli.keyboard import Keyboard
from ml_intern.session.events import Event

def event(type, **data):
    return Event(seq=0, type=type, time=0.0, mono=0.0, data=data, previous="", checksum="")

view, stop, said = _view("live"), threading.Event(), threading.Event()
keyboard = Keyboard(lambda words: said.set() if words == "fewer layers" else None, view)

def emit(type, **data):
    for listener in (view, keyboard):
        listener(event(type, **data))

with gentle_stop(stop), view.open():
    for number in range(4):
        emit("note", text=f"note {number}")
    emit("phase.started", phase="experiments", runs=3)
"""
QUESTION = (
    RUN
    + """
    keyboard.show("\\n".join(f"row {number} of the question" for number in range(9)))
    answer = keyboard.line(stop)
    emit("approval", tool="t", call="c", kind="external", decision="allow", by=f"somebody who typed {answer}")
    stop.wait(60)
"""
)
WORDS = (
    RUN
    + """
    said.wait(60)
    emit("note", text="it was heard")
    stop.wait(60)
"""
)

DEAF = (
    RUN
    + """
    stop.wait(60)
    emit("note", text="it was heard, and is not heeded")
    while True:
        time.sleep(60)
"""
)


ASKED_BY_THE_MODEL = (
    RUN
    + """
    keyboard.show("The model asks, Q1: how many?")
    said.wait(60)
    emit("question", id="Q1", purpose="p", question="how many?", outcome="answered", meanwhile="m", digest="d")
    stop.wait(60)
"""
)


def a_few_drawings() -> None:
    """A table that is drawn is drawn four times a second."""
    time.sleep(1.2)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with_known_sandbox(tmp_path)
    return tmp_path


def run(home: Path, **environment: str) -> Terminal:
    command = [sys.executable, "-m", "ml_intern.cli.main", "run", "--paper", str(PAPER), "--smoke"]
    return Terminal(command, environment={"ML_INTERN_HOME": str(home), "PYTHONPATH": str(ROOT), **environment})


def last_event(home: Path) -> str:
    return read_log(next(home.glob("sessions/*/events.jsonl")))[-1].type


def test_the_question_about_the_plan_stays_on_the_screen_and_one_ctrl_c_there_is_an_interruption(home: Path) -> None:
    with run(home) as terminal:
        assert terminal.shows(ASKS), terminal.screen
        a_few_drawings()
        rows = terminal.screen.rstrip().splitlines()
        assert rows[-1] == ASKS and "proposed claims were dropped" in rows[-2] and len(rows) == 24
        terminal.types("perhaps\n")
        assert terminal.shows(f"That is no answer: y or n.\n{ASKS}")
        terminal.types("\x03")
        assert terminal.ended() == 130
        assert "Interrupted. Go on with: ml-intern resume" in terminal.screen and terminal.is_sane
    assert last_event(home) == "session.interrupted"


def test_ctrl_c_twice_ends_at_once_what_does_not_stop_gently() -> None:
    with Terminal([sys.executable, "-c", DEAF], columns=120) as terminal:
        assert terminal.shows("Enter: say something to the run.")
        terminal.types("\x03")
        assert terminal.shows("Ctrl-C again: at once.") and terminal.shows("it was heard, and is not heeded")
        a_few_drawings()
        assert terminal.process.poll() is None
        terminal.types("\x03")
        assert terminal.ended(seconds=30) == -signal.SIGINT and terminal.is_sane


def test_a_run_that_is_ended_at_once_can_be_resumed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []

    def deaf(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("after one")
        signal.raise_signal(signal.SIGINT)
        reached.append("after two")

    monkeypatch.setattr("ml_intern.agent.pipeline.run", deaf)
    said = inside(home, "run", "--paper", str(PAPER), "--smoke", "--yes")
    assert (said.code, reached) == (130, ["after one"])
    assert "Ctrl-C again: at once." in said.err and "Interrupted. Go on with: ml-intern resume" in said.err
    assert last_event(home) == "session.interrupted"


def test_ctrl_d_at_the_question_about_the_plan_is_a_no(home: Path) -> None:
    with run(home) as terminal:
        assert terminal.shows(ASKS), terminal.screen
        terminal.types("\x04")
        assert terminal.ended() == 5
        assert "Error: The plan was not approved." in terminal.screen
    assert last_event(home) == "session.failed"


def test_a_terminal_that_cannot_be_drawn_over_is_told_in_lines(home: Path) -> None:
    with run(home, TERM="dumb") as terminal:
        assert terminal.shows("s] read '[Re] Neural Networks"), terminal.screen
        assert b"\x1b" not in terminal.raw


def test_a_question_stays_on_the_screen_until_it_is_decided_and_so_does_its_answer() -> None:
    with Terminal([sys.executable, "-c", QUESTION]) as terminal:
        assert terminal.shows("row 8 of the question")
        terminal.types("ye")
        a_few_drawings()
        assert [f"row {number} of the question" for number in range(9)] == terminal.screen.splitlines()[:9]
        assert terminal.shows("\nye\n")
        terminal.types("s\n")
        assert terminal.shows("t (external): allowed by somebody who typed yes")
        assert "row 8 of the question\nyes\nexperiments" in terminal.screen
        assert terminal.screen.count("experiments") == 1
        terminal.types("\x03")
        assert terminal.ended() == 0 and terminal.is_sane


@pytest.mark.parametrize("first", ["", "\n"], ids=["typed over the table", "typed after Enter"])
def test_what_is_typed_to_the_run_leaves_nothing_of_the_table_behind(first: str) -> None:
    with Terminal([sys.executable, "-c", WORDS]) as terminal:
        assert terminal.shows("Enter: say something to the run.")
        terminal.types(first)
        assert not first or terminal.shows("Say to the run:")
        terminal.types("fewer")
        if first:
            a_few_drawings()
            assert terminal.screen.strip() == "Say to the run: fewer"
        terminal.types(" layers\n")
        assert terminal.shows("it was heard")
        assert terminal.screen.count("experiments") == 1 and terminal.screen.count("note 3") == 1
        assert f"{'Say to the run' if first else 'You'}: fewer layers\nexperiments" in terminal.screen


def test_an_answer_to_the_model_stays_where_it_was_typed_once() -> None:
    with Terminal([sys.executable, "-c", ASKED_BY_THE_MODEL]) as terminal:
        assert terminal.shows("The model asks")
        terminal.types("fewer layers\n")
        assert terminal.shows("question Q1 (how many?) was answered")
        assert terminal.screen.startswith("The model asks, Q1: how many?\nfewer layers\nexperiments")


def test_what_is_gone_from_the_screen_is_gone_from_the_emulated_one_too() -> None:
    screen = Screen(rows=3, columns=10)
    screen.feed("one\r\ntwo\r\nthree")
    screen.feed("\r\x1b[2K\x1b[1A\x1b[2K2\x1b[")
    assert screen.text == "one\n2\n"
    screen.feed("?25l\r\nabcdefghijkl\r\n")
    assert screen.text == "abcdefghij\nkl\n" and not screen.cursor_shown
    with pytest.raises(ValueError, match="no control sequence"):
        screen.feed("\x1b[5;5H")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_that_is_killed_or_suspended_leaves_a_terminal_with_a_cursor_and_an_echo(how: signal.Signals) -> None:
    with Terminal([sys.executable, "-c", WORDS]) as terminal:
        assert terminal.shows("Enter: say something to the run.")
        terminal.process.send_signal(how)
        terminal.types("what is typed")
        assert terminal.shows("what is typed") and terminal.is_sane
