"""One piece of work's conversation: what was said is logged as it is said, and a resumed one is built from the log.

The harness writes three events of its own (started, told, shortened); the rest stands in the model's and the tools'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ml_intern.agent.doom_loop import Circle, DoomLoopDetector, Step
from ml_intern.llm.protocol import Message, ToolCall
from ml_intern.session.events import Event
from ml_intern.tools.registry import Ended

_COMPACTED = "compacted"


@dataclass
class Conversation:
    """`messages` as the model is shown them. `unanswered`: calls of its last reply that have no result yet; `begun`:
    the first of them may have been carried out. `open_turn`: the harness has not yet said its own about the last reply.
    `problem`: what was odd about that reply. `past`: what a doom-loop detector has to see again: steps, texts,
    compactions."""

    messages: list[Message]
    unanswered: list[ToolCall] = field(default_factory=list)
    begun: bool = False
    open_turn: bool = False
    problem: str = ""
    ended: Ended | None = None
    past: list[Step | str] = field(default_factory=list)
    _turn: int = 0  # where in `past` the open turn begins

    @property
    def untouched(self) -> bool:
        """Whether the model has answered nothing yet."""
        return (
            self.ended is None and not any(message.role == "assistant" for message in self.messages) and not self.past
        )

    @property
    def failed_since_asked(self) -> bool:
        """Whether a call of the model's last reply has failed: the calls after it were made without knowing that."""
        since = list(takewhile(lambda message: message.role == "tool", reversed(self.messages)))
        return any(message.content.startswith("FAILED") for message in since)

    def replayed(self, doom: DoomLoopDetector) -> list[Circle]:
        """Shows `doom` what went before; gives the circles of the open turn, which nobody was told of yet."""
        seen = [(place, _seen(doom, one)) for place, one in enumerate(self.past)]
        return [circle for place, circle in seen if circle is not None and self.open_turn and place >= self._turn]

    def hear(self, event: Event) -> None:
        """Takes in one event of this conversation."""
        data = event.data
        match event.type:
            case "model.asked":
                self._close()
            case "model.replied":
                calls = tuple(ToolCall.model_validate(call) for call in data["tool_calls"])
                self.messages.append(Message(role="assistant", content=data["content"], tool_calls=calls))
                self.unanswered, self.begun, self.open_turn = list(calls), False, True
                self._turn = len(self.past)
                self.problem = data.get("problem", "")
            case "tool.intent":
                self.begun = True
            case "tool.result":
                self._answer(data)
            case "conversation.told":
                self._close()
                self.messages.append(_from_harness(data["text"]))
            case "conversation.shortened":
                self.messages = [Message.model_validate(message) for message in data["messages"]]
                self.past.append(_COMPACTED)

    def _close(self) -> None:
        if self.open_turn and self.messages[-1].role == "assistant":
            self.past.append(self.messages[-1].content)
        self.open_turn = False

    def _answer(self, data: dict[str, Any]) -> None:
        call = self.unanswered.pop(0)
        self.begun = False
        if "done" in data:
            self.ended = Ended(data["done"], data["note"])
            return
        self.messages.append(Message(role="tool", content=data["result"], tool_call_id=call.id))
        acts, files = data.get("acts", True), data.get("files", {})
        self.past.append(Step(call.name, call.arguments, data["result"], data["failed"], acts, files))


def _seen(doom: DoomLoopDetector, one: Step | str) -> Circle | None:
    if isinstance(one, Step):
        return doom.see(one)
    if one == _COMPACTED:
        doom.compacted()
        return None
    return doom.see_text(one)


def recorded(events: Iterable[Event], purpose: str) -> Conversation | None:
    """The latest conversation for `purpose` as the log has it; None where it was never begun."""
    found: Conversation | None = None
    for event in events:
        if event.data.get("purpose") != purpose:
            continue
        if event.type == "conversation.started":
            found = Conversation([_from_harness(event.data["prompt"])])
        elif found is not None:
            found.hear(event)
    return found


def _from_harness(text: str) -> Message:
    return Message(role="user", content=text)


def as_data(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as an event holds them."""
    return [
        message.model_dump(mode="json", exclude_defaults=True) | {"content": message.content} for message in messages
    ]
