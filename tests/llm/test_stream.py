"""Replies in pieces: put together rightly, told while they come, and repeated whole where the stream was cut."""

import threading

import pytest

from ml_intern.errors import ModelError
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.protocol import Delta
from ml_intern.settings import ModelSettings
from tests.llm.scripted import ASKED, PLAIN, talking
from tests.support.openai_server import Answer, in_turn, serving


def test_a_stream_is_asked_for_with_its_usage_and_told_piece_by_piece() -> None:
    with talking(Answer(text="Hello to you.", usage=(120, 7), cached=80)) as talk:
        reply = talk.model.complete(PLAIN)
    assert (talk.server.requests[0]["stream"], talk.server.requests[0]["stream_options"]) == (
        True,
        {"include_usage": True},
    )
    assert (reply.content, reply.finish, reply.problem) == ("Hello to you.", "stop", "")
    assert talk.seen() == "Hello to you." and len(talk.heard) == 3
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens) == (120, 7, 80)
    assert reply.model == "openai/scripted"


def test_several_calls_are_put_together_from_their_pieces() -> None:
    made = [("write_file", '{"path": "a", "content": "x = 1"}'), ("write_file", "{}")]
    with talking(Answer(text="I write.", calls=made)) as talk:
        reply = talk.model.complete(ASKED)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == made
    assert (reply.content, reply.finish) == ("I write.", "tool_calls")
    assert [delta.text for delta in talk.heard if delta.kind == "call"] == ["write_file ", "write_file "]


def test_calls_of_a_server_that_gives_all_the_same_index_are_told_apart() -> None:
    made = [("write_file", '{"path": "a"}'), ("write_file", '{"path": "b"}')]
    with talking(Answer(calls=made, indexed=False)) as talk:
        reply = talk.model.complete(ASKED)
    assert [call.arguments for call in reply.tool_calls] == ['{"path": "a"}', '{"path": "b"}']


def test_reasoning_is_kept_apart() -> None:
    with talking(Answer(reasoning="Hm, let me see.", text="Yes.")) as talk:
        reply = talk.model.complete(PLAIN)
    assert (reply.reasoning, reply.content) == ("Hm, let me see.", "Yes.")
    assert (talk.seen("reasoning"), talk.seen()) == ("Hm, let me see.", "Yes.")


@pytest.mark.parametrize(
    "broken",
    [
        Answer(text="Hello wor", cut=500),
        Answer(text="Hello wor", ends_after=2),
        Answer(text="Hello wor", breaks_after=2),
        Answer(text="Hello wor", ends_after=0),
        Answer(calls=[("write_file", '{"path": "a"}')], ends_after=2),
    ],
    ids=["the connection breaks", "the stream just ends", "an error inside", "nothing came", "a call in the middle"],
)
def test_a_cut_stream_is_repeated_and_nothing_is_doubled(broken: Answer) -> None:
    with talking(broken, Answer(text="Hello world")) as talk:
        reply = talk.model.complete(ASKED)
    assert (reply.content, reply.tool_calls) == ("Hello world", ())
    assert talk.seen() in ("Hello world", "")
    if talk.seen():
        assert talk.heard.count(Delta(kind="again")) == 1
    assert len(talk.server.requests) == 2


@pytest.mark.parametrize("chunks", [1, 2, 3, 4])
def test_a_stream_of_claude_that_is_cut_is_repeated(chunks: int) -> None:
    claude = "anthropic/claude-sonnet-4-5"
    with talking(Answer(text="Hello wor", ends_after=chunks), Answer(text="Hello world"), model=claude) as talk:
        assert talk.model.complete(PLAIN).content == "Hello world"
    assert len(talk.server.requests) == 2


def test_a_stream_that_is_cut_every_time_is_an_error_that_may_have_cost_something() -> None:
    with talking(Answer(text="Hello", ends_after=2)) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (caught.value.kind, caught.value.unclear) == ("connection", True)
    assert len(talk.server.requests) == 5
    assert [pause for pause in talk.slept if pause > 16] == []


def test_a_server_that_says_nothing_about_its_end_but_its_usage_is_believed() -> None:
    with talking(Answer(text="Hello", finish="none")) as talk:
        assert talk.model.complete(PLAIN).content == "Hello"
    assert len(talk.server.requests) == 1


def test_a_server_that_takes_no_notice_of_stream_is_asked_without_from_then_on() -> None:
    with talking(Answer(text="Hello", streams=False)) as talk:
        assert [talk.model.complete(PLAIN).content for _ in range(2)] == ["Hello", "Hello"]
    assert [request.get("stream", False) for request in talk.server.requests] == [True, False, False]


def test_a_server_that_knows_no_stream_options_is_asked_without_them() -> None:
    refusal = Answer(status=400, text="Unrecognized request argument supplied: stream_options")
    with talking(refusal, Answer(text="Hello", usage=None)) as talk:
        reply = talk.model.complete(PLAIN)
        talk.model.complete(PLAIN)
    assert reply.content == "Hello"
    assert ["stream_options" in request for request in talk.server.requests] == [True, False, False]


def test_a_model_that_is_configured_not_to_stream_does_not() -> None:
    made = [("write_file", '{"path": "a"}')]
    with talking(Answer(text="Hello", reasoning="Hm.", calls=made, cached=9), stream=False) as talk:
        reply = talk.model.complete(ASKED)
    assert "stream" not in talk.server.requests[0] and "stream_options" not in talk.server.requests[0]
    assert (reply.content, reply.reasoning, reply.tool_calls[0].arguments) == ("Hello", "Hm.", '{"path": "a"}')
    assert (reply.usage.input_tokens, reply.usage.cached_tokens) == (100, 9)


def test_a_listener_that_breaks_does_not_break_the_call() -> None:
    def listener(_: Delta) -> None:
        raise ZeroDivisionError

    with talking(Answer(text="Hello")) as talk:
        talk.model.listener = listener
        assert talk.model.complete(PLAIN).content == "Hello"


def test_a_run_that_is_told_to_stop_does_not_hear_the_reply_to_its_end() -> None:
    stop, heard = threading.Event(), []

    def hear(piece: object) -> None:
        heard.append(piece)
        stop.set()

    with serving(in_turn(Answer(text="word " * 200, pause=0.05))) as server:
        settings = ModelSettings(base_url=server.base)
        model = LitellmModel("openai/scripted", settings=settings, listener=hear, stopped=stop.is_set)
        with pytest.raises(KeyboardInterrupt):
            model.complete(PLAIN)
    assert len(heard) < 20


def test_silence_is_a_time_out() -> None:
    with talking(Answer(text="late", delay=1.0), timeout_seconds=0.2) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert caught.value.kind == "time-out"


def test_nothing_is_printed_about_faults(capfd: pytest.CaptureFixture[str]) -> None:
    answers = (Answer(status=500, text="broken"), Answer(text="x", ends_after=1), Answer(text="x", cut=300))
    with talking(*answers, Answer(text="fine")) as talk:
        assert talk.model.complete(PLAIN).content == "fine"
    assert capfd.readouterr() == ("", "")
