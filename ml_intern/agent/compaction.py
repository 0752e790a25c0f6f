"""Keeps a conversation inside a model's context: old outputs are folded first, then the past is put into a summary.

The task itself and the latest turns always stay word for word. Folding goes well below the room at once, so that
between two foldings each prompt begins with the whole of the one before, which providers cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message

_KEEP_TURNS = 4  # latest answers of the model that stay as they are, with the results of their calls
_SHORT = 400  # characters of a folded output
_OVERHEAD = 40  # characters a message costs beside its text


def size(messages: Sequence[Message]) -> int:
    """Characters of a conversation, calls included."""
    calls = sum(len(call.name) + len(call.arguments) for message in messages for call in message.tool_calls)
    return calls + sum(len(message.content) + _OVERHEAD for message in messages)


class Memory:
    """`limit` in characters; `summarise` gives what stands in a transcript's place; `compactions` are counted."""

    def __init__(self, limit: int, summarise: Callable[[str], str]) -> None:
        self.limit, self._summarise = limit, summarise
        self.compactions = 0

    def fitted(self, messages: list[Message]) -> list[Message]:
        """The same conversation, or a shorter one. Raises ContextOverflow where the task alone is too long."""
        return messages if size(messages) <= self.limit else self.shortened(messages)

    def shortened(self, messages: list[Message]) -> list[Message]:
        """At most seven tenths of the room are used afterwards, where that can be had."""
        self.compactions += 1
        aim = min(self.limit, size(messages)) * 7 // 10
        start = _begin_of_latest(messages)
        fixed = size([messages[0], *messages[start:]])
        folded = [messages[0], *_folded(messages[1:start], aim - fixed), *messages[start:]]
        if size(folded) <= aim:
            return folded
        if start <= 1:
            # Nothing but the latest turns is left: their long outputs have to go.
            folded = [messages[0], *_folded(messages[1:], aim - size(messages[:1]))]
            if size(folded) > self.limit or size(folded) >= size(messages):
                raise ContextOverflow(
                    "The task is longer than the model's context.", next="Use a model with a longer context."
                )
            return folded
        summary = self._summarise(_transcript(messages[1:start], self.limit // 2))
        told = Message(role="user", content=summary)
        rest = [messages[0], told, *messages[start:]]
        return (
            rest
            if size(rest) <= self.limit
            else [messages[0], told, *_folded(messages[start:], aim - size([messages[0], told]))]
        )


def _begin_of_latest(messages: Sequence[Message]) -> int:
    """Where the latest turns begin: at an answer of the model, so that no result is parted from its call."""
    answers = [place for place, message in enumerate(messages) if message.role == "assistant" and place > 0]
    return answers[-_KEEP_TURNS] if len(answers) >= _KEEP_TURNS else 1


def _folded(messages: Sequence[Message], aim: int) -> list[Message]:
    """The oldest long outputs cut short, until all is at most `aim` characters."""
    out = list(messages)
    for place, message in enumerate(out):
        if size(out) <= aim:
            break
        if message.role == "tool" and len(message.content) > 2 * _SHORT:
            out[place] = message.model_copy(update={"content": _cut(message.content)})
    return out


def _cut(text: str) -> str:
    half = _SHORT // 2
    gone = f"… {len(text) - 2 * half} characters were folded away; the call can be made again …"
    return f"{text[:half]}\n{gone}\n{text[-half:]}"


def _transcript(messages: Sequence[Message], limit: int) -> str:
    lines = []
    for message in messages:
        if message.content:
            lines.append(
                f"{message.role}: {message.content if len(message.content) <= 2 * _SHORT else _cut(message.content)}"
            )
        lines += [f"call {call.name}: {call.arguments[:_SHORT]}" for call in message.tool_calls]
    return "\n".join(lines)[-limit:]
