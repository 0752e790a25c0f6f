"""Notices that an agent goes in circles, and says how far up the ladder each circle has come.

Signals: the same call with the same result; a cycle of such calls; one failure under many arguments, one that a pipe
hides too; a file that goes back and forth between contents; malformed calls; words without action; nothing new for
long. What changes is no loop: polling a log that grows, a sweep over numbers, a failure that was mended. Knows nothing
of models and tools.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ml_intern.agent.failure import failure_detail, failure_signature, is_masked, without_volatile
from ml_intern.agent.shell_work import only_shows, work_of

Rung = Literal["warn", "revise", "escalate", "abandon"]
_LADDER: tuple[Rung, ...] = ("warn", "revise", "escalate", "abandon")
_EVERY = 2  # repetitions from one rung to the next
_REPEATS, _FAILURES, _CHANGING_FAILURES, _TEXTS, _RETURNS, _REVERTS = 3, 3, 6, 2, 2, 3
_IDLE = 12  # steps without anything new
_LOOKING = 40  # steps that only look, however new what they see
_AGAIN = "comes back to the same content"
_IDLE_SIGNATURES = ("nothing new", "only looking")
_BEGUN = re.compile(r"^job (?P<id>\d+) runs in the background")
_ENDED = re.compile(r"^(exit code \d|FAILED)")
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


@dataclass(frozen=True)
class _Kind:
    """Which work a call does: `name` is the tool, with a command's program and its first word. Only the same `of` shows
    that it is mended: a smoke run of the same variant; the very same code, since other code says nothing of it.
    `only_shows`: a command that starts nothing, and prints the failures of others."""

    name: str
    of: str
    only_shows: bool = False


class DoomLoopDetector:
    """`see` and `see_text` give a Circle when a rung of the ladder is reached for the first time, else None. One
    detector serves one piece of work; a signature that comes back after it was mended is not warned of again."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reached: dict[str, int] = {}
        self._results: dict[str, set[str]] = defaultdict(set)
        self._failures: dict[str, set[_Kind]] = {}  # signature to the calls that would show it mended
        self._details: dict[str, list[_Try]] = defaultdict(list)
        self._histories: dict[str, list[str]] = defaultdict(list)
        self._seen: set[str] = set()
        self._jobs: dict[str, _Kind] = {}  # what runs in the background, by its number, which models give as a word too
        self._since_new = self._since_act = 0
        self._steps = 0
        self._counted: dict[str, int] = {}  # signature to the step that it was counted in last

    def compacted(self) -> None:
        """The context was shortened: what was read before may be read again."""
        for signature in [s for s in self._counts if s.startswith("the same call")]:
            self._forget(signature)

    def see_text(self, text: str) -> Circle | None:
        """An answer without a tool call while the work is open."""
        return self._count("words came without a tool call while the work is open", _TEXTS)

    def see(self, step: Step) -> Circle | None:
        """The most pressing circle that this step is part of."""
        self._steps += 1
        self._forget("words came without a tool call while the work is open")
        kind = self._kind(step)
        failed = step.failed or (is_masked(step.result) and not kind.only_shows)
        new = self._is_new(step, failed)
        found = [self._edits(step, new and not failed)]
        if failed:
            found.append(self._failure(step, kind))
        else:
            self._mended(kind, step)
            found.append(self._repeated(step, new))
        found.append(self._idle(step, new))
        circles = [circle for circle in found if circle is not None]
        return max(circles, key=lambda circle: _LADDER.index(circle.rung), default=None)

    def _is_new(self, step: Step, failed: bool) -> bool:
        """A result, or a content of a file, that was not there before."""
        marks = {f"file {path} {digest}" for path, digest in step.files.items()}
        if not failed:
            marks.add(f"result {step.name} {_digest(without_volatile(step.result))}")
        new = bool(marks - self._seen)
        self._seen |= marks
        return new

    def _kind(self, step: Step) -> _Kind:
        """Which work a step does: where it tells how a background run ended, that run's."""
        given = _given(step)
        if begun := _BEGUN.match(step.result):
            self._jobs[begun["id"]] = _kind_of(step.name, given)
        known = self._jobs.get(str(given.get("id"))) if _ENDED.match(step.result) else None
        return known or _kind_of(step.name, given)

    def _repeated(self, step: Step, new: bool) -> Circle | None:
        """The same call with the same result; a cycle of several is several of these."""
        if new and step.acts:
            self.compacted()  # something happened: what was looked at before may be looked at again
        call = f"{step.name} {_canonical(step.arguments)}"
        key = _digest(f"{call}\0{without_volatile(step.result)}")[:8]
        shown = call if len(call) <= 160 else f"{call[:160]}…"
        return self._count(f"the same call with the same result ({key}): {shown}", _REPEATS)

    def _failure(self, step: Step, kind: _Kind) -> Circle | None:
        if _MALFORMED.match(step.result):
            return self._count("malformed calls", _FAILURES)
        signature = f"{kind.name} fails in the same way: {failure_signature(_without_arguments(step))}"
        self._failures.setdefault(signature, set()).add(kind)
        details = self._details[signature]
        details.append(
            _Try(failure_detail(step.result), _canonical(step.arguments), _digest(repr(sorted(step.files.items()))))
        )
        return self._count(signature, _CHANGING_FAILURES if _is_changing(details) else _FAILURES)

    def _mended(self, kind: _Kind, step: Step) -> None:
        """A call that works again has left its failures behind; one that has only begun has not."""
        if not _BEGUN.match(step.result):
            for signature, kinds in list(self._failures.items()):
                if kind in kinds:
                    self._forget(signature)
                    del self._failures[signature]
        self._forget("malformed calls")

    def _edits(self, step: Step, worked: bool) -> Circle | None:
        """A file whose content returns to what it was before: between contents that were there, or each time after a
        new one, as long as nothing comes of it (`worked`: the step brought something new)."""
        circle = None
        changed = {path: digest for path, digest in step.files.items() if self._histories[path][-1:] != [digest]}
        if worked and step.acts and not changed:
            for signature in [one for one in self._counts if one.endswith(_AGAIN)]:
                self._forget(signature)
        for path, digest in changed.items():
            history = self._histories[path]
            returned = digest in history
            history.append(digest)
            signature = f"{path} goes back and forth between the same contents"
            if returned:
                reverts = self._count(f"{path} ({digest[:8]}) {_AGAIN}", _REVERTS)
                circle = self._count(signature, _RETURNS) or reverts or circle
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
        if self._is_told():
            return None
        circle = None
        if self._since_new >= _IDLE and (self._since_new - _IDLE) % 4 == 0:
            circle = self._count("nothing new", 1, f"nothing new came out of the last {self._since_new} steps")
        if self._since_act >= _LOOKING and (self._since_act - _LOOKING) % 10 == 0:
            told = f"the last {self._since_act} steps only looked: nothing was written and nothing was run"
            circle = self._count("only looking", 1, told) or circle
        return circle

    def _is_told(self) -> bool:
        """Whether a circle that was told of still goes on: then that it is idle, too, says no more."""
        recent = [signature for signature, step in self._counted.items() if step > self._steps - _IDLE]
        return any(signature in self._reached and signature not in _IDLE_SIGNATURES for signature in recent)

    def _forget(self, signature: str) -> None:
        self._counts.pop(signature, None)
        self._counted.pop(signature, None)
        self._details.pop(signature, None)

    def _count(self, signature: str, limit: int, told: str = "") -> Circle | None:
        """Rung k is reached at `limit` + 2 k repetitions; each is reported once for each signature."""
        self._counts[signature] += 1
        self._counted[signature] = self._steps
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


def _given(step: Step) -> dict[str, Any]:
    try:
        given = json.loads(step.arguments)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _kind_of(name: str, given: Mapping[str, Any]) -> _Kind:
    command, code, variant = (given.get(key) for key in ("command", "code", "variant"))
    is_command = isinstance(command, str) and bool(command.strip())
    work = work_of(str(command)) if is_command else None
    code = work.code if work else code
    of = _digest(code) if isinstance(code, str) and code else ""
    shows = is_command and only_shows(str(command))
    return _Kind(f"{name} {work.name}" if work else name, f"{variant or ''} {of}", shows)


def _canonical(arguments: str) -> str:
    """The arguments as JSON with sorted keys and folded blanks, so that layout makes no difference."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True, ensure_ascii=False)
    except ValueError:
        return " ".join(arguments.split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # JSON may hold halves of a pair
