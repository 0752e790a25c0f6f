"""What every phase of a run needs: the session, the model, the budget, the compute. Knows nothing of the phases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ml_intern.agent.answers import Answer, answer_in
from ml_intern.agent.approvals import Approvals
from ml_intern.agent.budget import Budget
from ml_intern.agent.compaction import size
from ml_intern.agent.conversation import as_data
from ml_intern.agent.handover import Handover
from ml_intern.agent.person import Person
from ml_intern.agent.replies import RecordedReplies, recorded_reply, request_digest
from ml_intern.agent.room import Room, with_advice
from ml_intern.agent.steering import Steering
from ml_intern.config import Config
from ml_intern.errors import BudgetExhausted, ContextOverflow, InvalidAnswer, ModelError, PlanError
from ml_intern.llm.faults import words_for
from ml_intern.llm.protocol import LLM, Attempt, Message, Reply, Request, ToolSpec
from ml_intern.plan.mistakes import problems
from ml_intern.plan.plan import Plan
from ml_intern.resources import render_prompt
from ml_intern.run.compute.base import Compute
from ml_intern.session.events import Event, EventType
from ml_intern.session.log import EventLog
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder
from ml_intern.tools.registry import fenced

Listener = Callable[[Event], None]
_HEEDS_EVERY = 0.3  # seconds, of a sleep at a provider's limit


class AskAnew(Exception):
    """A turn was not put to the model, or not taken by it: since its prompt was made, another model has come, or the
    run has slept at a provider's limit. What it is asked now is to be made for now."""


@dataclass
class Context:
    """One run in progress. `approve` shows a plan to a person and says yes or no. `stop` is set by Ctrl-C. `model`
    writes the scripts and tries them; `planner` finds claims, plans, looks at what came out and writes about it: the
    same, where none is named. `stronger` is asked where `model` goes in circles. `clean` takes secrets out of a text.
    `preferences` are a person's, from AGENTS.md: shown to the model, never obeyed by the harness. `steering` follows
    what a person says meanwhile. `approvals` decides about tool calls; `person` sits at the terminal, None: nobody can
    be asked. `state` is the fold of the log, kept up to date. `room` knows how much each model takes."""

    config: Config
    folder: SessionFolder
    log: EventLog
    model: LLM
    budget: Budget
    compute: Compute
    approve: Callable[[Plan], bool]
    listeners: Sequence[Listener] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    planner: LLM | None = None
    stronger: LLM | None = None
    clean: Callable[[str], str] = lambda text: text
    preferences: str = ""
    steering: Steering | None = None
    approvals: Approvals = field(default_factory=Approvals)
    person: Person | None = None

    def __post_init__(self) -> None:
        self.state = fold(self.log.events)
        self.room = Room(self.log.events)
        self._recorded = RecordedReplies(self.log.events)
        self._emitting = threading.RLock()
        self._purpose = ""  # of the call that goes on
        self._spent: BudgetExhausted | None = None  # why that call is not tried again

    def emit(self, type: EventType, **data: Any) -> None:
        """Logs an event durably, then tells whoever watches. `paused`: seconds of a person's, which do not count."""
        with self._emitting:
            event = self.log.append(type, **data)
            self.state = fold([event], self.state)
            self.budget.pause(data.get("paused", 0.0))
        for listener in self.listeners:
            listener(event)

    def again(self, attempt: Attempt) -> bool:
        """Accounts for a try that came to nothing; whether the budget has room for another."""
        usage, self._spent = attempt.usage, None
        try:
            self.budget.again(attempt.unclear, usage.cost_usd, attempt.pause)
        except BudgetExhausted as error:
            self._spent = error
        self.emit(
            "model.retried",
            purpose=self._purpose,
            error=attempt.why,
            unclear=attempt.unclear,
            pause=round(attempt.pause, 3),
            refused=self._spent is not None,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_usd,
        )
        return self._spent is None

    def heed(self) -> None:
        """Follows what a person has told the run. Raises KeyboardInterrupt where it is to stop."""
        if self.steering is not None:
            self.steering.heed(self)
        if self.stop.is_set():
            raise KeyboardInterrupt

    @property
    def plans(self) -> LLM:
        """Who plans: the planner, or the one model that there is."""
        return self.planner or self.model

    def say(self, purpose: str, messages: Sequence[Message], tools: tuple[ToolSpec, ...], model: LLM) -> Reply:
        """The next turn of a conversation of the executor's, whose messages are in the log already and were made to fit
        `model`. Raises AskAnew."""
        self.heed()
        if self.model is not model:
            raise AskAnew
        try:
            return self._asked(model, purpose, Request(messages=tuple(messages), tools=tools), "")
        except ModelError as error:
            self._sleep(error, lambda: self.model is model)
        raise AskAnew

    def ask(self, purpose: str, prompt: str) -> str:
        """A question to the planner that stands alone."""
        return self._complete(purpose, _question(prompt)).content

    def ask_for(
        self,
        purpose: str,
        prompt: str,
        answer: type[Answer],
        check: Callable[[Answer], object] = lambda _: None,
        schema: dict[str, Any] | None = None,
    ) -> Answer:
        """The planner's structured answer under `answer`'s schema that `check` does not refuse (with ValueError or
        PlanError); one repair is asked for. `schema`: a narrower one, sent in its place. Raises InvalidAnswer, and
        ModelError where there is no answer."""
        messages = [Message(role="user", content=prompt)]
        problem = ""
        for _ in range(2):
            request = Request(
                messages=tuple(messages), answer_name=purpose, answer_schema=schema or answer.model_json_schema()
            )
            reply = self._complete(purpose, request)
            try:
                found = answer_in(reply.content, answer)
                check(found)
                return found
            except (ValueError, PlanError) as error:
                problem = "\n".join(problems(error))[:4000] if isinstance(error, ValidationError) else str(error)
                messages += [
                    Message(role="assistant", content=reply.content),
                    Message(role="user", content=render_prompt("repair", problem=problem)),
                ]
        raise InvalidAnswer(
            f"The model {self.plans.id} gave no valid answer to the {purpose} prompt.",
            problem,
            "Try a stronger model, or --model recipes.",
        )

    def with_preferences(self, prompt: str, most: int | None = None) -> str:
        """The prompt with the person's preferences behind it, at most so many characters of them; the recipes read no
        prose, and get none."""
        if not self.preferences or self.plays_recipes:
            return prompt
        return f"{prompt}\n\n{render_prompt('preferences', text=fenced('preferences', self.preferences[:most]))}"

    @property
    def plays_recipes(self) -> bool:
        """Whether the built-in recipes do all of it, who read the data in a prompt and none of its prose."""
        return self.model.id == "recipes" and self.plans.id == "recipes"

    def summarise(self, transcript: str, known: Handover) -> str:
        """What the executor keeps in place of a conversation that is cut away; `known` is what code keeps of it."""
        prompt = render_prompt("summary", transcript=fenced("transcript", transcript))
        summary = self._complete("summary", _question(prompt), executor=True).content
        if not summary.strip():  # thoughts alone, or a reply that was cut: then what it was to be made of stays
            summary = fenced("transcript", transcript)
        return render_prompt("past", summary=summary, **dict(known))

    def called_away(self) -> str:
        """Why nothing should be waited for any longer, in a few words; empty where there is no reason."""
        if self.stop.is_set():
            return "the run is being stopped"
        if self.steering is not None and self.steering.unheard(self):
            return "a person said something"
        return "" if self.budget.has_seconds(0) else "the run's time is used up"

    def escalate(self) -> bool:
        """Lets the stronger model go on, where there is one that is not at work already."""
        if self.stronger is None or self.stronger.id == self.model.id:
            return False
        text = f"{self.stronger.id} takes over from {self.model.id}, which went in circles"
        self.emit("note", text=text, settings={"executor_model": self.stronger.id})  # after a crash, too
        self.model = self.stronger
        return True

    def _complete(self, purpose: str, request: Request, executor: bool = False) -> Reply:
        """A question that stands alone; one that was answered before a crash is not paid for twice. Raises
        KeyboardInterrupt where the run was told to stop."""

        def model() -> LLM:
            return self.model if executor else self.plans

        self.heed()  # which may bring another model
        while True:
            asked = model()
            digest = request_digest(asked.id, purpose, request)
            if (known := self._recorded.take(digest)) is not None:
                return known
            try:
                return self._asked(asked, purpose, request, digest)
            except ModelError as error:
                self._sleep(error, lambda asked=asked: model() is asked)  # type: ignore[misc]

    def _asked(self, model: LLM, purpose: str, request: Request, digest: str) -> Reply:
        """Held before, settled after; a failed call leaves its mark in the log too. `digest`: empty for a turn of a
        conversation."""
        held = self.budget.reserve(model.ceiling(request))
        self._purpose, self._spent = purpose, None
        self.emit(
            "model.asked",
            purpose=purpose,
            model=model.id,
            messages=len(request.messages),
            chars=sum(len(message.content) for message in request.messages),
            held=held,
            sent=as_data(request.messages) if digest else [],
            digest=digest,
        )
        started = time.monotonic()
        try:
            reply = model.complete(request)
        except ModelError as error:
            self.budget.fail(error.unclear, error.cost_usd)
            self.emit(
                "model.failed",
                purpose=purpose,
                error=str(error),
                unclear=error.unclear,
                input_tokens=error.input_tokens,
                output_tokens=error.output_tokens,
                cost_usd=error.cost_usd,
            )
            if self._spent is not None:  # it would have been tried again
                raise BudgetExhausted(self._spent.what, error.what, self._spent.next) from error
            if isinstance(error, ContextOverflow):
                raise self._learnt(model, error, request) from error
            raise
        seconds = round(time.monotonic() - started, 4)
        self.emit("model.replied", purpose=purpose, digest=digest, seconds=seconds, **recorded_reply(reply))
        self.budget.settle(reply.usage.cost_usd)
        return reply

    def _learnt(self, model: LLM, error: ContextOverflow, request: Request) -> ContextOverflow:
        """The error with what to do about it, after what it says of the model has been noted."""
        if found := self.room.learn(model, error, size(request.messages)):
            text = f"{found['model']} takes less than was assumed: it gets at most {found['chars']} characters"
            self.emit("note", text=f"{text} from now on.", room=found)
        return with_advice(error, model)

    def _sleep(self, error: ModelError, awaited: Callable[[], bool]) -> None:
        """Until the provider takes calls again, or the model is not `awaited` any longer: a person has given another.
        What they say meanwhile is followed. Raises `error` where the provider has not said when, and BudgetExhausted
        where the run's time ends before."""
        if error.wait is None:
            raise error
        end = time.monotonic() + error.wait
        told = False
        while awaited() and (left := end - time.monotonic()) > 0:
            if not self.budget.has_seconds(left):
                what = f"The run's time ends before the model takes calls again, in {words_for(left)}."
                raise BudgetExhausted(what, error.what, "Raise --time-limit, or resume the session then.") from error
            if not told:
                until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + left))
                self.emit("note", text=f"{error.what} It takes calls again at {until}; the run sleeps until then.")
                told = True
            self.stop.wait(min(left, _HEEDS_EVERY))
            self.heed()


def _question(prompt: str) -> Request:
    return Request(messages=(Message(role="user", content=prompt),))
