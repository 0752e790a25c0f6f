"""Models that know no tool calls and servers that refuse them: the same work by text, decided once."""

import json

import pytest

from ml_intern.llm.protocol import Message, Request, ToolCall
from tests.llm.scripted import ASKED, HELLO, STRUCTURED, WRITE, talking
from tests.support.openai_server import Answer

BLOCK = '```json\n{"name": "write_file", "arguments": {"path": "a"}}\n```'


def test_tools_are_described_in_the_text_and_calls_are_read_from_it() -> None:
    named = WRITE.model_copy(update={"parameters": {**WRITE.parameters, "required": ["path"]}})
    with talking(Answer(text=BLOCK), tools=False) as talk:
        (call,) = talk.model.complete(ASKED.model_copy(update={"tools": (named,)})).tool_calls
    (request,) = talk.server.requests
    assert (call.name, json.loads(call.arguments)) == ("write_file", {"path": "a"})
    assert "tools" not in request
    (message,) = request["messages"]
    assert message["role"] == "user" and message["content"].endswith("Hello")
    assert "write_file: Writes a file." in message["content"] and '"path"' in message["content"]
    assert "```python train.py" in message["content"], "code in JSON is too much for small models"


def test_who_is_asked_for_one_file_is_not_told_of_another_way_to_write_it() -> None:
    """A real model of 1.5 billion parameters took that other way, and wrote the file's name in it."""
    with talking(Answer(text="```python\nprint(1)\n```"), tools=False) as talk:
        (call,) = talk.model.complete(ASKED).tool_calls
    assert json.loads(call.arguments)["content"] == "print(1)\n"
    assert [message["content"] for message in talk.server.requests[0]["messages"]] == ["Hello"]


def test_the_conversation_is_told_in_words() -> None:
    calls = (
        ToolCall(id="1", name="write_file", arguments='{"path": "a"}'),
        ToolCall(id="2", name="write_file", arguments='{"path": "b"}'),
    )
    messages = (
        *HELLO,
        Message(role="assistant", content="I write.", tool_calls=calls),
        Message(role="tool", content="a is written", tool_call_id="1"),
        Message(role="tool", content="b is written", tool_call_id="2"),
        Message(role="assistant", content=BLOCK, tool_calls=calls[:1]),
        Message(role="tool", content="a is written again", tool_call_id="1"),
    )
    with talking(Answer(text="Done."), tools=False) as talk:
        talk.model.complete(Request(messages=messages, tools=(WRITE,)))
    sent = talk.server.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert sent[1]["content"].count("```json") == 2 and '{"path": "b"}' in sent[1]["content"]
    assert sent[2]["content"].split("\n") == [
        "Result of write_file:", "a is written", "", "Result of write_file:", "b is written",
    ]  # fmt: skip
    assert sent[3]["content"] == BLOCK, "a block that is there already is not written again"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "registry.ollama.ai/library/stablelm2:latest does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (404, "No endpoints found that support tool use."),
        (500, "tools param requires --jinja flag"),
        (400, "Unrecognized request argument supplied: tools"),
    ],
)
def test_a_server_that_refuses_tools_is_asked_by_text_from_then_on(status: int, words: str) -> None:
    with talking(Answer(status=status, text=words), Answer(text=BLOCK)) as talk:
        names = [[call.name for call in talk.model.complete(ASKED).tool_calls] for _ in range(2)]
    assert names == [["write_file"], ["write_file"]]
    assert ["tools" in request for request in talk.server.requests] == [True, False, False]
    assert talk.slept == []


@pytest.mark.parametrize(
    "words", ["response_format of type json_schema is not supported", "Unknown field: json_schema"]
)
def test_a_server_that_refuses_schemas_is_told_the_schema_in_words(words: str) -> None:
    with talking(Answer(status=400, text=words), Answer(text='{"claims": []}')) as talk:
        assert talk.model.complete(STRUCTURED).content == '{"claims": []}'
    first, second = talk.server.requests
    assert "response_format" in first and "response_format" not in second
    assert '"claims"' in second["messages"][0]["content"]


def test_a_refusal_of_something_else_is_not_taken_for_one_of_tools() -> None:
    from ml_intern.errors import ModelError

    words = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
    with talking(Answer(status=400, text=words)) as talk, pytest.raises(ModelError):
        talk.model.complete(ASKED)
    assert len(talk.server.requests) == 1
