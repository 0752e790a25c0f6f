"""A reply put together from the pieces of a stream, or taken from a whole answer. Knows the shapes, not the senders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ml_intern.llm.protocol import Delta, Listener
from ml_intern.llm.thinking import ThoughtSplitter

REPEATS = "repeats"  # why a reply ended that said the same again and again
LONGEST = 2_000_000  # characters of one reply; what a broken or hostile server sends beyond them is not read


@dataclass
class CallDraft:
    """A tool call while it is being written. `index` is the server's; several calls may share one."""

    index: int | None
    id: str
    name: str = ""
    arguments: str = ""


@dataclass
class Draft:
    """A reply as the server gave it. `usage` is the object of the client, None where there is none; `reported`: the
    server itself said it in a stream."""

    content: str = ""
    reasoning: str = ""
    calls: list[CallDraft] = field(default_factory=list)
    finish: str = ""
    usage: Any = None
    reported: bool = False

    @property
    def chars(self) -> int:
        """All that was written, thoughts and calls too."""
        return len(self.content) + len(self.reasoning) + sum(len(call.name + call.arguments) for call in self.calls)

    @property
    def empty(self) -> bool:
        return not (self.content.strip() or self.calls or self.reasoning.strip())


def from_stream(chunks: Iterable[Any], listener: Listener | None = None, draft: Draft | None = None) -> Draft:
    """Reads `chunks` to their end and tells `listener` what comes. `draft` is filled as it comes: where the stream
    breaks, it holds what was there until then."""
    draft = Draft() if draft is None else draft
    splitter = ThoughtSplitter()

    def tell(kind: Any, text: str) -> None:
        if listener is not None and text:
            listener(Delta(kind=kind, text=text))

    read = 0
    for chunk in chunks:
        if read > LONGEST:
            draft.finish = "length"
            break
        if (usage := getattr(chunk, "usage", None)) is not None:
            draft.usage = usage
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        draft.finish = choice.finish_reason or draft.finish
        delta = choice.delta
        if thought := getattr(delta, "reasoning_content", None) or "":
            draft.reasoning += thought
            read += len(thought)
            tell("reasoning", thought)
        if text := delta.content or "":
            draft.content += text
            read += len(text)
            for kind, part in splitter.feed(text):
                tell(kind, part)
        for piece in delta.tool_calls or []:
            call = _draft_of(draft, piece)
            tell("call", f"{call.name} " if not call.arguments else "")
            call.arguments += piece.function.arguments or ""
            read += 1 + len(piece.function.arguments or "")
    for kind, part in splitter.rest():
        tell(kind, part)
    return draft


def from_whole(response: Any) -> Draft:
    """The same of an answer that came in one piece."""
    choice = response.choices[0]
    message = choice.message
    draft = Draft(
        content=message.content or "",
        reasoning=getattr(message, "reasoning_content", None) or "",
        calls=[
            CallDraft(place, call.id or "", call.function.name or "", call.function.arguments or "")
            for place, call in enumerate(message.tool_calls or [])
        ],
        finish=choice.finish_reason or "",
        usage=getattr(response, "usage", None),
    )
    if draft.chars > LONGEST:
        draft.finish, draft.calls = "length", []
        draft.content, draft.reasoning = draft.content[:LONGEST], draft.reasoning[:LONGEST]
    return draft


def _draft_of(draft: Draft, piece: Any) -> CallDraft:
    """The call that `piece` goes on with, or a new one. Some servers give every call the index 0 and tell them apart
    by their ids alone; some repeat the id with every piece."""
    for call in reversed(draft.calls):
        if call.index == piece.index and (not piece.id or piece.id == call.id):
            if not call.name:
                call.name = piece.function.name or ""
            return call
    call = CallDraft(piece.index, piece.id or "", piece.function.name or "")
    draft.calls.append(call)
    return call
