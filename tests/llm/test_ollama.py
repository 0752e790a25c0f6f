"""Ollama's own API, which has another shape and habits of its own."""

import json

from tests.llm.scripted import ASKED, CONVERSATION, PLAIN, STRUCTURED, talking
from tests.support.openai_server import Answer

MODEL = "ollama_chat/x"


def test_text_thoughts_calls_and_schemas_come_through() -> None:
    made = Answer(text="I write.", reasoning="Hm.", calls=[("write_file", '{"path": "a"}')])
    with talking(made, model=MODEL) as talk:
        reply = talk.model.complete(CONVERSATION)
    assert (reply.content, reply.reasoning, reply.finish) == ("I write.", "Hm.", "tool_calls")
    assert [json.loads(call.arguments) for call in reply.tool_calls] == [{"path": "a"}]
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cost_usd) == (100, 10, 0.0)
    assert talk.seen() == "I write."
    with talking(Answer(text='{"claims": []}'), model=MODEL) as talk:
        assert talk.model.complete(STRUCTURED).content == '{"claims": []}'


def test_it_is_told_how_long_a_prompt_may_be_since_it_would_cut_it_without_a_word() -> None:
    for settings, tokens in (({}, 32_000), ({"context_tokens": 9000}, 9000)):
        with talking(Answer(text="x"), model=MODEL, **settings) as talk:
            talk.model.complete(PLAIN)
        assert talk.server.requests[0]["options"]["num_ctx"] == tokens


def test_a_cut_stream_and_a_cut_reply_are_known_as_such() -> None:
    with talking(Answer(text="Hello wor", ends_after=1), Answer(text="Hello world"), model=MODEL) as talk:
        assert talk.model.complete(PLAIN).content == "Hello world"
    with talking(Answer(text="Hello", finish="length"), model=MODEL) as talk:
        assert talk.model.complete(PLAIN).finish == "length"


def test_a_model_that_knows_no_tools_is_asked_by_text() -> None:
    refusal = Answer(status=400, text="registry.ollama.ai/library/x does not support tools")
    with talking(refusal, Answer(text='```json\n{"name": "write_file", "arguments": {}}\n```'), model=MODEL) as talk:
        assert [call.name for call in talk.model.complete(ASKED).tool_calls] == ["write_file"]
    assert "tools" not in talk.server.requests[-1]
