"""Questions of the model: deferred with what it decides, refused where it is not its to decide, or answered."""

import json
import threading
from pathlib import Path

import pytest

from ml_intern.agent.approvals import Approvals
from ml_intern.agent.context import Context
from ml_intern.agent.questions import put
from ml_intern.agent.steering import Steering
from ml_intern.errors import InputError
from ml_intern.llm.protocol import ToolCall
from ml_intern.session.events import Event
from ml_intern.session.inbox import Told
from ml_intern.tools.questions import question_tools
from ml_intern.tools.registry import Toolbox
from tests.agent.test_approvals import Killed, Typing
from tests.agent.test_loop import Scripted, calls, context_with


def ask(context: Context, question: str = "Which layers?", changes: str = "nothing") -> str:
    return put(context, "build e", question, "three layers", changes)


def questions(context: Context) -> list[tuple[str, str, str]]:
    return [(one.id, one.outcome, one.decided) for one in context.state.questions]


def test_where_nobody_is_there_it_is_decided_noted_and_said_at_once(tmp_path: Path) -> None:
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        said = ask(context)
        assert "Q1: nobody is there to answer. Decided as you said: three layers." in said
        assert ask(context, "And how wide?").startswith("Q2: ")
        assert questions(context) == [(one, "deferred", "three layers") for one in ("Q1", "Q2")]


@pytest.mark.parametrize("changes", ["claims", "metric", "seeds", "sealed data", "budget"])
def test_what_would_change_the_plan_is_not_decided_by_the_model(tmp_path: Path, changes: str) -> None:
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        said = ask(context, changes=changes)
        assert said.startswith("FAILED: Q1") and f"({changes})" in said and "three layers" not in said
        assert questions(context) == [("Q1", "refused", "nothing: the plan stayed as it was approved")]


def test_the_same_question_is_one_also_where_a_kill_came_after_it(tmp_path: Path) -> None:
    def dies(event: Event) -> None:
        raise Killed

    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        context.listeners = [dies]
        with pytest.raises(Killed):
            ask(context)
        again = Context(
            context.config, context.folder, context.log, context.model, context.budget, context.compute, context.approve
        )
        assert ask(again) == ask(again) and len(questions(again)) == 1


def person_at(context: Context, seconds: float) -> Typing:
    person = Typing()
    context.person, context.approvals = person, Approvals(answer_seconds=seconds)
    context.steering = Steering(context.folder.inbox, lambda name: context.model)
    return person


@pytest.mark.parametrize("changes", ["nothing", "seeds"])
def test_a_person_at_the_terminal_is_waited_for_and_what_they_say_follows_as_words(
    tmp_path: Path, changes: str
) -> None:
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        context.emit("session.created", settings={})
        context.folder.inbox.put(Told(words="said before, and no answer"))
        person = person_at(context, 30)
        timer = threading.Timer(1.5, lambda: context.folder.inbox.put(Told(words="Q1: four.")))
        timer.start()
        assert ask(context, changes=changes) == "Q1: the person has answered; what they say follows.\n"
        timer.join()
        assert questions(context)[0][1] == "answered" and context.state.seconds < 1.4
        assert context.steering is not None
        assert "Q1: four." in context.steering.words(context, "build e")[1]
        assert "The model asks, Q1: Which layers?" in person.seen.getvalue()


def test_a_person_who_does_not_answer_is_waited_for_no_longer_than_that(tmp_path: Path) -> None:
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        person = person_at(context, 0.3)
        ask(context, "Which\x1b[2J\nlayers?")
        assert questions(context)[0][1] == "deferred"
        assert "Q1: Which[2J layers?\n" in person.seen.getvalue() and "\x1b" not in person.seen.getvalue()


def test_a_stop_while_an_answer_is_waited_for_ends_the_run(tmp_path: Path) -> None:
    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        person_at(context, 30)
        context.stop.set()
        with pytest.raises(KeyboardInterrupt):
            ask(context)
        assert questions(context) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"question": "Which?"}, "meanwhile: this is missing"),
        ({"question": " ", "meanwhile": "x"}, "question: it is empty"),
        ({"question": "Which?", "meanwhile": "x" * 1001}, "at most 1000 characters"),
        ({"question": "Which?", "meanwhile": "x", "changes": "the verdict"}, "'claims', 'metric', 'seeds'"),
        ({"question": "Which?", "meanwhile": "x", "approved": True}, "approved: there is no such field"),
    ],
)
def test_arguments_that_are_none_are_said_so(arguments: dict[str, object], said: str) -> None:
    def never(*_: str) -> str:
        raise InputError("It was asked.")

    box = Toolbox(question_tools(never))
    result = box.carry_out(ToolCall(id="1", name="ask_person", arguments=json.dumps(arguments)))
    assert result.startswith("FAILED: the arguments of ask_person") and said in result
    assert box.kind("ask_person") == "read-only", "to ask is always allowed"
