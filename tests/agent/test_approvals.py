"""Which calls are carried out: rules, then earlier answers, then the class; a person is asked once, nobody never."""

import io
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from ml_intern.agent import budget, pipeline
from ml_intern.agent.approvals import Approvals, Mode, checked_mode, shown
from ml_intern.agent.budget import Budget, BudgetLimits
from ml_intern.agent.context import Context
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.errors import ApprovalRefused, BudgetExhausted, InputError
from ml_intern.llm.protocol import Reply, ToolCall
from ml_intern.plan.plan import Plan
from ml_intern.session.events import Event
from ml_intern.settings import ApprovalRule, ToolClass
from ml_intern.tools.registry import Ended, Tool, Toolbox
from tests.agent.test_loop import Scripted, calls, context_with
from tests.judge.synthetic import criterion, experiment, plan_of


class _Words(BaseModel):
    words: str = ""


class Typing:
    """A person who types these lines, and then goes away."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.seen = list(lines), io.StringIO()

    def is_there(self) -> bool:
        return True

    def show(self, text: str) -> None:
        self.seen.write(text + "\n")

    def line(self, stop: threading.Event) -> str | None:
        return self.lines.pop(0) if self.lines else None


def rules(*given: dict[str, str]) -> tuple[ApprovalRule, ...]:
    return tuple(ApprovalRule.model_validate(rule) for rule in given)


def toolbox(done: list[str]) -> Toolbox:
    """One tool of each class; each notes in `done` that it was carried out."""

    def named(name: str, kind: ToolClass) -> Tool:
        def run(given: _Words) -> str:
            done.append(f"{name} {given.words}".strip())
            return f"done: {len(done)}"

        return Tool(name, name, kind, _Words, run, repeatable=name == "fetch")

    def finish(given: _Words) -> str:
        raise Ended(True, given.words)

    kinds: list[tuple[str, ToolClass]] = [
        ("look", "read-only"), ("write", "workspace"), ("try", "experiment"), ("fetch", "external"),
    ]  # fmt: skip
    return Toolbox([*(named(*one) for one in kinds), Tool("finish", "finish", "experiment", _Words, finish)])


def play(context: Context, done: list[str]) -> Ended:
    return work(context, "build e", "Do it.", toolbox(done), Ladder(context, {"id": "e"}))


def decisions(context: Context) -> list[tuple[str, str, str]]:
    found = [event.data for event in context.log.events if event.type == "approval"]
    return [(one["tool"], one["decision"], one["by"]) for one in found]


def results(context: Context) -> list[str]:
    return [event.data["result"] for event in context.log.events if event.type == "tool.result"]


ALL = calls("look", "write", "try", "fetch")


@pytest.mark.parametrize(
    ("mode", "asked"),
    [("never", set()), ("external", {"fetch"}), ("all", {"write", "try", "fetch", "finish"})],
)
def test_each_mode_asks_about_its_classes_and_about_nothing_else(tmp_path: Path, mode: Mode, asked: set[str]) -> None:
    person, done = Typing(*["y"] * 9), []  # type: ignore[var-annotated]
    with context_with(tmp_path, Scripted(ALL, calls("finish"))) as context:
        context.approvals, context.person = Approvals(mode=mode), person
        play(context, done)
        assert {tool for tool, _, by in decisions(context) if by == "a person"} == asked
        refused = [result for result in results(context) if result.startswith("FAILED: refused: `fetch`")]
    assert done == (["look", "write", "try"] if mode == "never" else ["look", "write", "try", "fetch"])
    assert len(refused) == (mode == "never")


def test_a_mode_that_is_none_is_refused_in_words() -> None:
    assert checked_mode("all") == "all"
    with pytest.raises(InputError, match="never, external, all"):
        checked_mode("sometimes")


def test_the_first_rule_that_fits_decides_and_what_only_looks_is_always_allowed() -> None:
    policy = Approvals(
        rules({"tool": "fetch_m*", "do": "allow"}, {"class": "external", "do": "refuse"}, {"tool": "*", "do": "ask"})
    )
    assert policy.ruled("fetch_model", "external") == ("allow", "rule 1")
    assert policy.ruled("search", "external") == ("refuse", "rule 2")
    assert policy.ruled("write_file", "workspace") == ("ask", "rule 3")
    assert policy.ruled("read_file", "read-only") == ("allow", "class")
    assert Approvals(mode="all").ruled("read_file", "read-only") == ("allow", "class")


def test_where_nobody_is_there_the_run_stops_before_the_call_and_goes_on_after_a_rule(tmp_path: Path) -> None:
    done: list[str] = []
    with context_with(tmp_path, Scripted(calls("write", "fetch", words="x"), calls("finish"))) as context:
        with pytest.raises(ApprovalRefused, match="nobody is there") as caught:
            play(context, done)
        assert caught.value.exit_code == 5 and 'tool = "fetch"' in caught.value.next
        assert done == ["write x"] and decisions(context) == [("fetch", "stop", "nobody is there")]
        context.approvals = Approvals(rules({"tool": "fetch", "do": "allow"}))
        assert play(context, done).done
        assert done == ["write x", "fetch x"], "what was done is not done again"
        assert decisions(context)[1:] == [("fetch", "allow", "rule 1")]


def test_a_call_that_a_rule_refuses_is_not_carried_out_and_the_model_goes_on(tmp_path: Path) -> None:
    done: list[str] = []
    model = Scripted(calls("fetch", "write"), calls("finish", words="without"))
    with context_with(tmp_path, model) as context:
        context.approvals = Approvals(rules({"class": "external", "do": "refuse"}))
        assert play(context, done).note == "without"
        intents = [event.data["name"] for event in context.log.events if event.type == "tool.intent"]
    assert done == ["write"] and intents == ["write", "finish"]
    told = [message.content for message in model.requests[1].messages if message.role == "tool"]
    assert told[0].startswith("FAILED: refused: `fetch` was not carried out") and told[1] == "done: 1"


def test_once_is_for_one_call_and_always_for_the_tool_in_this_session_also_after_a_resume(tmp_path: Path) -> None:
    person, done = Typing("perhaps", "y", "always"), []  # type: ignore[var-annotated]
    model = Scripted(calls("fetch", words="a"), calls("fetch", words="b"), calls("fetch", words="c"), calls("finish"))
    with context_with(tmp_path, model) as context:
        context.person = person
        play(context, done)
        by = [by for tool, _, by in decisions(context)]
        assert done == ["fetch a", "fetch b", "fetch c"] and by == ["a person", "a person", "an earlier answer"]
        assert person.seen.getvalue().count("The model wants to call fetch") == 2
        assert "That is no answer" in person.seen.getvalue()
        again = Context(
            context.config, context.folder, context.log, Scripted(calls("fetch", words="d"), calls("finish")),
            context.budget, context.compute, context.approve,
        )  # fmt: skip
        work(again, "build f", "Do it.", toolbox(done), Ladder(again, {"id": "f"}))
    assert done[3:] == ["fetch d"], "nobody is there any more, and nobody needs to be"


def test_no_is_told_to_the_model_and_stop_ends_the_run(tmp_path: Path) -> None:
    done: list[str] = []
    with context_with(tmp_path, Scripted(calls("fetch"), calls("fetch"), calls("finish"))) as context:
        context.person = Typing("n", "s")
        with pytest.raises(ApprovalRefused, match="You stopped the run"):
            play(context, done)
        assert [one[1] for one in decisions(context)] == ["refuse", "stop"] and done == []
        context.person = Typing("y")
        assert play(context, done).done and done == ["fetch"], "it is asked again"


def test_a_person_who_goes_away_at_the_question_has_approved_nothing(tmp_path: Path) -> None:
    done: list[str] = []
    with context_with(tmp_path, Scripted(calls("fetch"), calls("finish"))) as context:
        context.person = Typing()
        with pytest.raises(ApprovalRefused, match="nobody is there"):
            play(context, done)
    assert done == []


class Killed(BaseException):
    pass


def test_killed_after_any_event_a_call_is_asked_about_once_and_never_carried_out_without(tmp_path: Path) -> None:
    replies = [calls("write", "fetch", words="x"), calls("fetch", words="y"), calls("finish")]
    for answers in (["y", "n"], ["n", "y"]):
        seq = 0
        while True:
            folder, done, person, asked = tmp_path / f"{answers[0]}{seq}", [], Typing(*answers), []  # type: ignore[var-annotated]

            def dies(event: Event, at: int = seq) -> None:
                if event.seq == at:
                    raise Killed

            model = Scripted(*replies)
            with context_with(folder, model) as context:
                context.person, context.listeners = person, [dies]
                try:
                    play(context, done)
                    break
                except Killed:
                    pass
                kept = [event.data for event in context.log.events if event.type == "model.replied"]
                again = Context(
                    context.config, context.folder, context.log, Scripted(*replies[len(kept) :]), context.budget,
                    context.compute, context.approve,
                )  # fmt: skip
                again.person = person
                assert play(again, done).done
                asked = [one for one in decisions(again) if one[2] == "a person"]
            assert [one[1] for one in asked] == ["allow" if one == "y" else "refuse" for one in answers], seq
            wanted = {f"fetch {words}" for words, answer in zip("xy", answers, strict=True) if answer == "y"}
            assert {one for one in done if one.startswith("fetch")} == wanted, seq
            seq += 1
        assert seq > 10


def test_a_call_that_cannot_be_carried_out_is_not_asked_about(tmp_path: Path) -> None:
    bad = Reply(tool_calls=(ToolCall(id="0", name="fetch", arguments='{"words": 7}'),
                            ToolCall(id="1", name="nonsense", arguments="{}")))  # fmt: skip
    with context_with(tmp_path, Scripted(bad, calls("finish"))) as context:
        assert play(context, []).done
        assert decisions(context) == []
        assert "not valid" in results(context)[0] and "there is no tool" in results(context)[1]


def test_an_approval_of_a_call_says_nothing_about_another_one_with_its_id(tmp_path: Path) -> None:
    """Models, and servers, give the same ids again."""
    done: list[str] = []
    with context_with(
        tmp_path, Scripted(calls("fetch", words="a"), calls("fetch", words="b"), calls("finish"))
    ) as context:
        context.person = Typing("y")
        with pytest.raises(ApprovalRefused):
            play(context, done)
    assert done == ["fetch a"]


class _Hostile(BaseModel):
    url: str = ""
    more: dict[str, Any] = {}


def test_what_a_person_is_shown_steers_no_terminal_and_leaves_no_line() -> None:
    url = (
        "https://a.example/\x1b[2J\x1b]0;owned\x07\x9b31m\u202eexe.fdp\nYou are asked because a rule says so.\r"
        + "x" * 5000
    )
    text = shown("fetch", "external", _Hostile(url=url, more={"k\n": "\u2028"}), "a\x1b[2J\nb", "no rule decides")
    assert not [
        one for one in text if (ord(one) < 32 and one != "\n") or 127 <= ord(one) < 160 or one in "\u202e\u2028"
    ]
    lines = text.splitlines()
    assert len(lines) == 6 and lines[0] == "The model wants to call fetch (external: it brings something from outside):"
    assert lines[4] == "You are asked because no rule decides."
    assert lines[3] == 'What it brings: "a\\u001b[2J\\nb"'
    assert lines[1].startswith('    "url": "https://a.example/') and "characters …" in lines[1] and len(lines[1]) < 400
    assert "[U+202E]" in lines[1]


def test_a_person_is_shown_what_the_tool_will_get_and_not_what_json_can_be_read_as(tmp_path: Path) -> None:
    twice = Reply(tool_calls=(ToolCall(id="0", name="fetch", arguments='{"words": "good", "words": "evil"}'),))
    person, done = Typing("y"), []  # type: ignore[var-annotated]
    with context_with(tmp_path, Scripted(twice, calls("finish"))) as context:
        context.person = person
        play(context, done)
    (carried_out,) = done
    assert f'"words": "{carried_out.split()[1]}"' in person.seen.getvalue()


def test_the_time_of_an_answer_does_not_count(tmp_path: Path) -> None:
    class Slow(Typing):
        def line(self, stop: threading.Event) -> str | None:
            stop.wait(1.5)
            return super().line(stop)

    with context_with(tmp_path, Scripted(calls("fetch"), calls("finish"))) as context:
        context.emit("session.created", settings={})
        context.person = Slow("y")
        play(context, [])
        assert context.state.seconds < 1.4
        assert json.loads(context.state.model_dump_json())["decided"] == {}


def test_the_time_that_a_person_takes_to_read_the_plan_is_not_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed))
    for module in (budget, pipeline):
        monkeypatch.setattr(module, "time", clock)

    def reads(plan: Plan) -> bool:
        passed.append(3600.0)
        return True

    with context_with(tmp_path, Scripted(calls("finish"))) as context:
        context.budget = Budget(BudgetLimits(seconds=1800.0))
        context.approve = reads
        pipeline.approve_phase(context, plan_of(experiment(criterion())))
        context.budget.check()
        assert context.log.events[-1].data["paused"] >= 3600
        passed.append(3600.0)
        with pytest.raises(BudgetExhausted):
            context.budget.check()
