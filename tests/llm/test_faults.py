"""Faults by kind, and the time that a provider names, through the real clients and by their words."""

from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.faults import words_for
from ml_intern.llm.waits import told_wait, wait_of
from tests.llm.scripted import ASKED, PLAIN, STRUCTURED, WRITE, talking
from tests.support.openai_server import Answer

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"Retry-After": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "17ms"}, 0.017),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"X-RateLimit-Reset": str(int((NOW + 300) * 1000))}, 300),
        ({"X-RateLimit-Reset": str(int(NOW + 300))}, 300),
        ({"anthropic-ratelimit-tokens-reset": datetime.fromtimestamp(NOW + 75, UTC).isoformat()}, 75),
        (
            {
                "x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "8.64s",
                "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20m",
            },
            1200,
        ),
        ({"x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "24h"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_time_that_headers_name(headers: dict[str, str], seconds: float | None) -> None:
    found = wait_of(headers, "", NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached for gpt-5: Limit 3. Please try again in 20m.", 1200),
        ("Please try again in 6m0s. Contact us.", 360),
        ("Please try again in 15m2.592s", 902.592),
        ("try again in 350ms", 0.35),
        ("Please retry in 35.5s.", 35.5),
        ("Please wait 2 minutes and try again", 120),
        ("Please retry after 20 seconds.", 20),
        ("The limit resets in 3 hours", 10800),
        ('{"@type": "RetryInfo", "retryDelay": "41s"}', 41),
        ("Please try again later.", None),
        ("Try again in a moment", None),
        ("Please try again", None),
        ("", None),
    ],
)
def test_the_time_that_words_name(words: str, seconds: float | None) -> None:
    found = told_wait(words)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(("seconds", "words"), [(61, "61 seconds"), (1200, "20 minutes"), (20_000, "5.6 hours")])
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert words_for(seconds) == words


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "9"}, {"Retry-After": formatdate(usegmt=True)}, {"x-ratelimit-reset-requests": "9s"}],
    ids=["seconds", "a date that is past", "a reset"],
)
def test_the_time_that_was_asked_for_is_waited(headers: dict[str, str]) -> None:
    with talking(Answer(status=429, text="slow down", headers=headers), Answer(text="Yes.")) as talk:
        assert talk.model.complete(PLAIN).content == "Yes."
    (pause,) = talk.slept
    assert pause == 0 if "GMT" in str(headers) else 9 <= pause <= 9.9


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=429, text="Rate limit reached. Please try again in 20m."),
        Answer(status=429, text="slow down", headers={"x-ratelimit-reset-tokens": "20m0s"}),
        Answer(status=429, text="slow down", headers={"Retry-After": "1200"}),
        Answer(status=503, text="overloaded", headers={"Retry-After": "1200"}),
    ],
    ids=["words", "reset", "retry-after", "overloaded"],
)
def test_a_time_that_is_far_away_is_reported_and_not_sat_out(answer: Answer) -> None:
    with talking(answer) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (caught.value.wait, talk.slept, len(talk.server.requests)) == (1200, [], 1)
    assert "in 20 minutes" in str(caught.value)


def test_pauses_double_with_jitter_and_end() -> None:
    with talking(Answer(status=503, text="busy")) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert [low / 2 <= pause <= low for pause, low in zip(talk.slept, (1, 2, 4, 8), strict=True)] == [True] * 4
    assert (caught.value.kind, caught.value.wait) == ("overloaded", None)


def test_a_run_that_is_told_to_stop_does_not_go_on_trying() -> None:
    with talking(Answer(status=503, text="busy")) as talk, pytest.raises(KeyboardInterrupt):
        talk.model._sleep = lambda _: True
        talk.model.complete(PLAIN)
    assert len(talk.server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(status=401, text="no"), "authentication", "api_key_env"),
        (Answer(status=403, text="not yours"), "authentication", "api_key_env"),
        (Answer(status=402, text="Payment required"), "quota", "add some"),
        (Answer(status=429, text="You exceeded your current quota", code="insufficient_quota"), "quota", "credit"),
        (Answer(status=400, text="It was rejected by our content policy"), "refusal", "another model"),
        (Answer(status=400, text="no", code="content_policy_violation"), "refusal", "another model"),
        (Answer(status=400, text="filtered due to the content management policy"), "refusal", "another model"),
        (Answer(status=404, text="The model `x` does not exist"), "request", "model id"),
    ],
)  # fmt: skip
def test_what_no_waiting_mends_is_told_at_once_with_what_to_do(answer: Answer, kind: str, words: str) -> None:
    with talking(answer) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert caught.value.kind == kind
    assert words in caught.value.next
    assert (len(talk.server.requests), caught.value.unclear) == (1, False)


def test_a_limit_of_a_minute_that_is_worded_like_an_empty_account_is_waited_for() -> None:
    words = "You exceeded your current quota, please check your plan and billing details. Please retry in 2.5s."
    with talking(Answer(status=429, text=words), Answer(text="Yes.")) as talk:
        assert talk.model.complete(PLAIN).content == "Yes."
    assert 2.5 <= talk.slept[0] <= 2.75


def test_a_quota_that_says_when_it_ends_is_a_limit() -> None:
    words = "You exceeded your current quota, please check your plan and billing details."
    limited = Answer(status=429, text=words, headers={"Retry-After": "30"})
    with talking(limited, Answer(text="Yes.")) as talk:
        assert talk.model.complete(PLAIN).content == "Yes."
    assert 30 <= talk.slept[0] <= 33
    far = Answer(status=429, text=words, headers={"Retry-After": "10800"})
    with talking(far) as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (caught.value.kind, caught.value.wait) == ("rate limit", 10800)


@pytest.mark.parametrize(
    "words",
    [
        "Unexpected error while streaming the response, please retry",
        "guided decoding engine crashed: unexpected state",
        "tool call arguments as JSON: unexpected end of input",
    ],
)
def test_what_breaks_once_does_not_change_how_a_model_is_spoken_to(words: str) -> None:
    request = STRUCTURED.model_copy(update={"tools": (WRITE,)})
    with talking(Answer(status=500, text=words), Answer(text="{}")) as talk:
        before = talk.model.manner
        talk.model.complete(request)
        assert talk.model.manner == before
    assert len(talk.slept) == 1


def test_what_a_broken_server_says_twice_is_a_refusal() -> None:
    refusal = Answer(status=500, text="unknown error in function_call worker")
    with talking(refusal, refusal, Answer(text="Yes.")) as talk:
        assert talk.model.complete(ASKED).content == "Yes."
    assert ["tools" in request for request in talk.server.requests] == [True, True, False]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=400, text="This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
        Answer(status=400, text="prompt is too long: 210000 tokens > 200000 maximum"),
        Answer(status=400, text="the request exceeds the available context size. try increasing the context size"),
        Answer(status=429, text="Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 9000"),
    ],
)
def test_a_prompt_that_is_too_long_can_be_shortened(answer: Answer) -> None:
    with talking(answer) as talk, pytest.raises(ContextOverflow):
        talk.model.complete(PLAIN)
    assert len(talk.server.requests) == 1


def test_nobody_there_is_a_connection_fault() -> None:
    with talking(Answer(), base_url="http://127.0.0.1:9/v1") as talk, pytest.raises(ModelError) as caught:
        talk.model.complete(PLAIN)
    assert (caught.value.kind, len(talk.slept)) == ("connection", 4)
