"""Replies that are not as they should be: what is made of each."""

import json

import pytest

from ml_intern.errors import ModelError
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall
from tests.llm.scripted import ASKED, HELLO, PLAIN, STRUCTURED, WRITE, talking
from tests.support.openai_server import Answer

BLOCK = '```json\n{"name": "write_file", "arguments": {"path": "a"}}\n```'


def asked(answer: Answer, request: Request = ASKED, stream: bool = True) -> Reply:
    with talking(answer, stream=stream) as talk:
        return talk.model.complete(request)


def test_arguments_that_are_nearly_json_are_mended() -> None:
    (call,) = asked(Answer(calls=[("write_file", "{'path': 'a',}")])).tool_calls
    assert json.loads(call.arguments) == {"path": "a"}


def test_a_tool_that_is_not_there_is_left_to_the_toolbox_to_refuse() -> None:
    assert [call.name for call in asked(Answer(calls=[("remove_all", "{}")])).tool_calls] == ["remove_all"]


@pytest.mark.parametrize(
    "text", [f"So be it.\n{BLOCK}", '<tool_call>{"name": "write_file", "arguments": {}}</tool_call>']
)
def test_a_call_in_the_text_is_a_call(text: str) -> None:
    reply = asked(Answer(text=text))
    assert [call.name for call in reply.tool_calls] == ["write_file"]
    assert reply.finish == "tool_calls"


def test_every_call_of_a_conversation_has_an_id_of_its_own() -> None:
    earlier = ToolCall(id="text-1", name="write_file", arguments="{}")
    messages = (
        *HELLO,
        Message(role="assistant", tool_calls=(earlier,)),
        Message(role="tool", content="written", tool_call_id="text-1"),
    )
    reply = asked(Answer(text=f"{BLOCK}\n{BLOCK}"), Request(messages=messages, tools=(WRITE,)))
    assert [call.id for call in reply.tool_calls] == ["text-1-2", "text-2"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_was_cut_by_the_length_limit_is_never_carried_out_in_part(stream: bool) -> None:
    made = [("write_file", '{"path": "a"}'), ("write_file", '{"path": "b", "content": "x = 1\\ny')]
    reply = asked(Answer(calls=made, finish="length"), stream=stream)
    assert [call.arguments for call in reply.tool_calls] == ['{"path": "a"}']
    assert reply.finish == "length"
    assert "in the middle of the call of write_file" in reply.problem


def test_a_call_in_text_that_was_cut_is_not_carried_out_either() -> None:
    reply = asked(Answer(text=BLOCK + '\n```json\n{"name": "write_file", "arguments": {"path": "b', finish="length"))
    assert [json.loads(call.arguments) for call in reply.tool_calls] == [{"path": "a"}]
    assert "write_file" in reply.problem


def test_a_text_that_was_cut_says_so() -> None:
    reply = asked(Answer(text="And so it", finish="length"), PLAIN)
    assert (reply.content, reply.finish) == ("And so it", "length")
    assert reply.problem.startswith("The reply was cut")


@pytest.mark.parametrize("text", ["", "I"])
def test_a_refusal_that_comes_as_a_reply_is_asked_for_once_more_and_is_one_then(text: str) -> None:
    refusal = Answer(text=text, finish="content_filter", usage=(10, 3))
    with talking(refusal, Answer(text="Yes.")) as talk:
        assert talk.model.complete(PLAIN).content == "Yes."
    with talking(refusal) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (caught.value.kind, caught.value.input_tokens, len(talk.server.requests)) == ("refusal", 10, 2)
    assert [lost.usage.input_tokens for lost in talk.lost] == [10]


def test_a_fault_before_it_does_not_make_one_refusal_two() -> None:
    with talking(Answer(status=503), Answer(finish="content_filter"), Answer(text="Yes.")) as talk:
        assert talk.model.complete(PLAIN).content == "Yes."


def test_another_model_answers_in_the_place_of_one_that_refuses() -> None:
    with talking(Answer(finish="content_filter")) as first, talking(Answer(text="Here.")) as second:
        assert Fallback([first.model, second.model]).complete(PLAIN).content == "Here."


def test_an_empty_reply_is_asked_for_once_more_and_paid_for_twice() -> None:
    with talking(Answer(usage=(10, 0)), Answer(text="Yes.", usage=(10, 2))) as talk:
        reply = talk.model.complete(PLAIN)
    assert (reply.content, reply.usage.input_tokens, reply.usage.output_tokens) == ("Yes.", 10, 2)
    assert [(lost.why, lost.usage.input_tokens) for lost in talk.lost] == [("empty reply", 10)]


def test_what_an_empty_reply_cost_is_known_though_the_next_try_fails() -> None:
    priced = {"input_usd_per_million": 10.0, "output_usd_per_million": 10.0}
    with talking(Answer(usage=(100_000, 0)), Answer(status=401), **priced) as talk, pytest.raises(ModelError):
        talk.model.complete(PLAIN)
    assert [lost.usage.cost_usd for lost in talk.lost] == [1.0]


def test_a_reply_that_stays_empty_is_given_on_with_what_is_wrong_with_it() -> None:
    with talking(Answer()) as talk:
        reply = talk.model.complete(PLAIN)
    assert (reply.content, reply.problem) == ("", "The reply was empty.")
    assert len(talk.server.requests) == 2


def test_thoughts_alone_are_no_answer() -> None:
    reply = asked(Answer(reasoning="Hm."), PLAIN)
    assert (reply.content, reply.reasoning) == ("", "Hm.")
    assert "thoughts and nothing else" in reply.problem


def test_think_tags_in_the_text_are_reasoning() -> None:
    with talking(Answer(text="<think>Shall I?\nI shall.</think>\n\nYes.")) as talk:
        reply = talk.model.complete(PLAIN)
    assert (reply.reasoning, reply.content) == ("Shall I?\nI shall.", "Yes.")
    assert talk.seen("reasoning") == "Shall I?\nI shall." and talk.seen().strip() == "Yes."


def test_a_call_that_is_only_thought_of_is_no_call() -> None:
    assert asked(Answer(text=f"<think>\n{BLOCK}\n</think>\nNo, I shall not.")).tool_calls == ()


def test_an_answer_that_a_server_took_for_a_thought_is_an_answer() -> None:
    assert asked(Answer(reasoning='{"claims": []}'), STRUCTURED).content == '{"claims": []}'


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "anthropic/claude-3-haiku-20240307"])
def test_claude_answers_under_a_schema_with_its_own_means(model: str) -> None:
    by_tool = "haiku" in model  # litellm asks older ones for a tool call in its place
    answer = Answer(calls=[("json_tool_call", '{"claims": []}')]) if by_tool else Answer(text='{"claims": []}')
    with talking(answer, model=model) as talk:
        reply = talk.model.complete(STRUCTURED)
    assert (json.loads(reply.content), reply.tool_calls) == ({"claims": []}, ())


@pytest.mark.parametrize("tools", [True, False])
def test_a_result_without_a_word_answers_its_call_all_the_same(tools: bool) -> None:
    call = ToolCall(id="1", name="write_file", arguments="{}")
    messages = (*HELLO, Message(role="assistant", tool_calls=(call,)), Message(role="tool", tool_call_id="1"))
    with talking(Answer(text="Yes."), tools=tools) as talk:
        talk.model.complete(Request(messages=messages, tools=(WRITE,)))
    last = talk.server.requests[0]["messages"][-1]
    assert last["role"] == ("tool" if tools else "user") and "(empty)" in last["content"]


def test_an_empty_turn_of_the_model_is_not_sent_back() -> None:
    messages = (*HELLO, Message(role="assistant"), Message(role="user", content="Go on."))
    with talking(Answer(text="Yes.")) as talk:
        talk.model.complete(Request(messages=messages))
    assert [message["role"] for message in talk.server.requests[0]["messages"]] == ["user", "user"]
