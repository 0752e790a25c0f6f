"""Tries that came to nothing: what is known of their cost, and who may say that there is no other."""

import pytest

from ml_intern.errors import ModelError
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.protocol import Attempt
from tests.llm.scripted import PLAIN, talking
from tests.llm.test_fallback import Scripted, fault
from tests.support.openai_server import Answer

PRICED = {"input_usd_per_million": 10.0, "output_usd_per_million": 100.0}
CUT = Answer(text="Hello world, and so on.", ends_after=4)


@pytest.mark.parametrize(
    ("answer", "unclear"),
    [
        (CUT, True),
        (Answer(text="Hello world", breaks_after=2), True),
        (Answer(text="Hello world", delay=3.0), True),
        (Answer(status=429, text="slow down"), False),
        (Answer(status=503, text="overloaded"), False),
    ],
    ids=["cut", "an error inside", "time-out", "rate limit", "overloaded"],
)
def test_a_try_that_may_have_been_paid_for_is_unclear_and_one_that_was_turned_away_is_not(
    answer: Answer, unclear: bool
) -> None:
    with talking(answer, Answer(text="Yes."), timeout_seconds=1.0, **PRICED) as talk:
        reply = talk.model.complete(PLAIN)
    (lost,) = talk.lost
    assert (lost.unclear, lost.usage.input_tokens, lost.usage.cost_usd) == (unclear, 0, 0.0)
    assert [lost.pause] == talk.slept and lost.why
    assert reply.usage.input_tokens == 100, "of the try that came to its end alone"


def test_what_a_provider_reports_before_the_stream_breaks_is_counted_with_what_was_written() -> None:
    """Claude tells the tokens of the prompt at once. What had been written by the end of the stream is estimated."""
    long = Answer(text="Hello world. " * 30, usage=(1000, 1), ends_after=3)
    with talking(long, Answer(text="Yes."), model="anthropic/claude-sonnet-4-5", **PRICED) as talk:
        talk.model.complete(PLAIN)
    (lost,) = talk.lost
    assert (lost.unclear, lost.usage.input_tokens) == (False, 1000)
    assert lost.usage.output_tokens == 130, "a token for three characters"
    assert lost.usage.cost_usd == pytest.approx((10 * 1000 + 100 * lost.usage.output_tokens) / 1e6)


def test_what_was_never_sent_costs_nothing() -> None:
    with talking(Answer(), base_url="http://127.0.0.1:9/v1") as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert [lost.unclear for lost in talk.lost] == [False] * 4 and not caught.value.unclear


def test_the_last_try_is_accounted_for_by_the_error_and_the_others_by_the_hook() -> None:
    with talking(CUT) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert [lost.unclear for lost in talk.lost] == [True] * 4 and caught.value.unclear


def test_where_the_budget_has_no_room_nothing_is_tried_again_and_nothing_counted_twice() -> None:
    with talking(CUT, Answer(text="Yes."), go_on=False) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (len(talk.server.requests), talk.slept, len(talk.lost)) == (1, [], 1)
    assert not caught.value.unclear


def test_an_answer_that_nobody_could_read_because_it_was_no_stream_is_unclear() -> None:
    with talking(Answer(text="Hello", streams=False)) as talk:
        assert talk.model.complete(PLAIN).content == "Hello"
    assert [(lost.why, lost.unclear) for lost in talk.lost] == [("no stream", True)]


def test_a_model_that_another_takes_over_from_is_accounted_for() -> None:
    paid = fault("connection")
    paid.unclear, paid.input_tokens, paid.cost_usd = True, 70, 0.5
    first, second = Scripted("a", paid), Scripted("b", "x")
    lost: list[Attempt] = []
    model = Fallback([first, second], again=lambda attempt: not lost.append(attempt))
    assert model.complete(PLAIN).model == "b"
    assert [(one.why, one.unclear, one.usage.input_tokens, one.usage.cost_usd) for one in lost] == [
        ("connection", True, 70, 0.5)
    ]


def test_no_other_model_is_asked_where_the_budget_has_no_room_for_it() -> None:
    paid = fault("time-out")
    paid.unclear = True
    first, second = Scripted("a", paid), Scripted("b", "x")
    with pytest.raises(ModelError, match="time-out") as caught:
        Fallback([first, second], again=lambda _: False).complete(PLAIN)
    assert second.asked == 0 and not caught.value.unclear
