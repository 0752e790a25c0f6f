"""Keeps a conversation inside a model's context: old outputs are folded first, then the past is put into a summary.

The task itself and the latest turns always stay word for word. Folding goes well below the room at once, so that
between two foldings each prompt begins with the whole of the one before, which providers cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message
from ml_intern.tools.outputs import Outputs

_KEEP_TURNS = 4  # latest answers of the model that stay as they are, with the results of their calls
_SHORT = 400  # characters of a folded output
_OVERHEAD = 40  # characters a message costs beside its text


def size(messages: Sequence[Message]) -> int:
    """Characters of a conversation, calls included."""
    calls = sum(len(call.name) + len(call.arguments) for message in messages for call in message.tool_calls)
    return calls + sum(len(message.content) + _OVERHEAD for message in messages)


class Memory:
    """`limit` in characters; `summarise` gives what stands in a transcript's place; `outputs` keeps what is folded, for
    the model to read again; `compactions` are counted."""

    quiet = False  # whether nobody is told of each time

    def __init__(self, limit: int, summarise: Callable[[str], str], outputs: Outputs) -> None:
        self.limit, self._summarise, self._outputs = limit, summarise, outputs
        self.compactions = 0

    def fitted(self, messages: list[Message]) -> list[Message]:
        """The same conversation, or a shorter one. Raises ContextOverflow where the task, or what the model said
        last, is too long by itself."""
        return messages if size(messages) <= self.limit else self.shortened(messages)

    def shortened(self, messages: list[Message]) -> list[Message]:
        """At most seven tenths of the room are used afterwards, where that can be had."""
        self.compactions += 1
        most = min(self.limit, size(messages) - 1)
        aim = min(self.limit, size(messages)) * 7 // 10
        start = _begin_of_latest(messages, _KEEP_TURNS)
        found = self._folded(messages, start, aim)
        if size(found) > aim and start > 1:
            found = self._summarised(found, start)
            if size(found) <= most:
                return found
        for keep in reversed(range(_KEEP_TURNS)):
            if size(found) <= aim:
                return found
            found = self._folded(found, _begin_of_latest(found, keep), aim)
        last = _begin_of_latest(found, 1)
        if size(found) > most and last > 1:
            found = self._summarised(found, last)
        if size(found) > most:
            what = "task" if size(messages[:1]) > self.limit // 2 else "model's latest answer"
            raise ContextOverflow(
                f"The {what} is longer than the model's context.",
                f"it has room for {self.limit} characters of a prompt",
                "Use a model with a longer context, or set context_tokens in config.toml where it takes more.",
            )
        return found

    def _summarised(self, messages: list[Message], start: int) -> list[Message]:
        summary = self._summarise(_transcript(messages[1:start], self.limit // 2))
        return [messages[0], Message(role="user", content=summary), *messages[start:]]

    def _folded(self, messages: list[Message], end: int, aim: int) -> list[Message]:
        """The oldest long outputs and texts of calls cut short, before `end` and but for the task, until all is at most
        `aim` characters."""
        out = list(messages)
        total = size(out)
        for place in range(1, end):
            if total <= aim:
                break
            before = size([out[place]])
            out[place] = self._cut(out[place])
            total += size([out[place]]) - before
        return out

    def _cut(self, message: Message) -> Message:
        if message.role == "user":  # the harness and the person say little, and mean it
            return message
        calls = [
            call.model_copy(update={"arguments": self._short_arguments(call.arguments)}) for call in message.tool_calls
        ]
        return message.model_copy(update={"content": self._short(message.content), "tool_calls": tuple(calls)})

    def _short(self, text: str) -> str:
        return self._outputs.cut(text, _SHORT // 2, _SHORT // 2, "folded away") if len(text) > 2 * _SHORT else text

    def _short_arguments(self, arguments: str) -> str:
        """Still JSON, as servers want it back: what a call wrote is in its file."""
        if len(arguments) <= 2 * _SHORT:
            return arguments
        try:
            given = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
        if not isinstance(given, dict):
            return arguments
        short = {name: self._short(value) if isinstance(value, str) else value for name, value in given.items()}
        return json.dumps(short, ensure_ascii=False)


def _begin_of_latest(messages: Sequence[Message], keep: int) -> int:
    """Where the latest `keep` turns begin: at an answer of the model, so that no result is parted from its call."""
    answers = [place for place, message in enumerate(messages) if message.role == "assistant" and place > 0]
    if keep == 0:
        return len(messages)
    return answers[-keep] if len(answers) >= keep else 1


def _brief(text: str) -> str:
    return text if len(text) <= 2 * _SHORT else f"{text[: _SHORT // 2]}\n…\n{text[-_SHORT // 2 :]}"


def _transcript(messages: Sequence[Message], limit: int) -> str:
    """At most `limit` characters: what the harness and a person said whole, an earlier summary above all, answers and
    results in brief, of these the latest."""
    told = len(messages) > 0 and messages[0].role == "user"
    first = f"user: {messages[0].content}"[: limit // 2] if told else ""
    lines = []
    for message in messages[1 if told else 0 :]:
        if message.content:
            lines.append(f"{message.role}: {message.content if message.role == 'user' else _brief(message.content)}")
        lines += [f"call {call.name}: {call.arguments[:_SHORT]}" for call in message.tool_calls]
    rest = "\n".join(lines)[-(limit - len(first) - 1) :]
    return f"{first}\n{rest}" if first else rest
