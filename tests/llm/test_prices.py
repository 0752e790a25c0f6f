"""What a call costs: known, unknown or free, never a made-up zero; and what a provider is asked to cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.llm.catalogue import Catalogue
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.protocol import Message, Request, Usage
from tests.llm.scripted import ASKED, CONVERSATION, PLAIN, talking
from tests.support.openai_server import Answer

CLAUDE = "anthropic/claude-sonnet-4-5"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def test_a_price_of_the_configuration_wins_and_counts_what_was_cached() -> None:
    prices = {"input_usd_per_million": 2.0, "output_usd_per_million": 10.0, "cached_input_usd_per_million": 0.5}
    with talking(Answer(text="x", usage=(1000, 100), cached=400), **prices) as talk:
        reply = talk.model.complete(PLAIN)
    assert reply.usage.cost_usd == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 10) / 1e6)


def test_a_price_of_zero_in_the_configuration_is_free() -> None:
    with talking(Answer(text="x"), input_usd_per_million=0, output_usd_per_million=0) as talk:
        assert talk.model.complete(PLAIN).usage.cost_usd == 0.0
        assert talk.model.ceiling(PLAIN) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_server_does_not_count_is_counted_on_the_safe_side_and_not_free(stream: bool) -> None:
    prices = {"input_usd_per_million": 3.0, "output_usd_per_million": 30.0}
    with talking(Answer(text="x" * 300, usage=None), stream=stream, **prices) as talk:
        usage = talk.model.complete(Request(messages=(Message(role="user", content="y" * 3000),))).usage
    assert (usage.input_tokens, usage.output_tokens) == (1000, 100)
    assert usage.cost_usd == pytest.approx((1000 * 3 + 100 * 30) / 1e6)
    with talking(Answer(text="x", usage=None)) as talk:
        assert talk.model.complete(PLAIN).usage.cost_usd is None


def test_no_tokenizer_is_loaded_to_price_a_call() -> None:
    """It would take 50 MB, and seconds where it has to be fetched. In a process of its own: others may have it."""
    code = (
        "import sys\n"
        "from tests.llm.scripted import PLAIN, talking\n"
        "from tests.support.openai_server import Answer\n"
        "with talking(Answer(text='x'), Answer(text='x', usage=None)) as talk:\n"
        "    assert [talk.model.complete(PLAIN).content for _ in range(2)] == ['x', 'x']\n"
        "print([name for name in sys.modules if name.endswith(('.litellm', 'default_encoding')) or name == 'litellm'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "['litellm']", done.stderr


def test_a_server_of_ones_own_is_of_unknown_price_even_under_a_name_that_the_list_has() -> None:
    with talking(Answer(text="x"), model="openai/gpt-4o-mini") as talk:
        assert talk.model.complete(PLAIN).usage.cost_usd is None
        assert talk.model.ceiling(PLAIN) is None


def test_a_listed_price_is_known_also_where_the_list_leaves_out_the_provider(catalogue: Catalogue) -> None:
    for name in ("gpt-4o-mini", "openai/gpt-4o-mini"):
        facts = catalogue.facts(name)
        assert (facts.pricing, facts.context_tokens) == ("known", 128_000)
    assert catalogue.facts("groq/gpt-4o-mini").pricing == "unknown"


@pytest.mark.parametrize(
    ("model", "pricing"),
    [("ollama_chat/x", "free"), ("openai/x", "unknown"), ("huggingface/a/b", "unknown"), ("openrouter/a/b", "unknown")],
)
def test_a_price_that_nobody_lists_is_unknown_unless_the_model_runs_here(
    catalogue: Catalogue, model: str, pricing: str
) -> None:
    facts = catalogue.facts(model)
    assert facts.pricing == pricing
    assert facts.cost(Usage(input_tokens=1000)) == (0.0 if pricing == "free" else None)


def test_a_price_list_that_is_not_there_makes_prices_unknown(tmp_path: Path) -> None:
    assert Catalogue(tmp_path / "none.json").facts("gpt-4o-mini").pricing == "unknown"


def test_the_configured_context_and_answer_length_are_used() -> None:
    with talking(Answer(text="x"), context_tokens=8000, max_output_tokens=700) as talk:
        talk.model.complete(PLAIN)
        assert talk.model.context_chars == 12_000
    assert talk.server.requests[0]["max_tokens"] == 700


def test_a_model_with_a_price_is_not_asked_for_more_than_fits_beside_the_prompt() -> None:
    prices = {"input_usd_per_million": 2.0, "output_usd_per_million": 10.0}
    with talking(Answer(text="x"), context_tokens=8192, **prices) as talk:
        talk.model.complete(PLAIN)
    assert talk.server.requests[0]["max_tokens"] == 4096


@pytest.mark.parametrize("service", ["vertex_ai/gemini-2.5-pro", "bedrock/amazon.nova-pro-v1:0"])
def test_models_that_the_list_has_under_the_service_behind_a_provider_are_known(
    catalogue: Catalogue, service: str
) -> None:
    facts = catalogue.facts(service)
    assert facts.pricing == "known" and (facts.context_tokens or 0) > 100_000
    assert catalogue.provider(service) == service.partition("/")[0]


def test_the_ceiling_is_never_below_the_cost() -> None:
    prices = {"input_usd_per_million": 2.0, "output_usd_per_million": 10.0, "max_output_tokens": 100}
    with talking(Answer(text="x", usage=(80, 100)), **prices) as talk:
        ceiling, cost = talk.model.ceiling(ASKED), talk.model.complete(ASKED).usage.cost_usd
    assert ceiling is not None and cost is not None and ceiling >= 1e6 * cost


def test_claude_is_asked_to_cache_the_beginning_and_the_end_of_a_conversation() -> None:
    prices = {"input_usd_per_million": 3.0, "output_usd_per_million": 15.0, "cached_input_usd_per_million": 0.3}
    answer = Answer(text="Done.", calls=[("write_file", '{"path": "a"}')], usage=(5000, 10), cached=4000)
    with talking(answer, model=CLAUDE, **prices) as talk:
        reply = talk.model.complete(CONVERSATION)
    (request,) = talk.server.requests
    marked = [bool("cache_control" in str(message)) for message in request["messages"]]
    assert marked == [True, False, True]
    assert str(request).count("cache_control") == 2, "Anthropic takes four at most"
    assert (reply.content, [call.name for call in reply.tool_calls]) == ("Done.", ["write_file"])
    assert (reply.usage.input_tokens, reply.usage.cached_tokens) == (5000, 4000)
    assert reply.usage.cost_usd == pytest.approx((1000 * 3 + 4000 * 0.3 + 10 * 15) / 1e6)


def test_a_single_question_is_not_cached_and_no_one_elses_server_gets_marks() -> None:
    with talking(Answer(text="x"), model=CLAUDE) as talk:
        talk.model.complete(PLAIN)
    assert "cache_control" not in str(talk.server.requests)
    with talking(Answer(text="x")) as talk:
        talk.model.complete(CONVERSATION)
    assert "cache_control" not in str(talk.server.requests)


def test_a_listed_price_is_worked_out_with_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(Answer(text="x", usage=(5000, 10), cached=4000)) as talk:
        monkeypatch.setenv("ANTHROPIC_API_BASE", talk.server.base.removesuffix("/v1"))
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-mine")
        reply = LitellmModel(CLAUDE).complete(PLAIN)
    facts = Catalogue().facts(CLAUDE)
    assert reply.usage.cost_usd == pytest.approx(
        facts.cost(Usage(input_tokens=5000, output_tokens=10, cached_tokens=4000))
    )


def test_effort_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(Answer(text="x"), effort="low") as talk:
        talk.model.complete(PLAIN)
    assert talk.server.requests[0]["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
        "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model.",
    ],
)
def test_a_model_that_knows_no_effort_is_asked_without_it_from_then_on(words: str) -> None:
    with talking(Answer(status=400, text=words), Answer(text="x"), effort="minimal") as talk:
        assert [talk.model.complete(PLAIN).content for _ in range(2)] == ["x", "x"]
    assert ["reasoning_effort" in request for request in talk.server.requests] == [True, False, False]


def test_claude_with_effort_goes_on_after_a_call_whose_thoughts_are_gone() -> None:
    with talking(Answer(text="x"), model=CLAUDE, effort="low") as talk:
        talk.model.complete(PLAIN)
        talk.model.complete(CONVERSATION)
    first, second = talk.server.requests
    assert "thinking" in first and "thinking" not in second
