"""The whole session as chat messages, in the order of the log. Knows nothing of any format.

A log of version 1 holds no prompts: where one was sent, a notice stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ml_intern.session.events import Event
from ml_intern.session.export.texts import counted, number, plain

UNKNOWN = "Outcome unknown: the log has no result of this call."
NOT_CARRIED_OUT = "This call was not carried out."


class Call(BaseModel):
    """`id` occurs once in a session, whatever the model chose; `arguments` is JSON as the model wrote it."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    arguments: str


class Said(BaseModel):
    """One message. `conversation` counts from 1; `purpose` names it. `notice` is set where the harness speaks about the
    conversation instead of in it. `outcome` is a tool's: blank when it went well. `cost_usd`: None means unknown."""

    model_config = ConfigDict(frozen=True)

    seq: int
    time: float
    conversation: int
    purpose: str
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    tool: str = ""
    outcome: Literal["", "failed", "unknown", "not carried out"] = ""
    notice: Literal["", "prompt unknown", "shortened", "summary", "model failed"] = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0


def messages(events: Iterable[Event]) -> list[Said]:
    """Every message of every conversation. A call without a result in the log is answered by a notice."""
    events = tuple(events)
    reader = _Reader(cut_off(events))
    for event in events:
        reader.see(event)
    return reader.end()


Fate = Literal["lost", "begun again", "answered later"]


def cut_off(events: Iterable[Event]) -> dict[int, Fate]:
    """`seq` of each tool.intent that a crash came after: no result followed (lost); the call was begun again by a later
    intent; or a resumed session answered it without knowing what came of it (then `seq` of that tool.result)."""
    waiting: dict[str, tuple[int, bool]] = {}  # id to seq of the intent, and whether a resume came since
    fates: dict[int, Fate] = {}
    for event in events:
        key = plain(event.data.get("id"))
        if event.type == "session.resumed":
            waiting = {id: (seq, True) for id, (seq, _) in waiting.items()}
        elif event.type == "model.replied":
            # Another call of the same id: the earlier one stays without a result.
            for id in {plain(call.get("id")) for call in _dicts(event.data.get("tool_calls"))} & set(waiting):
                fates[waiting.pop(id)[0]] = "lost"
        elif event.type == "tool.intent":
            if key in waiting:
                fates[waiting[key][0]] = "begun again"
            waiting[key] = (event.seq, False)
        elif event.type == "tool.result" and waiting.pop(key, (0, False))[1]:
            fates[event.seq] = "answered later"
    return fates | {seq: "lost" for seq, _ in waiting.values()}


class _Talk:
    """One conversation while it is read. `waiting`: calls that nothing was done about yet, each with the id that the
    model gave it; `ids`: of the others, the latest with each such id."""

    def __init__(self, number: int, purpose: str) -> None:
        self.number, self.purpose = number, purpose
        self.told: list[tuple[str, str]] = []
        self.ids: dict[str, str] = {}
        self.waiting: list[tuple[str, Call]] = []
        self.last: Said | None = None

    def take(self, given: str) -> str:
        """The unique id of the call that is carried out, or answered, now."""
        found = next((item for item in self.waiting if item[0] == given), None)
        if found is not None:
            self.waiting.remove(found)
            self.ids[given] = found[1].id
        return self.ids.get(given, given)


class _Reader:
    def __init__(self, fates: Mapping[int, Fate]) -> None:
        self._fates = fates
        self._out: list[Said] = []
        self._talks: dict[str, _Talk] = {}
        self._count = 0
        self._used: set[str] = set()
        self._at: Event
        self._purpose = self._model = ""

    def see(self, event: Event) -> None:
        self._at = event
        data = event.data
        # Tools of an old log do not say whose they are: they follow the reply that called them.
        purpose = plain(data.get("purpose")) or self._purpose
        match event.type:
            case "conversation.started":
                self._add(self._begin(purpose), role="user", content=plain(data.get("prompt")))
            case "conversation.told":
                talk = self._talk(purpose)
                self._settle(talk)
                self._add(talk, role="user", content=plain(data.get("text")))
            case "conversation.shortened":
                self._shortened(self._talk(purpose), _dicts(data.get("messages")))
            case "model.asked":
                self._purpose, self._model = purpose, plain(data.get("model"))
                self._asked(purpose, data)
            case "model.replied":
                self._purpose = purpose
                self._replied(self._talk(purpose), data)
            case "model.failed":
                said = f"The model did not answer: {plain(data.get('error'))}"
                self._add(self._talk(purpose), role="system", notice="model failed", content=said, model=self._model)
            case "tool.intent" | "tool.result":
                self._tool(self._talk(purpose), event)

    def end(self) -> list[Said]:
        for talk in self._talks.values():
            self._settle(talk)
        return self._out

    def _begin(self, purpose: str) -> _Talk:
        if purpose in self._talks:
            self._settle(self._talks[purpose])
        self._count += 1
        self._talks[purpose] = _Talk(self._count, purpose)
        return self._talks[purpose]

    def _talk(self, purpose: str) -> _Talk:
        return self._talks.get(purpose) or self._begin(purpose)

    def _add(self, talk: _Talk, **fields: Any) -> None:
        at = self._at
        said = Said(seq=at.seq, time=at.time, conversation=talk.number, purpose=talk.purpose, **fields)
        if not said.notice or said.role == "user":
            talk.told.append((said.role, said.content))
        talk.last = said
        self._out.append(said)

    def _settle(self, talk: _Talk) -> None:
        """Calls that were never begun are answered before the conversation goes on, or ends."""
        waiting, talk.waiting = talk.waiting, []
        for _, call in waiting:
            said = {"role": "tool", "call_id": call.id, "tool": call.name, "content": NOT_CARRIED_OUT}
            self._add(talk, **said, outcome="not carried out")

    def _asked(self, purpose: str, data: Mapping[str, Any]) -> None:
        count = int(number(data.get("messages")))
        if "sent" not in data:
            self._asked_of_old(purpose, count, int(number(data.get("chars"))))
            return
        sent = _dicts(data["sent"])
        before = self._talks[purpose].told if purpose in self._talks else []
        # A second question comes with all that was said before it, and so does one that is asked again.
        known = len(before) if before and _told(sent[: len(before)]) == before else 0
        fresh = bool(sent) and not known and count <= len(sent)
        talk = self._begin(purpose) if fresh else self._talk(purpose)
        self._settle(talk)
        for message in sent[known:]:
            self._repeat(talk, message)

    def _asked_of_old(self, purpose: str, count: int, chars: int) -> None:
        talk = self._begin(purpose) if count == 1 and purpose not in self._open() else self._talk(purpose)
        self._settle(talk)
        last = talk.last
        if last is None or (last.role == "assistant" and not last.calls):
            size = f"{counted(count, 'message')}, {counted(chars, 'character')}"
            said = f"The log of this version does not hold what was sent: {size}."
            self._add(talk, role="user", notice="prompt unknown", content=said)

    def _open(self) -> frozenset[str]:
        """Purposes whose conversation was begun, and not answered yet."""
        return frozenset(
            purpose for purpose, talk in self._talks.items() if talk.last is not None and talk.last.role == "user"
        )

    def _repeat(self, talk: _Talk, message: Mapping[str, Any]) -> None:
        role = _role(message)
        calls = self._calls(talk, _dicts(message.get("tool_calls"))) if role == "assistant" else ()
        answers = talk.take(plain(message.get("tool_call_id"))) if role == "tool" else ""
        self._add(talk, role=role, content=plain(message.get("content")), calls=calls, call_id=answers)

    def _replied(self, talk: _Talk, data: Mapping[str, Any]) -> None:
        calls = self._calls(talk, _dicts(data.get("tool_calls")))
        cost = data.get("cost_usd")
        self._add(
            talk,
            role="assistant",
            content=plain(data.get("content")),
            reasoning=plain(data.get("reasoning")),
            calls=calls,
            model=plain(data.get("answered_by")) or self._model,
            input_tokens=int(number(data.get("input_tokens"))),
            output_tokens=int(number(data.get("output_tokens"))),
            cost_usd=None if cost is None else number(cost),
            seconds=number(data.get("seconds")),
        )

    def _calls(self, talk: _Talk, calls: list[dict[str, Any]]) -> tuple[Call, ...]:
        out: list[Call] = []
        for place, call in enumerate(calls):
            given = plain(call.get("id"))
            unique = given
            if not given or given in self._used:
                unique = f"{given or 'call'}-{self._at.seq}-{place}"
            self._used.add(unique)
            talk.ids.pop(given, None)  # that of an earlier call, which is done with
            out.append(Call(id=unique, name=plain(call.get("name")), arguments=plain(call.get("arguments"))))
            talk.waiting.append((given, out[-1]))
        return tuple(out)

    def _tool(self, talk: _Talk, event: Event) -> None:
        given, name = plain(event.data.get("id")), plain(event.data.get("name"))
        answers = talk.take(given) if event.type == "tool.intent" else talk.ids.get(given) or talk.take(given)
        said: dict[str, Any] = {"role": "tool", "call_id": answers, "tool": name}
        if event.type == "tool.result":
            outcome = "failed" if event.data.get("failed") else ""
            outcome = "unknown" if event.seq in self._fates else outcome
            self._add(talk, **said, content=plain(event.data.get("result")), outcome=outcome)
        elif self._fates.get(event.seq) == "lost":
            self._add(talk, **said, content=UNKNOWN, outcome="unknown")

    def _shortened(self, talk: _Talk, now: list[dict[str, Any]]) -> None:
        """What is new among the messages is the summary; the rest was said before, word for word or longer."""
        self._settle(talk)
        size = sum(len(plain(message.get("content"))) for message in now)
        said = f"The conversation was shortened to {counted(len(now), 'message')}, {size:,} characters."
        self._add(talk, role="system", notice="shortened", content=said)
        for message in now:
            content = plain(message.get("content"))
            if _role(message) == "user" and ("user", content) not in talk.told:
                self._add(talk, role="user", notice="summary", content=content)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list | tuple) else []


def _told(messages: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(_role(message), plain(message.get("content"))) for message in messages]


def _role(message: Mapping[str, Any]) -> Literal["system", "user", "assistant", "tool"]:
    role = message.get("role")
    return role if role in ("system", "assistant", "tool") else "user"
