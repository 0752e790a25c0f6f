"""A session leaves as chat messages for viewers, as one document for programs: whole, in order, fit to be parsed."""

import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from ml_intern.session.events import Event
from ml_intern.session.export.messages import NOT_CARRIED_OUT, UNKNOWN, Said, messages
from ml_intern.session.export.session import Session, facts
from ml_intern.session.export.write import Format, write_export
from ml_intern.session.log import EventLog, read_log
from ml_intern.session.state import fold
from tests.session.stories import HUGE, SCRIPT, TRACEBACK, TURNED, Story, troubled

VERSION_1 = Path(__file__).with_name("data") / "version-1.jsonl"


def exported(events: list[Event], format: Format, **about: Any) -> str:
    out = io.BytesIO()
    session = Session("20261125-031500-beef", tuple(events), fold(events), "/home/x/sessions/1", **about)
    write_export(session, format, out)
    return out.getvalue().decode()


def lines(events: list[Event], format: Format) -> list[dict[str, Any]]:
    text = exported(events, format)
    assert text.isascii() and text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def old_log(path: Path) -> list[Event]:
    """What version 1 of the log holds of a session: no prompts, no purpose at a tool."""
    usage = {"input_tokens": 1, "output_tokens": 2, "cost_usd": None, "seconds": 0.1}
    with EventLog(path) as log:
        log.append("session.created", settings={"model": "recipes"})
        log.append("phase.started", phase="plan")
        for part in (1, 2):
            log.append("model.asked", purpose="claims", model="recipes", messages=1, chars=100 * part, held=0)
            log.append("model.replied", purpose="claims", content=f"answer {part}", tool_calls=[], **usage)
        log.append("phase.started", phase="build", experiment="one")
        for turn in (1, 2):
            call = {"id": "call-1", "name": "write_file", "arguments": "{}"}
            log.append("model.asked", purpose="build one", model="recipes", messages=2 * turn - 1, chars=7, held=0)
            log.append("model.replied", purpose="build one", content="", tool_calls=[call], **usage)
            log.append("tool.intent", **call, kind="acts")
            if turn == 1:
                log.append("tool.result", id="call-1", name="write_file", result="written", failed=False)
    return list(read_log(path))


def of(purpose: str, said: list[Said]) -> list[Said]:
    return [one for one in said if one.purpose == purpose]


def test_a_conversation_is_told_in_order_with_every_prompt_notice_call_and_result() -> None:
    told = [
        (one.role, one.notice or one.outcome or one.tool or one.content[:20])
        for one in of("build snake", messages(troubled()))
    ]
    assert told == [
        ("user", "Write data.py, train"),
        ("assistant", "The paper trains a s"),
        ("tool", "write_file"),
        ("assistant", ""),
        ("tool", "failed"),
        ("user", "You go in circles: t"),
        ("assistant", TURNED[:20]),
        ("tool", "run_python"),
        ("tool", "failed"),
        ("system", "shortened"),
        ("user", "summary"),
        ("system", "model failed"),
        ("assistant", ""),
        ("tool", "unknown"),
        ("tool", "not carried out"),
        ("assistant", "All three scripts wo"),
        ("tool", "finish"),
    ]


def test_the_messages_of_all_conversations_stand_in_the_order_of_the_log() -> None:
    said = messages(troubled())
    assert [one.seq for one in said] == sorted(one.seq for one in said)
    assert list(dict.fromkeys(one.purpose for one in said)) == ["claims", "build snake", "summary", "discussion"]
    assert [one.conversation for one in of("claims", said)] == [1, 1, 1, 1]
    assert [one.role for one in of("claims", said)] == ["user", "assistant", "user", "assistant"]


def test_each_one_off_question_is_a_conversation_of_its_own_and_nothing_is_said_twice() -> None:
    story = Story()
    prompt = {"role": "user", "content": "Find claims."}
    story.asks("claims", [prompt])
    story.replies("claims", "bad")
    again = [prompt, {"role": "assistant", "content": "bad"}, {"role": "user", "content": "Mend it."}]
    story.asks("claims", again, messages=3)
    story.replies("claims", "good")
    story.asks("claims", [prompt])
    story.says("model.failed", purpose="claims", error="busy", unclear=False)
    story.asks("claims", [prompt])
    said = messages(story.events)
    busy = "The model did not answer: busy"
    assert [one.content for one in said] == ["Find claims.", "bad", "Mend it.", "good", "Find claims.", busy]
    assert [one.conversation for one in said] == [1, 1, 1, 1, 2, 2]


def test_a_call_without_a_result_is_answered_once_as_unknown_and_one_never_begun_as_not_carried_out() -> None:
    said = messages(troubled())
    (lost,) = [one for one in said if one.outcome == "unknown"]
    (idle,) = [one for one in said if one.outcome == "not carried out"]
    assert (lost.tool, lost.content) == ("bash", UNKNOWN)
    assert (idle.tool, idle.content) == ("finish", NOT_CARRIED_OUT)
    calls = [call.id for one in said for call in one.calls]
    answers = [one.call_id for one in said if one.role == "tool"]
    assert sorted(calls) == sorted(answers) and len(set(calls)) == len(calls)


def test_a_call_that_a_resumed_session_answers_or_begins_again_has_one_result() -> None:
    story = Story()
    story.says("conversation.started", purpose="build", prompt="Go.")
    story.asks("build")
    ids = story.replies("build", "", ("bash", {}), ("read_file", {}))
    story.begins("build", ids[0], "bash", {})
    story.says("session.resumed", settings={})
    story.ends("build", ids[0], "bash", "OUTCOME UNKNOWN: the program was stopped")
    story.begins("build", ids[1], "read_file", {})
    story.says("session.resumed", settings={})
    story.begins("build", ids[1], "read_file", {})
    story.ends("build", ids[1], "read_file", "text")
    answers = [(one.call_id, one.outcome, one.content) for one in messages(story.events) if one.role == "tool"]
    assert answers == [(ids[0], "unknown", "OUTCOME UNKNOWN: the program was stopped"), (ids[1], "", "text")]
    assert "Cut off by a crash; begun again below." in exported(story.events, "html")


def test_two_calls_of_one_reply_with_the_same_id_keep_their_own_results() -> None:
    story = Story()
    calls = [{"id": "x", "name": name, "arguments": "{}"} for name in ("first", "second")]
    story.says("conversation.started", purpose="build", prompt="Go.")
    story.asks("build")
    story.replies("build", tool_calls=calls)
    for name in ("first", "second"):
        story.begins("build", "x", name, {})
        story.ends("build", "x", name, f"result of {name}")
    said = messages(story.events)
    names = {call.id: call.name for one in said for call in one.calls}
    assert [f"result of {names[one.call_id]}" for one in said if one.role == "tool"] == [
        one.content for one in said if one.role == "tool"
    ]
    assert len(names) == 2


def test_an_old_log_is_told_with_notices_where_its_prompts_were(tmp_path: Path) -> None:
    events = old_log(tmp_path / "events.jsonl")
    said = messages(events)
    told = [(one.purpose, one.conversation, one.role, one.notice or one.outcome) for one in said]
    assert told == [
        ("claims", 1, "user", "prompt unknown"),
        ("claims", 1, "assistant", ""),
        ("claims", 2, "user", "prompt unknown"),
        ("claims", 2, "assistant", ""),
        ("build one", 3, "user", "prompt unknown"),
        ("build one", 3, "assistant", ""),
        ("build one", 3, "tool", ""),
        ("build one", 3, "assistant", ""),
        ("build one", 3, "tool", "unknown"),
    ]
    assert "1 message, 200 characters" in said[2].content
    assert len({call.id for one in said for call in one.calls}) == 2
    for format in ("trace", "claude-code", "json", "html"):
        assert exported(events, format)
        assert exported(list(read_log(VERSION_1)), format)


def test_a_trace_is_a_header_and_a_line_for_each_message_as_the_hub_reads_them() -> None:
    header, *rest = lines(troubled(), "trace")
    assert (header["type"], header["harness"], header["id"]) == ("session", "ml-intern", "20261125-031500-beef")
    assert header["name"].startswith("Snakes") and header["status"] == "failed"
    said = [line["message"] for line in rest if line["type"] == "message"]
    assert len(said) == len(rest) == len(messages(troubled()))
    allowed = {"role", "content", "reasoningContent", "toolCalls", "toolCallId", "timestamp", "model"}
    assert all({"role", "content", "timestamp"} <= set(one) <= allowed for one in said)
    assert all(isinstance(one["timestamp"], int) and one["timestamp"] > 1_795_000_000_000 for one in said)
    (thought,) = [one for one in said if "reasoningContent" in one]
    assert thought["model"] == "lab/large" and thought["content"] == TURNED
    first, second = thought["toolCalls"]
    assert first["function"]["name"] == "run_python" and json.loads(first["function"]["arguments"])["code"]
    assert second["function"]["arguments"] == "{not json"
    answer = next(one for one in said if one.get("toolCallId") == first["id"])
    assert answer["role"] == "tool" and HUGE in answer["content"]


def test_claude_code_lines_are_one_chain_of_its_own_blocks() -> None:
    summary, *rest = lines(troubled(), "claude-code")
    assert summary == {"type": "summary", "summary": summary["summary"], "leafUuid": rest[-1]["uuid"]}
    assert [line["parentUuid"] for line in rest] == [None, *[line["uuid"] for line in rest[:-1]]]
    assert len({uuid.UUID(line["uuid"]) for line in rest}) == len(rest)
    (session,) = {line["sessionId"] for line in rest}
    uuid.UUID(session)
    for line in rest:
        assert line["timestamp"].endswith("Z") and line["cwd"] == "/home/x/sessions/1" and line["version"]
        assert line["type"] == "system" or line["message"]["role"] == line["type"]
    blocks = [block for line in rest if line["type"] != "system" for block in line["message"]["content"]]
    blocks = [block for block in blocks if isinstance(block, dict)]
    assert {block["type"] for block in blocks} == {"text", "thinking", "tool_use", "tool_result"}
    uses = {block["id"]: block for block in blocks if block["type"] == "tool_use"}
    results = {block["tool_use_id"]: block for block in blocks if block["type"] == "tool_result"}
    assert set(uses) == set(results) and all(isinstance(use["input"], dict) for use in uses.values())
    assert [use["input"] for use in uses.values() if use["name"] == "read_file"] == [{"arguments": "{not json"}]
    bad = {uses[id]["name"] for id, result in results.items() if result["is_error"]}
    assert bad == {"smoke_run", "read_file", "bash", "finish"}
    assert exported(troubled(), "claude-code") == exported(troubled(), "claude-code")


def test_the_document_holds_facts_state_and_every_event() -> None:
    events = troubled()
    found = json.loads(exported(events, "json"))
    assert [event["type"] for event in found["events"]] == [event.type for event in events]
    assert [event["data"] for event in found["events"]] == [event.data for event in events]
    assert found["state"]["status"] == found["session"]["status"] == "failed"
    about = found["session"]
    assert (about["calls"], about["tools"], about["tools_failed"], about["tools_unknown"]) == (10, 6, 2, 1)
    assert (about["runs"], about["runs_failed"], about["resumed"]) == (4, 1, 1)
    assert about["cost_unknown"] is True and about["models"] == ["lab/large"]
    assert 60 < about["seconds"] < 120  # the night between the crash and the resume is not work


def test_half_characters_and_numbers_that_are_not_finite_do_not_break_any_format() -> None:
    story = Story()
    story.says("session.created", settings={"model": "lab/large", "\ud800": float("inf")})
    story.says("conversation.started", purpose="build", prompt="half \ud83d and whole \ud83d\ude00")
    story.says("evidence.recorded", run="r", experiment="e", variant="v", seed=1, metrics={"m": float("nan")})
    for format in ("trace", "claude-code", "json", "html"):
        assert "\ufffd" in (text := exported(story.events, format)) or "\\ufffd" in text
    content = lines(story.events, "trace")[1]["message"]["content"]
    assert content == "half \ufffd and whole \U0001f600"
    assert json.loads(exported(story.events, "json"))["events"][2]["data"]["metrics"] == {"m": None}


def test_fields_that_are_missing_or_of_another_kind_are_borne() -> None:
    story = Story()
    for type in ("model.asked", "tool.intent", "tool.result", "model.replied", "conversation.started"):
        story.says(type)
    for type in ("conversation.told", "conversation.shortened", "run.started", "run.finished", "session.forked"):
        story.says(
            type, messages="no", metrics=3, seconds="x", id=7, tool_calls=[1], cost_usd="free", arguments={"a": 1}
        )
    for format in ("trace", "claude-code", "json", "html"):
        session = Session("x", tuple(story.events), fold(()))
        write_export(session, format, io.BytesIO())


@pytest.mark.parametrize("format", ["trace", "claude-code", "json", "html"])
def test_a_session_without_events_is_exported(format: Format) -> None:
    assert "20261125-031500-beef" in exported([], format) or format == "claude-code"


def test_a_status_that_is_known_from_elsewhere_overrules_the_log() -> None:
    for format in ("trace", "json", "html"):
        assert "stopped" in exported(troubled(), format, status="stopped")


def test_facts_of_a_session_that_only_began() -> None:
    found = facts(Session("x", (), fold(())), [])
    assert (found.calls, found.seconds, found.models) == (0, 0, ())


def test_no_hostile_text_is_lost_on_its_way_to_a_viewer() -> None:
    text = [line["message"]["content"] for line in lines(troubled(), "trace")[1:]]
    for wanted in (SCRIPT, TURNED, TRACEBACK, HUGE):
        assert any(wanted in one for one in text)


def test_approvals_questions_and_what_runs_used_are_told_in_words_and_a_refused_call_has_its_own_result() -> None:
    story = Story()
    about = {"purpose": "build", "id": "c1", "tool": "fetch", "kind": "external", "call": "d"}
    asked = {"id": "Q1", "purpose": "build", "question": "Which\x1b[31m layers?", "meanwhile": "three", "digest": "d"}
    story.says("conversation.started", purpose="build", prompt="Go.")
    story.replies("build", tool_calls=[{"id": "x", "name": "fetch", "arguments": "{}"}])
    story.says("approval", **about, decision="allow", scope="tool", by="a person", paused=2.0)
    story.begins("build", "x", "fetch", {})
    story.ends("build", "x", "fetch", "it is here")
    story.replies("build", tool_calls=[{"id": "x", "name": "fetch", "arguments": "{}"}])
    story.says("approval", **about, decision="refuse", by="rule 2")
    story.ends("build", "x", "fetch", "FAILED: refused")
    story.says("approval", **about, decision="stop", by="nobody is there")
    story.says("question", **asked, changes="nothing", outcome="deferred")
    story.says("question", **asked, changes="seeds", outcome="refused")
    story.says("allowance.held", run="r1", key="k", gpu_seconds=120.0, micro=0)
    story.says("allowance.settled", run="r1", key="k", gpu_seconds=90.0, micro=250_000)
    page = exported(story.events, "html")
    for words in (
        "fetch (external): allowed for the rest of the session; decided by: a person",
        "fetch (external): refused; decided by: rule 2",
        "fetch (external): neither allowed nor refused: the run was stopped; decided by: nobody is there",
        "Q1: Which layers? (nobody answered; decided: three)",
        "it would change the plan (seeds), which stayed as it was",
        "r1: at most 2.0 GPU minutes are held for it",
        "r1: 1.5 GPU minutes and $0.25 were used",
    ):
        assert words in page, words
    said = messages(story.events)
    results = {one.call_id: one.content for one in said if one.role == "tool"}
    assert [results[call.id] for one in said for call in one.calls] == ["it is here", "FAILED: refused"]
