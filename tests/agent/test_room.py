"""A model that takes less than was assumed is found out by what it refuses, and gets shorter prompts from then on."""

import json
from pathlib import Path

import pytest

from ml_intern.agent import phases
from ml_intern.agent.compaction import size
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.agent.room import Room, limit_in
from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.protocol import Reply, Request, ToolCall
from ml_intern.plan.grounding import Grounded
from ml_intern.read.paper import Paper, Paragraph, Section, Source
from tests.agent.test_loop import Scripted, calls, context_with, toolbox
from tests.judge.synthetic import claim

CLAIM = {
    "statement": "A is better.", "quote": "A is better than B on page 0.", "anchor": "sec:1/par:1", "kind": "direction",
    "method": "A", "baseline": "B", "metric": "accuracy", "higher_is_better": True,
}  # fmt: skip


class Smaller(Scripted):
    """Said to take 100,000 characters, takes `takes`. Works for `turns` turns, each long, then finishes."""

    def __init__(self, takes: int, turns: int = 20, words: str = "Too long.", id: str = "smaller") -> None:
        super().__init__(id=id)
        self.takes, self.left, self.words = takes, turns, words
        self.refused = 0
        self.sizes: list[int] = []

    def complete(self, request: Request) -> Reply:
        if size(request.messages) > self.takes:
            self.refused += 1
            raise ContextOverflow(f"The model {self.id} did not answer: overflow.", self.words)
        if not request.tools:
            return Reply(content="In short: so far, so good.")
        self.sizes.append(size(request.messages))
        self.left -= 1
        if self.left < 0:
            return calls("finish", words="all done")
        words = json.dumps({"words": f"{self.left} " + "y" * 3_000})
        return Reply(tool_calls=(ToolCall(id=f"c{self.left}", name="act", arguments=words),))


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5,000 tokens", 4096),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32_768),
        ("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000", 6000),
        ("Input is too long for requested model.", None),
    ],
)
def test_the_limit_that_a_refusal_names_is_read(words: str, tokens: int | None) -> None:
    assert limit_in(words) == tokens


@pytest.mark.parametrize("takes", [50_000, 20_000, 12_000])
def test_a_conversation_is_shortened_as_often_as_it_has_to_be(tmp_path: Path, takes: int) -> None:
    model = Smaller(takes, turns=40)
    with context_with(tmp_path, model) as context:
        assert work(context, "build e", "Do it.", toolbox([]), Ladder(context, {})).done
        assert model.refused <= 8, "what it takes is kept in mind"
        assert Room(context.log.events).of(model) == context.room.of(model) <= takes, "by a resumed run, too"
        context.emit("session.failed", error="overflow", code=1)
        assert Room(context.log.events).of(model) == model.context_chars, "what failed may have been mended since"


def test_a_limit_that_is_named_is_kept_to_at_once(tmp_path: Path) -> None:
    model = Smaller(12_288, words="This model's maximum context length is 4096 tokens.")
    with context_with(tmp_path, model) as context:
        assert work(context, "build e", "Do it.", toolbox([]), Ladder(context, {})).done
    assert model.refused == 1 and max(model.sizes[-5:]) <= 4096 * 3 // 2


def test_where_nothing_is_short_enough_the_error_names_the_setting(tmp_path: Path) -> None:
    named = pytest.raises(ContextOverflow, match=r"context_tokens.*config\.toml")
    with context_with(tmp_path, Smaller(100)) as context, named:
        work(context, "build e", "Do it. " * 100, toolbox([]), Ladder(context, {}))


def test_a_smaller_model_that_takes_over_in_the_middle_gets_what_it_takes(tmp_path: Path) -> None:
    """Nothing of the conversation is too long for the one before it."""

    class Failing(Smaller):
        def complete(self, request: Request) -> Reply:
            if request.tools and self.left < 12:
                raise ModelError("down")
            return super().complete(request)

    small = Smaller(9_000, turns=3, id="small")
    small.context_chars = 9_000
    with context_with(tmp_path, Fallback([Failing(90_000), small])) as context:  # type: ignore[arg-type]
        assert work(context, "build e", "Do it.", toolbox([]), Ladder(context, {})).done
    assert small.sizes and small.refused == 1


def test_of_several_models_the_one_that_refuses_is_the_one_that_takes_less(tmp_path: Path) -> None:
    class Down(Smaller):
        """The first call fails, and the next ones do well."""

        def complete(self, request: Request) -> Reply:
            if not self.sizes:
                self.sizes.append(0)
                raise ModelError("down")
            return super().complete(request)

    now = [0.0]
    large, small = Down(90_000, id="large"), Smaller(20_000, turns=20, id="small")
    both = Fallback([large, small], clock=lambda: now[0])  # type: ignore[list-item]
    with context_with(tmp_path, both) as context:  # type: ignore[arg-type]
        assert work(context, "build e", "Do it.", toolbox([]), Ladder(context, {})).done
        assert small.refused and context.room.of(both) == context.room.of(small) <= 20_000  # type: ignore[arg-type]
        notes = [event.data["text"] for event in context.log.events if "room" in event.data]
        assert notes and all(note.startswith("small takes less") for note in notes)
        now[0] = 1e6
        assert context.room.of(both) == context.room.of(large) == large.context_chars, "it has refused nothing"
        resumed = Room(context.log.events)
        assert (resumed.of(large), resumed.of(small)) == (large.context_chars, context.room.of(small))


def test_the_advice_names_the_one_of_several_models_that_takes_too_little(tmp_path: Path) -> None:
    class Down(Smaller):
        def complete(self, request: Request) -> Reply:
            raise ModelError("down")

    both = Fallback([Down(90_000, id="large"), Smaller(100, id="small")])  # type: ignore[list-item]
    with context_with(tmp_path, both) as context, pytest.raises(ContextOverflow, match=r'models\."small"'):  # type: ignore[arg-type]
        context.ask("review", "Do it. " * 100)


def test_another_model_gets_no_prompt_that_is_longer_than_it_takes(tmp_path: Path) -> None:
    small = Smaller(9_000, turns=2, id="small")
    small.context_chars = 9_000
    with context_with(tmp_path, Smaller(90_000)) as context:

        class Replaced(Smaller):
            def complete(self, request: Request) -> Reply:
                if len(self.sizes) == 8:
                    context.model = small
                return super().complete(request)

        context.model = Replaced(90_000)
        assert work(context, "build e", "Do it.", toolbox([]), Ladder(context, {})).done
    assert small.sizes and small.refused == 0


class Reading(Smaller):
    """Answers questions of the planner; `asked` are those that it took."""

    def __init__(self, takes: int, words: str = "Too long.") -> None:
        super().__init__(takes, words=words)
        self.asked: list[str] = []

    def complete(self, request: Request) -> Reply:
        super().complete(request)
        self.asked.append(request.messages[0].content)
        return Reply(content=json.dumps({"claims": [CLAIM]} if "page 0." in self.asked[-1] else {"claims": []}))


def paper(pages: int = 30) -> Paper:
    texts = [f"A is better than B on page {page}. " + f"Word {page}. " * 150 for page in range(pages)]
    paragraphs = tuple(Paragraph(anchor=f"sec:1/par:{n}", text=text) for n, text in enumerate(texts, start=1))
    section = Section(anchor="sec:1", title="All", paragraphs=paragraphs)
    return Paper(source=Source(kind="latex", locator="x", sha256="0"), title="Long", sections=(section,))


@pytest.mark.parametrize("words", ["Too long.", "maximum context length is 4096 tokens"])
def test_a_paper_is_read_in_smaller_parts_and_each_paragraph_is_shown(tmp_path: Path, words: str) -> None:
    model = Reading(10_000, words)
    with context_with(tmp_path, model) as context:
        (claim,) = phases.find_claims(context, paper()).claims
    assert claim.anchor == "sec:1/par:1"
    shown = "".join(model.asked)
    assert all(f"[sec:1/par:{n}] " in shown for n in range(1, 31))
    assert model.refused <= 7


def test_a_question_that_cannot_be_made_shorter_is_not_put_again(tmp_path: Path) -> None:
    model = Reading(10)
    model.context_chars = 20_000
    grounded = Grounded(claims=(claim("C1"),), dropped=(), findings=())
    with context_with(tmp_path, model) as context, pytest.raises(ContextOverflow, match="context_tokens"):
        phases.draft_plan(context, paper(), grounded, "small")
    assert model.refused == 1


def test_a_planner_that_takes_nothing_ends_with_what_to_set(tmp_path: Path) -> None:
    with context_with(tmp_path, Reading(10)) as context, pytest.raises(ContextOverflow, match="context_tokens"):
        phases.find_claims(context, paper())
