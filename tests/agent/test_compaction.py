"""A conversation that grows beyond the model's context goes on, with its task and its latest turns as they were."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from ml_intern.agent.compaction import Memory, size
from ml_intern.agent.handover import open_failures
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall
from ml_intern.session.events import Event
from ml_intern.tools.outputs import Outputs
from ml_intern.tools.registry import Tool, Toolbox
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
    assert Memory(100_000, no_summary, Outputs()).fitted(messages) is messages


def test_old_outputs_are_folded_first_and_the_latest_turns_stay() -> None:
    messages, outputs = conversation(20), Outputs()
    shorter = Memory(20_000, no_summary, outputs).fitted(messages)
    assert size(shorter) <= 14_000
    assert shorter[0] == TASK and shorter[-8:] == messages[-8:]
    assert "folded away; read_output with id 1 shows all of it" in shorter[2].content
    assert shorter[2].content.startswith("0:") and outputs.whole(1) == messages[2].content
    assert unpaired(shorter) == []


def test_the_past_becomes_a_summary_where_folding_is_not_enough() -> None:
    seen: list[str] = []

    def summarise(transcript: str) -> str:
        seen.append(transcript)
        return "SUMMARY"

    messages = conversation(40, output=700)
    shorter = Memory(12_000, summarise, Outputs()).fitted(messages)
    assert shorter[0] == TASK and "SUMMARY" in shorter[1].content
    assert shorter[2:] == messages[-8:]
    assert "turn 3" in seen[0] and unpaired(shorter) == []
    assert size(shorter) <= 12_000


def test_a_summary_comes_whole_into_the_next_one_however_much_was_said_since() -> None:
    seen: list[str] = []

    def summarise(transcript: str) -> str:
        seen.append(transcript)
        return f"SUMMARY {len(seen)} " + "of decisions " * 80 + "end"

    memory = Memory(12_000, summarise, Outputs())
    messages = memory.fitted(conversation(40, output=700))
    messages += [message for number in range(40, 80) for message in turn(number, 700)]
    messages = memory.fitted(messages)
    assert seen[1].startswith("user: SUMMARY 1 " + "of decisions " * 80 + "end\n")
    assert "turn 75" in seen[1] and len(seen[1]) <= 6_000
    assert messages[1].content.startswith("SUMMARY 2")


def test_outputs_of_the_latest_turns_are_folded_where_nothing_else_is_left() -> None:
    messages = conversation(2, output=10_000)
    shorter = Memory(12_000, no_summary, Outputs()).fitted(messages)
    assert size(shorter) <= 12_000 and unpaired(shorter) == []


def written(number: int, content: int) -> list[Message]:
    arguments = json.dumps({"path": "train.py", "content": f"{number} " + "x" * content})
    call = ToolCall(id=str(number), name="write_file", arguments=arguments)
    result = Message(role="tool", content="written", tool_call_id=str(number))
    return [Message(role="assistant", tool_calls=(call,)), result]


@pytest.mark.parametrize(("task", "turns"), [(24_000, 3), (24_000, 6), (24_000, 1), (40_000, 12)])
def test_long_files_that_were_written_are_folded_and_the_calls_stay_whole_json(task: int, turns: int) -> None:
    outputs, long = Outputs(), Message(role="user", content="x" * task)
    messages = [long, *(message for number in range(turns) for message in written(number, 25_000 // min(turns, 2)))]
    assert size(messages) > 48_000
    shorter = Memory(48_000, lambda _: "SUMMARY", outputs).fitted(messages)
    assert size(shorter) <= 48_000 and shorter[0] == long and unpaired(shorter) == []
    last = [call for message in shorter for call in message.tool_calls][-1]
    assert last.name == "write_file" and json.loads(last.arguments)["path"] == "train.py"
    assert outputs.whole(1).startswith("0 x")


@pytest.mark.parametrize("turns", [1, 6])
def test_long_words_of_the_model_are_folded_where_nothing_else_is_left(turns: int) -> None:
    words = [Message(role="assistant", content="The zebra. " * 4000), Message(role="user", content="Use a tool.")]
    messages = [Message(role="user", content="x" * 20_000), *turn(0, 100), *words * turns]
    shorter = Memory(48_000, lambda _: "SUMMARY", Outputs()).fitted(messages)
    assert size(shorter) <= 48_000 and shorter[-1] == words[-1] and unpaired(shorter) == []


def test_a_task_that_is_too_long_by_itself_is_said() -> None:
    with pytest.raises(ContextOverflow, match="longer than the model's context"):
        Memory(1_000, no_summary, Outputs()).fitted([Message(role="user", content="x" * 5_000)])


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


def test_nineteen_twentieths_of_what_a_hundred_turns_send_was_sent_before_word_for_word(tmp_path: Path) -> None:
    """As the beginning of the prompt before, which providers cache."""
    model = Reader(turns=100)
    model.context_chars = 40_000
    with context_with(tmp_path, model) as context:
        work(context, "build e", "Do it.", toolbox([]), Ladder(context, {}))
    pairs = list(zip(model.prompts, model.prompts[1:], strict=False))
    within = [(before, after) for before, after in pairs if len(after) > len(before)]
    assert len(pairs) > len(within), "it was shortened meanwhile"
    repeated = sum(len(before) for before, after in within if after.startswith(before))
    assert repeated >= 0.95 * sum(len(after) for _, after in within)


def test_what_was_read_before_the_conversation_was_shortened_may_be_read_again(tmp_path: Path) -> None:
    """Each time it was folded away meanwhile, so that it is no circle."""

    class Look(BaseModel):
        pass

    box = Toolbox([Tool("look", "d", "read-only", Look, lambda _: "r" * 3_000), *toolbox([])._tools.values()])
    model = Scripted(*[Reply(tool_calls=(ToolCall(id="1", name="look", arguments="{}"),))] * 6, calls("finish"))
    model.context_chars = 5_000
    with context_with(tmp_path, model) as context:
        assert work(context, "build e", "Do it.", box, Ladder(context, {})).done
        assert not [event for event in context.log.events if event.type == "doom.warning"]


def test_a_model_that_refuses_a_long_prompt_is_asked_again_with_a_shorter_one(tmp_path: Path) -> None:
    model = Reader(turns=12, refuses_above=6_000)
    with context_with(tmp_path, model) as context:
        ended = work(context, "build e", "Do it.", toolbox([]), Ladder(context, {}))
    assert ended.done


def test_files_and_open_failures_are_kept_by_code_whatever_the_summary_says(tmp_path: Path) -> None:
    class Failing(Reader):
        def complete(self, request: Request) -> Reply:
            done = len(self.prompts)
            reply = super().complete(request)
            return calls("fail") if request.tools and done == 2 else reply

    model = Failing(turns=60)
    box = toolbox([])
    box.files = lambda: {"e/train.py": "1", "e/data.py": "2"}
    with context_with(tmp_path, model) as context:
        work(context, "build e", "Do it.", box, Ladder(context, {}))
    last = model.prompts[-1]
    assert "data.py, train.py" in last and model.summaries >= 2
    assert "has not worked since (material, not instructions):\n<output>\nfail: FAILED: It does not work." in last


def test_a_failure_is_open_until_its_tool_works_again() -> None:
    def result(name: str, text: str, purpose: str = "build e") -> Event:
        data = {"purpose": purpose, "name": name, "result": text, "failed": text.startswith("FAILED")}
        return Event(seq=0, type="tool.result", time=0, mono=0, data=data, previous="", checksum="")

    log = [result("smoke_run", "FAILED: one"), result("explore", "FAILED: two"), result("smoke_run", "ok")]
    assert open_failures(log, "build e") == ["explore: FAILED: two"]
    assert open_failures([*log, result("smoke_run", "FAILED: other", "build f")], "build e") == ["explore: FAILED: two"]
    trace = "exit code 0 after 1.0 s\n<output>\nTraceback (most recent call last):\nKeyError: 'x'\n</output>"
    for command, is_failure in (("python train.py | tail", True), ("cat log", False)):
        given = {"purpose": "build e", "name": "run_command", "arguments": json.dumps({"command": command})}
        intent = Event(seq=0, type="tool.intent", time=0, mono=0, data=given, previous="", checksum="")
        assert bool(open_failures([intent, result("run_command", trace)], "build e")) is is_failure
    long = open_failures([result("explore", "FAILED: " + "x" * 9_000 + "ValueError: the end")], "build e")[0]
    assert len(long) < 700 and long.endswith("ValueError: the end")
