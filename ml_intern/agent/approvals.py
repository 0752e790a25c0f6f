"""Which tool calls are carried out: a rule, an earlier answer or the class of the tool decides, or a person is asked.

Every decision of a rule or a person is an event, logged before the call is carried out; one that a crash cut off is not
put again. It depends on the call alone: no text that a model read or wrote approves anything. Knows nothing of tools.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel

from ml_intern.agent.person import Person
from ml_intern.errors import ApprovalRefused, InputError
from ml_intern.llm.protocol import ToolCall
from ml_intern.resources import render_prompt
from ml_intern.session.export.texts import visible
from ml_intern.settings import ApprovalRule, Decision, ToolClass
from ml_intern.tools.registry import Toolbox

if TYPE_CHECKING:
    from ml_intern.agent.context import Context

Mode = Literal["never", "external", "all"]
_ASKED: dict[Mode, tuple[ToolClass, ...]] = {
    "never": ("external",),
    "external": ("external",),
    "all": ("workspace", "experiment", "external"),
}
_DOES: dict[ToolClass, str] = {
    "read-only": "only looks",
    "workspace": "acts inside the sandbox",
    "experiment": "runs, or ends, something of the approved plan",
    "external": "brings something from outside",
}
_ANSWERS = {short: answer for answer in ("yes", "always", "no", "stop") for short in (answer, answer[0])}
_MEANS: dict[str, Decision] = {"yes": "allow", "always": "allow", "no": "refuse"}
_FIELDS, _SHOWN = 12, 240  # of a call's arguments, and characters of each, that a person is shown


def checked_mode(mode: str) -> Mode:
    """Raises InputError where there is no such `--approve`."""
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"There is no --approve {mode[:40]!r}.", next=f"Give one of {', '.join(get_args(Mode))}.")


@dataclass(frozen=True)
class Approvals:
    """`rules` come first, in their order. What none of them decides is asked about by `mode`: `external` calls that
    bring something from outside, `all` every call that acts, `never` nothing: what would have to be asked is refused.
    `file` is where the rules stand. `answer_seconds`: how long a question of the model waits at the terminal."""

    rules: Sequence[ApprovalRule] = ()
    mode: Mode = "external"
    file: str = "config.toml"
    answer_seconds: float = 120.0

    def ruled(self, tool: str, kind: ToolClass) -> tuple[Decision, str]:
        """What the rules, and the mode, say of a call before anybody was asked; and which of them says it: `rule N`, or
        `class`."""
        if kind == "read-only":
            return "allow", "class"
        for number, rule in enumerate(self.rules, start=1):
            if rule.fits(tool, kind):
                return rule.do, f"rule {number}"
        return "ask" if kind in _ASKED[self.mode] else "allow", "class"

    def refusal(self, context: Context, purpose: str, call: ToolCall, toolbox: Toolbox) -> str:
        """What the model is told in place of a result; empty where the call may be carried out. Raises ApprovalRefused
        where a person stops the run, or where nobody is there to be asked."""
        kind = toolbox.kind(call.name)
        do, by = self.ruled(call.name, kind)
        digest = _digest(purpose, call)
        known = context.state.decided.get(digest)
        if (do, by, known) == ("allow", "class", None) or (arguments := toolbox.arguments(call)) is None:
            return ""  # where it cannot be carried out, the toolbox says why
        about = {"purpose": purpose, "id": call.id, "tool": call.name, "kind": kind, "call": digest}
        if do == "ask" and call.name in context.state.always:
            do, by = "allow", "an earlier answer"
        elif do == "ask" and self.mode == "never":
            do, by = "refuse", "--approve never"
        if known is not None and do != "refuse":
            do = "allow" if known == "allow" else "refuse"
        elif do == "ask":

            def question() -> str:
                return shown(call.name, kind, arguments, toolbox.about(call), self._why(by))

            do = self._asked(context, about, question, by)
        elif known != do:
            context.emit("approval", **about, decision=do, by=by)
        return "" if do == "allow" else render_prompt("refused", tool=call.name)

    def _asked(self, context: Context, about: dict[str, Any], question: Callable[[], str], by: str) -> Decision:
        """The person's answer, logged; the time that it took does not count."""
        person, began, answer = context.person, time.monotonic(), ""
        if person is not None and person.is_there():
            person.show(question())
            answer = _answered(person, context.stop)
        if context.stop.is_set():
            raise KeyboardInterrupt
        paused = time.monotonic() - began
        decision: Decision | Literal["stop"] = _MEANS.get(answer, "stop")
        scope = "tool" if answer == "always" else "call"
        who = "a person" if answer else "nobody is there"
        context.emit("approval", **about, decision=decision, scope=scope, by=who, paused=paused)
        if decision == "stop":
            raise self._refused(about["tool"], about["kind"], by, stopped=bool(answer))
        return decision

    def _why(self, by: str) -> str:
        if by.startswith("rule "):
            return f"{by} of {self.file} says so"
        if self.mode == "all":
            return "--approve all asks about every call that acts, where no rule decides"
        return f"no rule of {self.file} decides about it"

    def _refused(self, tool: str, kind: str, by: str, *, stopped: bool) -> ApprovalRefused:
        if stopped:
            return ApprovalRefused(
                f"You stopped the run when it asked to call {tool}.", next="Resume it to be asked again."
            )
        return ApprovalRefused(
            f"The model's call of {tool} (class {kind}) needs an approval, and nobody is there to give it.",
            self._why(by),
            f'Add [[approvals.rules]] with tool = "{tool}" and do = "allow" (or "refuse": the model goes on without) '
            f"to {self.file}, or resume on a terminal.",
        )


def _answered(person: Person, stop: threading.Event) -> str:
    """yes, always, no or stop; empty where nobody can answer any more."""
    while (line := person.line(stop)) is not None:
        if answer := _ANSWERS.get(line.strip().lower()):
            return answer
        person.show("That is no answer. y: yes, once; a: always; n: no; s: stop the run.")
    return ""


def shown(tool: str, kind: ToolClass, arguments: BaseModel, brings: str, why: str) -> str:
    """The question to a person: tool, class, arguments in short, what the call `brings`, and why they are asked. A
    value cannot leave its line, steer the terminal, or hide what it holds."""
    given = arguments.model_dump(mode="json")  # what the tool will get, not what the model's JSON may be read as
    lines = [f"The model wants to call {tool} ({kind}: it {_DOES[kind]}):"]
    lines += [f"    {_in_short(name, 60)}: {_in_short(value)}" for name, value in list(given.items())[:_FIELDS]]
    if len(given) > _FIELDS:
        lines.append(f"    … and {len(given) - _FIELDS} arguments more")
    lines += [f"What it brings: {_in_short(brings, 600)}"] if brings else []
    lines += [f"You are asked because {why}.", f"y: yes, once; a: always for {tool} in this session; n: no; s: stop."]
    return "\n".join(lines)


def _in_short(value: object, limit: int = _SHOWN) -> str:
    """JSON in one line; of a long one the beginning and the end, and how much lies between."""
    text = visible(json.dumps(value, ensure_ascii=False))
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail]} … {len(text) - limit} characters … {text[-tail:]}"


def _digest(purpose: str, call: ToolCall) -> str:
    return hashlib.sha256(json.dumps([purpose, call.id, call.name, call.arguments]).encode()).hexdigest()
