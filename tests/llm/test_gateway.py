"""The gateway through the real litellm and openai clients, against a scripted server on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.protocol import Message, Request, ToolCall, ToolSpec
from tests.support.openai_server import Answer, OpenAIServer, in_turn, serving

TOOL = ToolSpec(name="write_file", description="Write.", parameters={"type": "object", "properties": {}})
ASKED = Request(messages=(Message(role="user", content="Hello"),), tools=(TOOL,))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@contextmanager
def model_and_server(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> Iterator[tuple[LitellmModel, OpenAIServer]]:
    with serving(in_turn(*answers)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base)
        monkeypatch.setenv("OPENAI_API_BASE", server.base)
        yield LitellmModel("openai/scripted", sleep=lambda _: None), server


def test_text_calls_and_usage_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(text="I write.", calls=[("write_file", '{"path": "a"}'), ("write_file", "{}")], usage=(120, 7))
    with model_and_server(monkeypatch, answer) as (model, server):
        reply = model.complete(ASKED)
    assert reply.content == "I write."
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("write_file", '{"path": "a"}'),
        ("write_file", "{}"),
    ]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (120, 7)
    (request,) = server.requests
    assert request["tools"][0]["function"]["name"] == "write_file"
    assert server.keys == ["Bearer sk-test"]


def test_a_price_that_nobody_knows_is_unknown_and_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_and_server(monkeypatch, Answer(text="x")) as (model, _):
        assert model.complete(ASKED).usage.cost_usd is None


def test_results_go_back_beside_the_call_they_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ToolCall(id="call_0", name="write_file", arguments="{}")
    messages = (
        Message(role="user", content="Hello"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="written", tool_call_id="call_0"),
    )
    with model_and_server(monkeypatch, Answer(text="done")) as (model, server):
        model.complete(Request(messages=messages, tools=(TOOL,)))
    sent = server.requests[0]["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_0"


def test_a_schema_is_asked_for_where_an_answer_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "object", "properties": {"claims": {"type": "array"}}}
    request = Request(messages=ASKED.messages, answer_name="claims", answer_schema=schema)
    with model_and_server(monkeypatch, Answer(text='{"claims": []}')) as (model, server):
        assert json.loads(model.complete(request).content) == {"claims": []}
    assert server.requests[0]["response_format"]["json_schema"]["name"] == "claims"


def test_a_call_that_a_model_writes_as_text_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '```json\n{"name": "write_file", "arguments": {"path": "a"}}\n```'
    with model_and_server(monkeypatch, Answer(text=text)) as (model, _):
        (call,) = model.complete(ASKED).tool_calls
    assert call.name == "write_file"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    fault = Answer(status=status, text="busy", headers={"Retry-After": "0"})
    with model_and_server(monkeypatch, fault, Answer(text="at last")) as (model, server):
        assert model.complete(ASKED).content == "at last"
    assert len(server.requests) == 2


def test_a_cut_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_and_server(monkeypatch, Answer(text="lost", cut=20), Answer(text="whole")) as (model, _):
        assert model.complete(ASKED).content == "whole"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401, text="Incorrect API key", code="invalid_api_key"), "OPENAI_API_KEY"),
        (Answer(status=404, text="The model does not exist"), "scripted"),
        (Answer(status=400, text="max_tokens is too large"), "max_tokens is too large"),
    ],
)
def test_what_trying_again_cannot_mend_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str
) -> None:
    with model_and_server(monkeypatch, answer) as (model, server), pytest.raises(ModelError) as caught:
        model.complete(ASKED)
    assert words in str(caught.value)
    assert len(server.requests) == 1
    assert "sk-test" not in str(caught.value)


def test_a_prompt_that_is_too_long_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(
        status=400,
        text="This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        code="context_length_exceeded",
    )
    with model_and_server(monkeypatch, answer) as (model, _), pytest.raises(ContextOverflow):
        model.complete(ASKED)


def test_a_known_price_gives_a_ceiling_before_the_call_and_a_local_model_is_free() -> None:
    known = LitellmModel("gpt-4o-mini").ceiling(ASKED)
    longer = Request(messages=(Message(role="user", content="x" * 100_000),))
    assert known is not None and 0 < known < (LitellmModel("gpt-4o-mini").ceiling(longer) or 0)
    assert LitellmModel("ollama_chat/llama3").ceiling(ASKED) == 0
    assert LitellmModel("openai/scripted").ceiling(ASKED) is None


def test_a_cut_connection_is_unclear_and_a_refusal_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, unclear in ((Answer(text="lost", cut=20), True), (Answer(status=401, text="no"), False)):
        with model_and_server(monkeypatch, answer) as (model, _), pytest.raises(ModelError) as caught:
            model.complete(ASKED)
        assert caught.value.unclear is unclear
