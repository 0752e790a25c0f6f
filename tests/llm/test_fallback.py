"""Several models as one: who answers when, and who hears of it."""

from collections.abc import Sequence

import pytest

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.protocol import Reply, Request
from tests.llm.scripted import PLAIN, talking
from tests.support.openai_server import Answer


class Scripted:
    """Answers with its replies in turn, the last for ever; a string is a fault of that kind."""

    def __init__(self, id: str, *replies: str | ModelError, chars: int = 1000, price: int | None = 5) -> None:
        self.id, self.context_chars, self._price, self._replies = id, chars, price, list(replies)
        self.asked = 0

    def ceiling(self, request: Request) -> int | None:
        return self._price

    def complete(self, request: Request) -> Reply:
        self.asked += 1
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, ModelError):
            raise reply
        return Reply(content=reply, model=self.id)


def fault(kind: str, wait: float | None = None) -> ModelError:
    error = ModelError(f"It did not answer: {kind}.")
    error.kind, error.wait = kind, wait
    return error


class Scene:
    def __init__(self, *models: Scripted) -> None:
        self.now, self.switches = 0.0, list[tuple[str, str, str]]()
        self.models: Sequence[Scripted] = models
        self.fallback = Fallback(models, lambda *words: self.switches.append(words), lambda: self.now)

    def ask(self) -> str:
        return self.fallback.complete(PLAIN).model


def test_the_first_answers_while_it_can() -> None:
    scene = Scene(Scripted("a", "x"), Scripted("b", "x"))
    assert (scene.ask(), scene.fallback.id, scene.switches) == ("a", "a", [])


def test_the_next_answers_where_it_cannot_and_the_switch_is_reported_both_ways() -> None:
    scene = Scene(Scripted("a", fault("overloaded"), "x"), Scripted("b", "x"))
    assert scene.ask() == "b" and scene.ask() == "b"
    scene.now = 61
    assert scene.ask() == "a"
    assert scene.switches == [("a", "b", "overloaded"), ("b", "a", "it takes calls again")]
    assert scene.models[0].asked == 2


def test_a_model_that_names_its_time_is_left_alone_until_then() -> None:
    scene = Scene(Scripted("a", fault("rate limit", 1200), "x"), Scripted("b", "x"))
    assert scene.ask() == "b"
    scene.now = 1199
    assert scene.ask() == "b"
    scene.now = 1200
    assert scene.ask() == "a"


def test_a_model_that_failed_a_moment_ago_is_asked_before_nobody_answers() -> None:
    scene = Scene(Scripted("a", fault("overloaded"), "x"), Scripted("b", "x", fault("refusal")))
    assert scene.ask() == "b"
    scene.now = 20
    assert scene.ask() == "a", "b refused, and a may be back"


def test_one_that_named_its_time_is_waited_for_though_another_will_never_answer() -> None:
    scene = Scene(Scripted("a", fault("rate limit", 3600), "x"), Scripted("b", fault("authentication")))
    with pytest.raises(ModelError) as caught:
        scene.ask()
    assert caught.value.wait == 3600
    scene.now = 3600
    assert scene.ask() == "a"


def test_a_key_that_is_wrong_stays_wrong_and_a_refusal_concerns_one_request() -> None:
    scene = Scene(Scripted("a", fault("authentication")), Scripted("b", fault("refusal"), "x"), Scripted("c", "x"))
    assert scene.ask() == "c"
    scene.now = 1e9
    assert scene.ask() == "b"
    assert scene.models[0].asked == 1


def test_a_prompt_that_is_too_long_is_no_reason_to_change() -> None:
    scene = Scene(Scripted("a", ContextOverflow("too long")), Scripted("b", "x"))
    with pytest.raises(ContextOverflow):
        scene.ask()


def test_where_none_answers_the_error_names_all_and_the_earliest_time() -> None:
    scene = Scene(Scripted("a", fault("rate limit", 1200)), Scripted("b", fault("rate limit", 600)))
    with pytest.raises(ModelError, match="None of the models a, b answered") as caught:
        scene.ask()
    assert caught.value.wait == 600


def test_the_context_is_that_of_the_one_at_work_and_the_ceiling_that_of_the_dearest() -> None:
    scene = Scene(Scripted("a", fault("quota"), price=5, chars=1000), Scripted("b", "x", price=9, chars=400))
    assert (scene.fallback.context_chars, scene.fallback.ceiling(PLAIN)) == (1000, 9)
    scene.ask()
    assert scene.fallback.context_chars == 400
    assert Scene(Scripted("a", "x"), Scripted("b", "x", price=None)).fallback.ceiling(PLAIN) is None


def test_real_models_take_over_from_one_another() -> None:
    limit = Answer(status=429, text="Rate limit reached. Please try again in 20m.")
    with talking(limit) as first, talking(Answer(text="Here.")) as second:
        switches: list[str] = []
        model = Fallback([first.model, second.model], lambda old, new, why: switches.append(why))
        assert model.complete(PLAIN).content == "Here."
    assert switches == ["rate limit"] and len(first.server.requests) == 1
