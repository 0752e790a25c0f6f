"""A gateway and the scripted server that it talks to, through the real litellm and openai clients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.protocol import Attempt, Delta, Message, Request, ToolCall, ToolSpec
from ml_intern.settings import ModelSettings
from tests.support.openai_server import Answer, OpenAIServer, in_turn, serving

WRITE = ToolSpec(
    name="write_file",
    description="Writes a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
)
HELLO = (Message(role="user", content="Hello"),)
ASKED = Request(messages=HELLO, tools=(WRITE,))
PLAIN = Request(messages=HELLO)
CONVERSATION = Request(
    messages=(
        *HELLO,
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="write_file", arguments="{}"),)),
        Message(role="tool", content="written", tool_call_id="1"),
    ),
    tools=(WRITE,),
)
STRUCTURED = Request(
    messages=HELLO, answer_name="claims", answer_schema={"type": "object", "properties": {"claims": {"type": "array"}}}
)


@dataclass
class Talk:
    """`heard` is what a listener was told, `slept` the pauses between tries, `lost` the account of the failed ones."""

    model: LitellmModel
    server: OpenAIServer
    heard: list[Delta] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    lost: list[Attempt] = field(default_factory=list)

    def seen(self, kind: str = "text") -> str:
        """What stands on a screen at the end: what came before the last beginning is gone."""
        places = [place for place, delta in enumerate(self.heard) if delta.kind == "again"]
        return "".join(delta.text for delta in self.heard[places[-1] if places else 0 :] if delta.kind == kind)


@contextmanager
def talking(*answers: Answer, model: str = "openai/scripted", go_on: bool = True, **settings: Any) -> Iterator[Talk]:
    """`go_on`: whether the budget has room for another try."""
    with serving(in_turn(*answers)) as server:
        slept: list[float] = []
        heard: list[Delta] = []
        configured = ModelSettings(**{"base_url": server.base, **settings})
        lost: list[Attempt] = []

        def again(attempt: Attempt) -> bool:
            lost.append(attempt)
            return go_on

        gateway = LitellmModel(model, lambda seconds: slept.append(seconds), configured, heard.append, again=again)
        yield Talk(gateway, server, heard, slept, lost)
