"""Notices that an agent goes in circles, and says how far up the ladder each circle has come.

Signals: the same call with the same result; a cycle of such calls; one failure under many arguments; a file that goes
back and forth between two contents; malformed calls; words without action; nothing new for long. What changes is no
loop: polling a log that grows, a sweep over numbers, a failure that was mended. Knows nothing of models and tools.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ml_intern.agent.failure import failure_detail, failure_signature, without_volatile

Rung = Literal["warn", "revise", "escalate", "abandon"]
_LADDER: tuple[Rung, ...] = ("warn", "revise", "escalate", "abandon")
_EVERY = 2  # repetitions from one rung to the next
_REPEATS, _FAILURES, _CHANGING_FAILURES, _TEXTS, _RETURNS = 3, 3, 6, 2, 2
_IDLE = 12  # steps without anything new
_LOOKING = 40  # steps that only look, however new what they see
_IDLE_SIGNATURES = ("nothing new", "only looking")
_MALFORMED = re.compile(r"^FAILED: (there is no tool|the arguments of)")


@dataclass(frozen=True)
class Step:
    """One tool call with its result. `files`: path to hash of the workspace after it. `acts`: it may change things."""

    name: str
    arguments: str
    result: str
    failed: bool
    acts: bool = True
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Circle:
    """What repeats, how often, and what is to be done about it now."""

    signature: str
    count: int
    rung: Rung

    @property
    def told(self) -> str:
        """In a line, for a person."""
        return f"This repeats ({self.count} times): {self.signature}."


@dataclass(frozen=True)
class _Try:
    """One of several failures with the same signature; `message` keeps its numbers, `files` is a hash."""

    message: str
    arguments: str
    files: str


class DoomLoopDetector:
    """`see` and `see_text` give a Circle when a rung of the ladder is reached for the first time, else None. One
    detector serves one piece of work; a signature that comes back after it was mended is not warned of again."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reached: dict[str, int] = {}
        self._results: dict[str, set[str]] = defaultdict(set)
        self._failures: dict[str, str] = {}  # signature to the kind of call that fails so
        self._details: dict[str, list[_Try]] = defaultdict(list)
        self._histories: dict[str, list[str]] = defaultdict(list)
        self._seen: set[str] = set()
        self._since_new = self._since_act = 0

    def compacted(self) -> None:
        """The context was shortened: what was read before may be read again."""
        for signature in [s for s in self._counts if s.startswith("the same call")]:
            self._forget(signature)

    def see_text(self, text: str) -> Circle | None:
        """An answer without a tool call while the work is open."""
        return self._count("words came without a tool call while the work is open", _TEXTS)

    def see(self, step: Step) -> Circle | None:
        """The most pressing circle that this step is part of."""
        self._forget("words came without a tool call while the work is open")
        new = self._is_new(step)
        found = [self._edits(step)]
        if step.failed:
            found.append(self._failure(step))
        else:
            self._mended(step)
            found.append(self._repeated(step, new))
        idle = self._idle(step, new)
        if not any(self._counts[signature] for signature in self._reached if signature not in _IDLE_SIGNATURES):
            found.append(idle)
        circles = [circle for circle in found if circle is not None]
        return max(circles, key=lambda circle: _LADDER.index(circle.rung), default=None)

    def _is_new(self, step: Step) -> bool:
        """A result, or a content of a file, that was not there before."""
        marks = {f"file {path} {digest}" for path, digest in step.files.items()}
        if not step.failed:
            marks.add(f"result {step.name} {_digest(without_volatile(step.result))}")
        new = bool(marks - self._seen)
        self._seen |= marks
        return new

    def _repeated(self, step: Step, new: bool) -> Circle | None:
        """The same call with the same result; a cycle of several is several of these."""
        if new and step.acts:
            self.compacted()  # something happened: what was looked at before may be looked at again
        call = f"{step.name} {_canonical(step.arguments)}"
        key = _digest(f"{call}\0{without_volatile(step.result)}")[:8]
        shown = call if len(call) <= 160 else f"{call[:160]}…"
        return self._count(f"the same call with the same result ({key}): {shown}", _REPEATS)

    def _failure(self, step: Step) -> Circle | None:
        if _MALFORMED.match(step.result):
            return self._count("malformed calls", _FAILURES)
        signature = f"{_kind(step)} fails in the same way: {failure_signature(_without_arguments(step))}"
        self._failures[signature] = _kind(step)
        details = self._details[signature]
        details.append(
            _Try(failure_detail(step.result), _canonical(step.arguments), _digest(repr(sorted(step.files.items()))))
        )
        return self._count(signature, _CHANGING_FAILURES if _is_changing(details) else _FAILURES)

    def _mended(self, step: Step) -> None:
        """A kind of call that works again has left its failures behind."""
        for signature, kind in list(self._failures.items()):
            if kind == _kind(step):
                self._forget(signature)
                del self._failures[signature]
        self._forget("malformed calls")

    def _edits(self, step: Step) -> Circle | None:
        """A file whose content returns to what it was before, again and again."""
        circle = None
        for path, digest in step.files.items():
            history = self._histories[path]
            if history and history[-1] == digest:
                continue
            returned = digest in history
            history.append(digest)
            signature = f"{path} goes back and forth between the same contents"
            if returned:
                circle = self._count(signature, _RETURNS) or circle
            else:
                self._forget(signature)
        return circle

    def _idle(self, step: Step, new: bool) -> Circle | None:
        self._since_new = 0 if new else self._since_new + 1
        acted = new and step.acts
        self._since_act = 0 if acted else self._since_act + 1
        if new:
            self._forget("nothing new")
        if acted:
            self._forget("only looking")
        circle = None
        if self._since_new >= _IDLE and (self._since_new - _IDLE) % 4 == 0:
            circle = self._count("nothing new", 1, f"nothing new came out of the last {self._since_new} steps")
        if self._since_act >= _LOOKING and (self._since_act - _LOOKING) % 10 == 0:
            told = f"the last {self._since_act} steps only looked: nothing was written and nothing was run"
            circle = self._count("only looking", 1, told) or circle
        return circle

    def _forget(self, signature: str) -> None:
        self._counts.pop(signature, None)
        self._details.pop(signature, None)

    def _count(self, signature: str, limit: int, told: str = "") -> Circle | None:
        """Rung k is reached at `limit` + 2 k repetitions; each is reported once for each signature."""
        self._counts[signature] += 1
        count = self._counts[signature]
        if count < limit:
            return None
        height = min((count - limit) // _EVERY, len(_LADDER) - 1)
        if height <= self._reached.get(signature, -1):
            return None
        self._reached[signature] = height
        return Circle(signature=told or signature, count=count, rung=_LADDER[height])


def _is_changing(tries: list[_Try]) -> bool:
    """Each try was another (other values of the same arguments, or other files) and failed with other numbers: a
    sweep, or work that comes nearer to its aim."""
    shapes = {re.sub(r"\d+(\.\d+)?", "N", one.arguments) for one in tries}
    swept = len(shapes) == 1 and len({one.arguments for one in tries}) == len(tries)
    reworked = len({one.files for one in tries}) == len(tries)
    return len({one.message for one in tries}) == len(tries) and (swept or reworked)


def _without_arguments(step: Step) -> str:
    """The result with quoted values of the call's own arguments folded: the same refusal of another name."""
    try:
        values = json.loads(step.arguments).values()
    except (ValueError, AttributeError):
        return step.result
    result = step.result
    for value in values:
        if isinstance(value, str) and 0 < len(value) <= 200:
            result = result.replace(repr(value), "ARGUMENT").replace(f'"{value}"', "ARGUMENT")
    return result


def _kind(step: Step) -> str:
    """Which work a call does: its name, and for a command the program and its first word."""
    try:
        command = json.loads(step.arguments).get("command", "")
    except (ValueError, AttributeError):
        command = ""
    if not isinstance(command, str) or not command.strip():
        return step.name
    words = [word for word in command.replace("&&", " ").split() if not word.startswith("-") and "=" not in word]
    return " ".join([step.name, *words[:2]])


def _canonical(arguments: str) -> str:
    """The arguments as JSON with sorted keys and folded blanks, so that layout makes no difference."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True, ensure_ascii=False)
    except ValueError:
        return " ".join(arguments.split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
