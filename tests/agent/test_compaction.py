"""A conversation that grows beyond the model's context goes on, with its task and its latest turns as they were."""

import json
from pathlib import Path

import pytest

from ml_intern.agent.compaction import Memory, size
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall
from tests.agent.test_loop import Scripted, calls, context_with, toolbox

TASK = Message(role="user", content="Do the task.")


def turn(number: int, output: int) -> list[Message]:
    call = ToolCall(id=str(number), name="read", arguments="{}")
    result = Message(role="tool", content=f"{number}:" + "x" * output, tool_call_id=str(number))
    return [Message(role="assistant", content=f"turn {number}", tool_calls=(call,)), result]


def conversation(turns: int, output: int = 1000) -> list[Message]:
    return [TASK, *(message for number in range(turns) for message in turn(number, output))]


def unpaired(messages: list[Message]) -> list[str]:
    """Results whose call does not stand before them."""
    called: set[str] = set()
    out = []
    for message in messages:
        called |= {call.id for call in message.tool_calls}
        if message.role == "tool" and message.tool_call_id not in called:
            out.append(message.tool_call_id)
    return out


def no_summary(_: str) -> str:
    raise AssertionError("a summary was asked for")


def test_a_conversation_that_fits_is_left_as_it_is() -> None:
    messages = conversation(3)
    assert Memory(100_000, no_summary).fitted(messages) is messages


def test_old_outputs_are_folded_first_and_the_latest_turns_stay() -> None:
    messages = conversation(20)
    shorter = Memory(20_000, no_summary).fitted(messages)
    assert size(shorter) <= 14_000
    assert shorter[0] == TASK and shorter[-8:] == messages[-8:]
    assert "folded away" in shorter[2].content and shorter[2].content.startswith("0:")
    assert unpaired(shorter) == []


def test_the_past_becomes_a_summary_where_folding_is_not_enough() -> None:
    seen: list[str] = []

    def summarise(transcript: str) -> str:
        seen.append(transcript)
        return "SUMMARY"

    messages = conversation(40, output=700)
    shorter = Memory(12_000, summarise).fitted(messages)
    assert shorter[0] == TASK and "SUMMARY" in shorter[1].content
    assert shorter[2:] == messages[-8:]
    assert "turn 3" in seen[0] and unpaired(shorter) == []
    assert size(shorter) <= 12_000


def test_outputs_of_the_latest_turns_are_folded_where_nothing_else_is_left() -> None:
    messages = conversation(2, output=10_000)
    shorter = Memory(12_000, no_summary).fitted(messages)
    assert size(shorter) <= 12_000 and unpaired(shorter) == []


def test_a_task_that_is_too_long_by_itself_is_said() -> None:
    with pytest.raises(ContextOverflow, match="longer than the model's context"):
        Memory(1_000, no_summary).fitted([Message(role="user", content="x" * 5_000)])


class Reader(Scripted):
    """Reads `turns` long files, then finishes; its context is short."""

    context_chars = 9_000

    def __init__(self, turns: int, refuses_above: int = 10**9) -> None:
        super().__init__()
        self.turns, self.refuses_above, self.summaries, self.prompts = turns, refuses_above, 0, []
        self.prompts: list[str] = []

    def complete(self, request: Request) -> Reply:
        if not request.tools:
            self.summaries += 1
            return Reply(content=f"Summary {self.summaries}.")
        if size(request.messages) > self.refuses_above:
            raise ContextOverflow("Too long.")
        self.prompts.append(
            "".join(f"{m.role}{m.content}{[c.arguments for c in m.tool_calls]}" for m in request.messages)
        )
        if len(self.prompts) > self.turns:
            return calls("finish", words="read all")
        words = json.dumps({"words": f"{len(self.prompts)} " + "y" * 600})
        return Reply(tool_calls=(ToolCall(id=f"c{len(self.prompts)}", name="act", arguments=words),))


def test_a_run_that_is_shortened_five_times_goes_on_to_its_end(tmp_path: Path) -> None:
    model = Reader(turns=60)
    with context_with(tmp_path, model) as context:
        ended = work(context, "build e", "Do it.", toolbox([]), Ladder(context, {}))
        shortened = [e for e in context.log.events if e.type == "note" and "shortened" in e.data["text"]]
    assert ended.done and len(shortened) >= 5
    assert all(prompt.startswith("userDo it.") for prompt in model.prompts)


def test_between_two_shortenings_each_prompt_begins_with_the_one_before(tmp_path: Path) -> None:
    model = Reader(turns=60)
    with context_with(tmp_path, model) as context:
        work(context, "build e", "Do it.", toolbox([]), Ladder(context, {}))
    pairs = list(zip(model.prompts, model.prompts[1:], strict=False))
    breaks = sum(not after.startswith(before) for before, after in pairs)
    assert breaks <= model.summaries + 1


def test_a_model_that_refuses_a_long_prompt_is_asked_again_with_a_shorter_one(tmp_path: Path) -> None:
    model = Reader(turns=12, refuses_above=6_000)
    with context_with(tmp_path, model) as context:
        ended = work(context, "build e", "Do it.", toolbox([]), Ladder(context, {}))
    assert ended.done
