"""What every phase of a run needs: the session, the model, the budget, the compute. Knows nothing of the phases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ml_intern.agent.budget import Budget
from ml_intern.agent.conversation import as_data
from ml_intern.agent.replies import RecordedReplies, recorded_reply, request_digest
from ml_intern.agent.steering import Steering
from ml_intern.config import Config
from ml_intern.errors import ModelError, PlanError
from ml_intern.llm.protocol import LLM, Message, Reply, Request, ToolSpec
from ml_intern.llm.text_calls import mended_json
from ml_intern.plan.plan import Plan
from ml_intern.resources import render_prompt
from ml_intern.run.compute.base import Compute
from ml_intern.session.events import Event, EventType
from ml_intern.session.log import EventLog
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder
from ml_intern.tools.registry import fenced

Answer = TypeVar("Answer", bound=BaseModel)
Listener = Callable[[Event], None]


@dataclass
class Context:
    """One run in progress. `approve` shows a plan to a person and says yes or no. `stop` is set by Ctrl-C.
    `stronger` is asked where `model` goes in circles. `clean` takes secrets out of a text. `preferences` are a
    person's, from AGENTS.md: shown to the model, never obeyed by the harness. `steering` follows what a person says
    meanwhile. `state` is the fold of the log, kept up to date."""

    config: Config
    folder: SessionFolder
    log: EventLog
    model: LLM
    budget: Budget
    compute: Compute
    approve: Callable[[Plan], bool]
    listeners: Sequence[Listener] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    stronger: LLM | None = None
    clean: Callable[[str], str] = lambda text: text
    preferences: str = ""
    steering: Steering | None = None

    def __post_init__(self) -> None:
        self.state = fold(self.log.events)
        self._recorded = RecordedReplies(self.log.events)
        self._emitting = threading.RLock()

    def emit(self, type: EventType, **data: Any) -> None:
        """Logs an event durably, then tells whoever watches."""
        with self._emitting:
            event = self.log.append(type, **data)
            self.state = fold([event], self.state)
        for listener in self.listeners:
            listener(event)

    def heed(self) -> None:
        """Follows what a person has told the run. Raises KeyboardInterrupt where it is to stop."""
        if self.steering is not None:
            self.steering.heed(self)
        if self.stop.is_set():
            raise KeyboardInterrupt

    def say(self, purpose: str, messages: Sequence[Message], tools: tuple[ToolSpec, ...]) -> Reply:
        """The next turn of a conversation whose messages are in the log already."""
        return self._complete(purpose, Request(messages=tuple(messages), tools=tools), logged=True)

    def ask(self, purpose: str, prompt: str) -> str:
        """A question that stands alone."""
        return self._complete(purpose, Request(messages=(Message(role="user", content=prompt),))).content

    def ask_for(
        self, purpose: str, prompt: str, answer: type[Answer], check: Callable[[Answer], object] = lambda _: None
    ) -> Answer:
        """A structured answer under `answer`'s schema that `check` does not refuse (with ValueError or PlanError); one
        repair is asked for. Raises ModelError."""
        messages = [Message(role="user", content=prompt)]
        problem = ""
        for _ in range(2):
            request = Request(messages=tuple(messages), answer_name=purpose, answer_schema=answer.model_json_schema())
            reply = self._complete(purpose, request)
            try:
                found = answer.model_validate_json(mended_json(_json_in(reply.content)))
                check(found)
                return found
            except (ValueError, PlanError) as error:
                problem = _problems(error) if isinstance(error, ValidationError) else str(error)
                messages += [
                    Message(role="assistant", content=reply.content),
                    Message(role="user", content=render_prompt("repair", problem=problem)),
                ]
        raise ModelError(
            f"The model {self.model.id} gave no valid answer to the {purpose} prompt.",
            problem,
            "Try a stronger model, or --model recipes.",
        )

    def with_preferences(self, prompt: str) -> str:
        """The prompt with the person's preferences behind it; the recipes read no prose, and get none."""
        if not self.preferences or self.model.id == "recipes":
            return prompt
        return f"{prompt}\n\n{render_prompt('preferences', text=fenced('preferences', self.preferences))}"

    def summarise(self, transcript: str) -> str:
        """What stands in place of a conversation that is cut away."""
        prompt = render_prompt("summary", transcript=transcript)
        return render_prompt("past", summary=self.ask("summary", prompt))

    def escalate(self) -> bool:
        """Lets the stronger model go on, where there is one that is not at work already."""
        if self.stronger is None or self.stronger is self.model:
            return False
        self.emit("note", text=f"{self.stronger.id} takes over from {self.model.id}, which went in circles")
        self.model = self.stronger
        return True

    def _complete(self, purpose: str, request: Request, logged: bool = False) -> Reply:
        """Held before, settled after; a failed call leaves its mark in the log too. A question that stands alone and
        was answered before a crash is not paid for twice. Raises KeyboardInterrupt where the run was told to stop."""
        self.heed()
        digest = "" if logged else request_digest(self.model.id, purpose, request)
        if digest and (known := self._recorded.take(digest)) is not None:
            return known
        while True:
            try:
                return self._asked(purpose, request, digest)
            except ModelError as error:
                if error.wait is None:
                    raise
                self._sleep(error.wait, error)

    def _asked(self, purpose: str, request: Request, digest: str) -> Reply:
        held = self.budget.reserve(self.model.ceiling(request))
        self.emit(
            "model.asked",
            purpose=purpose,
            model=self.model.id,
            messages=len(request.messages),
            chars=sum(len(message.content) for message in request.messages),
            held=held,
            sent=as_data(request.messages) if digest else [],
            digest=digest,
        )
        started = time.monotonic()
        try:
            reply = self.model.complete(request)
        except ModelError as error:
            self.budget.fail(error.unclear)
            self.emit("model.failed", purpose=purpose, error=str(error), unclear=error.unclear)
            raise
        seconds = round(time.monotonic() - started, 4)
        self.emit("model.replied", purpose=purpose, digest=digest, seconds=seconds, **recorded_reply(reply))
        self.budget.settle(reply.usage.cost_usd)
        return reply

    def _sleep(self, seconds: float, error: ModelError) -> None:
        """Until the provider takes calls again. Raises the error where that is after the end of the run's time."""
        if not self.budget.has_seconds(seconds):
            raise error
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + seconds))
        self.emit("note", text=f"{error.what} It takes calls again at {until}; the run sleeps until then.")
        if self.stop.wait(seconds):
            raise KeyboardInterrupt


def _problems(error: ValidationError) -> str:
    """What is wrong and where, a line each."""
    lines = [
        f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg'].removeprefix('Value error, ')}"
        + ("" if one["type"] == "value_error" else f", not {str(one['input'])[:100]}")
        for one in error.errors(include_url=False)
    ]
    return "\n".join(lines)[:4000]


def _json_in(text: str) -> str:
    """The JSON of an answer that may be fenced or have words around it."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text
