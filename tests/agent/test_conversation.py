"""A conversation that was broken off anywhere goes on as if it had not been, or says that it cannot know."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from ml_intern.agent.budget import Budget, BudgetLimits
from ml_intern.agent.context import Context
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.config import Config
from ml_intern.errors import BudgetExhausted, InputError, ModelError
from ml_intern.llm.protocol import LLM, Message, Reply, Request, ToolCall
from ml_intern.session.events import Event, EventType
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder
from ml_intern.tools.registry import Ended, Tool, Toolbox, ToolClass
from tests.support.compute import shared_compute


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class ByTurn:
    """Answers by how many answers of its own it is shown, so that it says the same after a resume. Without tools it
    gives a summary or advice."""

    id = "by-turn"

    def __init__(self, replies: list[Reply], context_chars: int = 100_000) -> None:
        self.replies, self.context_chars = replies, context_chars
        self.requests: list[tuple[Message, ...]] = []
        self.asides = 0

    def ceiling(self, request: Request) -> int:
        return 0

    def complete(self, request: Request) -> Reply:
        if not request.tools:
            self.asides += 1
            return Reply(content="An aside.")
        self.requests.append(request.messages)
        turns = [m for m in request.messages if m.role == "assistant"]
        return self.replies[min(len(turns), len(self.replies) - 1)]


class _Words(BaseModel):
    words: str = ""


def call(name: str, words: str = "", id: str = "1") -> ToolCall:
    return ToolCall(id=id, name=name, arguments=json.dumps({"words": words}))


def said(*calls: ToolCall, content: str = "") -> Reply:
    return Reply(content=content, tool_calls=calls)


class Workspace:
    """A counter that calls act on; every call is noted in `done`."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def toolbox(self) -> Toolbox:
        def act(name: str) -> Tool:
            kinds: dict[str, ToolClass] = {"look": "read-only", "try": "experiment", "fail": "experiment"}

            def run(arguments: _Words) -> str:
                self.done.append(f"{name} {arguments.words}")
                if name == "fail":
                    raise InputError("It does not work.")
                return f"{name}: {arguments.words}"

            return Tool(name, name, kinds.get(name, "workspace"), _Words, run, repeatable=name == "write")

        def finish(arguments: _Words) -> str:
            raise Ended(True, arguments.words)

        tools = [act(name) for name in ("look", "write", "edit", "try", "fail")]
        return Toolbox(
            [*tools, Tool("finish", "finish", "experiment", _Words, finish)], lambda: {"f": str(len(self.done))}
        )


@contextmanager
def opened(session: Path, model: LLM, die_at: int = -1, die_on: str = "") -> Iterator[Context]:
    """A context that is killed once its log has so many events, or right after an event of a type."""

    def listener(event: Event) -> None:
        if event.seq == die_at or event.type == die_on:
            raise Killed

    folder = SessionFolder(session)
    folder.root.mkdir(parents=True, exist_ok=True)
    with EventLog(folder.log) as log:
        yield Context(
            config=Config(home=session.parent),
            folder=folder,
            log=log,
            model=model,
            budget=Budget(BudgetLimits()),
            compute=shared_compute(),
            approve=lambda plan: True,
            listeners=[listener],
        )


def play(session: Path, model: LLM, space: Workspace, die_at: int = -1, die_on: str = "") -> tuple[Ended, list[Event]]:
    with opened(session, model, die_at, die_on) as context:
        ended = work(context, "build e", "Do it.", space.toolbox(), Ladder(context, {"id": "e"}))
        return ended, list(context.log.events)


TALK = [
    said(call("look", "a", "1"), call("write", "b", "2")),
    said(content="Let me think."),
    said(call("fail", "x")),
    said(call("fail", "x")),
    said(call("fail", "x")),
    said(call("try", "y")),
    said(call("finish", "fine")),
]


def comparable(events: list[Event]) -> list[tuple[EventType, object]]:
    """What the model was shown and what was done, without the times."""
    types = ("conversation.started", "conversation.told", "model.replied", "tool.result", "doom.warning")
    return [
        (e.type, {k: v for k, v in e.data.items() if k not in ("seconds", "files")}) for e in events if e.type in types
    ]


def once(found: list[tuple[EventType, object]]) -> list[tuple[EventType, object]]:
    """Without what came before: a call that was made again stands there twice."""
    return [one for place, one in enumerate(found) if one not in found[:place]]


def test_killed_after_any_event_it_ends_with_the_same_conversation(tmp_path: Path) -> None:
    model = ByTurn(TALK)
    ended, whole = play(tmp_path / "whole", model, Workspace())
    assert (ended.done, ended.note) == (True, "fine")
    assert [e.type for e in whole].count("doom.warning") == 1
    for seq in range(len(whole)):
        session, again = tmp_path / str(seq), ByTurn(TALK)
        space = Workspace()
        with pytest.raises(Killed):
            play(session, again, space, die_at=seq)
        resumed, events = play(session, again, space)
        assert (resumed.done, resumed.note) == (True, "fine"), seq
        assert again.requests[-1] == model.requests[-1], seq
        assert once(comparable(events)) == once(comparable(whole)), seq


def test_killed_again_and_again_it_comes_to_its_end(tmp_path: Path) -> None:
    model, space, lives = ByTurn(TALK), Workspace(), 0
    ended = None
    while ended is None and lives < 60:
        lives += 1
        begun = len(SessionFolder(tmp_path / "s").events())
        with contextlib.suppress(Killed):
            ended, _ = play(tmp_path / "s", model, space, die_at=begun + 1)
    assert ended is not None and (ended.done, ended.note) == (True, "fine")
    assert lives > 8


@pytest.mark.parametrize(("name", "times"), [("look", 2), ("try", 2), ("write", 2)])
def test_a_call_that_only_looks_or_can_be_repeated_is_made_again(tmp_path: Path, name: str, times: int) -> None:
    space = Workspace()
    replies = [said(call(name, "a")), said(call("finish"))]
    toolbox = space.toolbox()
    with pytest.raises(Killed), opened(tmp_path / "s", ByTurn(replies)) as context:
        real = toolbox.carry_out

        def killed(one: ToolCall) -> str:
            real(one)
            raise Killed

        toolbox.carry_out = killed  # type: ignore[method-assign]
        work(context, "build e", "Do it.", toolbox, Ladder(context, {}))
    _, events = play(tmp_path / "s", ByTurn(replies), space)
    assert space.done == [f"{name} a"] * times
    assert not any("UNKNOWN" in str(e.data) for e in events)


def test_a_call_that_changes_things_is_not_made_again_and_the_model_is_told(tmp_path: Path) -> None:
    space = Workspace()
    model = ByTurn([said(call("edit", "a", "7"), call("write", "b", "8")), said(call("finish"))])
    with pytest.raises(Killed):
        play(tmp_path / "s", model, space, die_on="tool.intent")
    play(tmp_path / "s", model, space)
    assert space.done == ["write b"], "the second call had not begun and is carried out"
    answers = [m for m in model.requests[-1] if m.role == "tool"]
    assert [m.tool_call_id for m in answers] == ["7", "8"]
    assert answers[0].content.startswith("OUTCOME UNKNOWN") and "edit" in answers[0].content


def test_what_was_ended_is_not_begun_again(tmp_path: Path) -> None:
    model = ByTurn(TALK)
    play(tmp_path / "s", model, Workspace())
    asked = len(model.requests)
    space = Workspace()
    ended, _ = play(tmp_path / "s", model, space)
    assert (ended.done, ended.note, space.done, len(model.requests)) == (True, "fine", [], asked)


def test_a_shortened_conversation_stays_shortened(tmp_path: Path) -> None:
    replies = [said(call("look", "z" * 900, str(n))) for n in range(12)] + [said(call("finish"))]
    model = ByTurn(replies, context_chars=12_000)

    def by_log(request: Request) -> Reply:
        model.requests.append(request.messages)
        return replies[min(len(model.requests) - 1, len(replies) - 1)] if request.tools else Reply(content="summary")

    model.complete = by_log  # type: ignore[method-assign]
    with pytest.raises(Killed):
        play(tmp_path / "s", model, Workspace(), die_on="conversation.shortened")
    shown = len(model.requests)
    play(tmp_path / "s", model, Workspace())
    assert sum(len(m.content) for m in model.requests[shown]) < 12_000
    assert model.requests[shown][0].content == "Do it."


def test_a_question_that_was_answered_before_the_crash_is_not_paid_for_again(tmp_path: Path) -> None:
    model = ByTurn([])
    with pytest.raises(Killed), opened(tmp_path / "s", model, die_on="model.replied") as context:
        context.ask("discussion", "Write about it.")
    with opened(tmp_path / "s", model) as context:
        assert context.ask("discussion", "Write about it.") == "An aside."
        assert model.asides == 1
        context.ask("discussion", "Write about something else.")
    assert model.asides == 2


def test_after_a_failure_the_question_is_put_again(tmp_path: Path) -> None:
    model = ByTurn([])
    with opened(tmp_path / "s", model) as context:
        context.ask("plan", "Plan it.")
        context.emit("session.failed", error="no valid plan")
    with opened(tmp_path / "s", model) as context:
        context.ask("plan", "Plan it.")
    assert model.asides == 2


def test_a_model_that_did_not_answer_is_asked_again_on_resume(tmp_path: Path) -> None:
    class Down(ByTurn):
        def complete(self, request: Request) -> Reply:
            raise ModelError("The model did not answer.")

    with pytest.raises(ModelError):
        play(tmp_path / "s", Down([]), Workspace())
    ended, events = play(tmp_path / "s", ByTurn([said(call("finish", "now"))]), Workspace())
    assert ended.note == "now"
    assert [e.type for e in events].count("conversation.started") == 1


def test_a_limit_that_names_its_reset_is_slept_through(tmp_path: Path) -> None:
    class Limited(ByTurn):
        failed = 0

        def complete(self, request: Request) -> Reply:
            self.failed += 1
            if self.failed == 1:
                error = ModelError("The model did not answer: rate limit.")
                error.wait = 0.05
                raise error
            return super().complete(request)

    ended, events = play(tmp_path / "s", Limited([said(call("finish", "later"))]), Workspace())
    assert ended.note == "later"
    assert [e.type for e in events].count("model.asked") == 2
    assert any(e.type == "note" and "sleeps until then" in e.data["text"] for e in events)


def test_a_limit_beyond_the_runs_own_time_is_not_waited_for(tmp_path: Path) -> None:
    class Limited(ByTurn):
        def complete(self, request: Request) -> Reply:
            error = ModelError("The model did not answer: quota.")
            error.wait = 3600.0
            raise error

    with opened(tmp_path / "s", Limited([])) as context:
        context.budget = Budget(BudgetLimits(seconds=60))
        with pytest.raises(BudgetExhausted, match=r"time ends before .* in 60 minutes") as caught:
            work(context, "build e", "Do it.", Workspace().toolbox(), Ladder(context, {}))
        assert "quota" in caught.value.why


def test_what_was_odd_about_a_reply_is_told_to_the_model_also_after_a_crash(tmp_path: Path) -> None:
    cut = Reply(content="I write", problem="Your reply was cut: write less at once.", finish="length")
    model = ByTurn([cut, said(call("finish"))])
    with pytest.raises(Killed):
        play(tmp_path / "s", model, Workspace(), die_on="model.replied")
    play(tmp_path / "s", model, Workspace())
    assert model.requests[-1][-1].content.startswith("Your reply was cut")
