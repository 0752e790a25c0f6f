"""Replies of a model, or a server, that means harm: each is bounded, readable, and can be sent back."""

import json
import time
from pathlib import Path

import pytest

from ml_intern.llm import stream
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall
from ml_intern.llm.stream import LONGEST
from ml_intern.tools.files import file_tools
from ml_intern.tools.registry import Toolbox
from tests.llm.scripted import ASKED, HELLO, STRUCTURED, WRITE, talking
from tests.support.openai_server import Answer

DEEP = "[" * 10_000 + "]" * 10_000


def sent_back(reply: Reply) -> Request:
    results = [Message(role="tool", content="FAILED", tool_call_id=call.id) for call in reply.tool_calls]
    spoken = Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls)
    return Request(messages=(*HELLO, spoken, *results, Message(role="user", content="Go on.")), tools=(WRITE,))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(calls=[("write_file", f'{{"path": {DEEP}}}')]),
        Answer(text=f'```json\n{{"name": "write_file", "arguments": {DEEP}}}\n```'),
        Answer(text=f'<tool_call>{{"name": "write_file", "arguments": {DEEP[:10_000]}</tool_call>'),
        Answer(text=DEEP),
        Answer(calls=[("write_file", DEEP)], finish="length"),
        Answer(calls=[("write\n\x1b[31m_file\x00" * 50, "{}")]),
        Answer(text="half a character: \ud800", calls=[("write_file\udfff", '{"path": "\ud83d"}')]),
        Answer(text="\x00\x1b]0;evil\x07\u202e", reasoning="\ud800"),
        Answer(calls=[("write_file", "{'path': " + "(" * 300_000)]),
        Answer(text="[TOOL_CALLS] [" * 100_000),
        Answer(text="```json\n{" * 100_000),
        Answer(text="<tool_call>{" * 50_000),
    ],
    ids=[
        "deep arguments", "deep fenced JSON", "deep XML", "deep text", "deep and cut", "a name of controls",
        "surrogates", "escapes", "what cannot be mended", "marks of Mistral", "fences", "tags",
    ],
)  # fmt: skip
def test_it_is_read_in_no_time_and_can_be_sent_back(answer: Answer) -> None:
    with talking(answer, Answer(text="Yes."), stream=False) as talk:
        began = time.process_time()
        reply = talk.model.complete(ASKED)
        assert time.process_time() - began < 8
        assert talk.model.complete(sent_back(reply)).content == "Yes."
    text = reply.model_dump_json()
    assert "\\ud8" not in text
    for call in reply.tool_calls:
        json.loads(json.dumps(call.model_dump()))
        assert len(call.name) <= 64 and call.name.isprintable()


def test_a_structured_answer_that_is_too_deep_is_no_answer() -> None:
    with talking(Answer(text='{"claims": ' + DEEP + "}"), stream=False) as talk:
        assert talk.model.complete(STRUCTURED).content.startswith('{"claims"')


def test_of_five_hundred_calls_in_one_reply_fifty_are_carried_out_and_the_model_is_told() -> None:
    made = [("write_file", json.dumps({"path": f"{n}.txt", "content": "x"})) for n in range(500)]
    with talking(Answer(calls=made), stream=False) as talk:
        reply = talk.model.complete(ASKED)
    assert len(reply.tool_calls) == 50 and "held 500 calls; the first 50" in reply.problem


@pytest.mark.parametrize(
    "answer", [Answer(text="x" * 50_000_000), Answer(calls=[("write_file", json.dumps({"path": "x" * 10_000_000}))])]
)
def test_of_a_reply_of_fifty_megabytes_two_are_kept_and_no_call_of_it_is_carried_out(answer: Answer) -> None:
    with talking(answer, stream=False) as talk:
        reply = talk.model.complete(ASKED)
    assert len(reply.content) <= LONGEST and reply.tool_calls == ()
    assert reply.finish == "length" and "cut by the limit" in reply.problem


def test_a_stream_without_end_is_left_and_may_have_cost_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST", 400)
    monkeypatch.setattr("ml_intern.llm.gateway.LONGEST", 400)
    with talking(Answer(text="On and on. " * 10_000)) as talk:
        reply = talk.model.complete(ASKED)
    assert 400 < len(reply.content) < 500 and reply.finish == "length"
    assert [(lost.why, lost.unclear) for lost in talk.lost] == [("endless reply", True)]
    assert len(talk.server.requests) == 1


def test_a_model_that_says_the_same_without_end_is_cut_and_told() -> None:
    with talking(Answer(text="zebra" * 5_000), Answer(text="Yes.")) as talk:
        reply = talk.model.complete(ASKED)
    assert len(reply.content) < 5_000 and reply.problem == "The reply said the same again and again, and was cut there."
    assert len(talk.server.requests) == 1 and [lost.unclear for lost in talk.lost] == [True]


def test_calls_that_no_file_could_come_of_are_refused_in_words(tmp_path: Path) -> None:
    toolbox = Toolbox(file_tools(tmp_path))
    with talking(Answer(calls=[("write_file", f'{{"path": {DEEP}}}')])) as talk:
        (deep,) = talk.model.complete(ASKED).tool_calls
    null, half = r'{"path": "a\u0000b", "content": ""}', r'{"path": "a", "content": "\ud800"}'
    for arguments in (deep.arguments, DEEP, null, half):
        assert toolbox.carry_out(ToolCall(id="1", name="write_file", arguments=arguments)).startswith("FAILED")
    assert not list(tmp_path.iterdir())
