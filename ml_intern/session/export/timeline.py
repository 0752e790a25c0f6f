"""The session as sections of entries: what a page shows, in the order in which it happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ml_intern.session.events import Event
from ml_intern.session.export.messages import Call, Said, cut_off
from ml_intern.session.export.says import Block, Line, Runs, Tone, block, line, runs
from ml_intern.session.export.texts import brief, counted, dollars, duration, iso, number, plain, visible

_OPEN_AT_MOST = 4_000  # characters of the model's prose that stand open
_PARSED_AT_MOST = 400_000
_SHORT = 120
# Shown with the messages, as runs, or as the head of a section.
_ELSEWHERE = (
    "phase.started",
    "tool.intent",
    "tool.result",
    "output.kept",
    "run.started",
    "run.finished",
    "evidence.recorded",
)
# Nobody worked in the time before these; the clock may be another machine's.
_BEGINNINGS = ("session.created", "session.resumed", "session.forked", "session.synced", "log.recovered")


@dataclass
class Entry:
    """`kind` is the class of the mark, `label` its words; `sub` a second line; `notes` are shown at the right."""

    seq: int
    clock: str
    stamp: str
    kind: str
    label: str
    head: str
    sub: str = ""
    tone: Tone = ""
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    open: bool = False
    runs: Runs | None = None
    anchor: str = ""


@dataclass
class Section:
    """One phase, or what lies before the first and after a resume."""

    title: str
    clock: str
    entries: list[Entry] = field(default_factory=list)
    seconds: float = 0.0
    cost: float = 0.0
    unpriced: bool = False
    calls: int = 0

    @property
    def summary(self) -> str:
        parts = [duration(self.seconds)]
        if self.calls:
            parts.append(counted(self.calls, "model call"))
        if self.cost or self.unpriced:
            parts.append(dollars(self.cost) + (" and calls of unknown price" if self.unpriced else ""))
        return ", ".join(parts)

    @property
    def troubles(self) -> int:
        return sum(entry.tone == "bad" for entry in self.entries)


def sections(events: Sequence[Event], said: Sequence[Said]) -> list[Section]:
    builder = _Builder(events, said)
    for event in events:
        builder.see(event)
    return builder.end()


class _Builder:
    def __init__(self, events: Sequence[Event], said: Sequence[Said]) -> None:
        self._start = events[0].time if events else 0.0
        self._said: dict[int, list[Said]] = {}
        for one in said:
            self._said.setdefault(one.seq, []).append(one)
        self._calls = {call.id: call for one in said for call in one.calls}
        self._ended = {event.data.get("run") for event in events if event.type in ("evidence.recorded", "run.finished")}
        self._answered = _answered(events)
        self._several = len({one.model for one in said if one.role == "assistant"}) > 1
        self._sections: list[Section] = []
        self._runs: list[Event] = []
        self._last = events[0].mono if events else 0.0
        self._fates = cut_off(events)

    def see(self, event: Event) -> None:
        self._section(event)
        here = self._sections[-1]
        if event.type not in _BEGINNINGS:
            here.seconds += max(0.0, event.mono - self._last)
        self._last = event.mono
        if event.type in ("evidence.recorded", "run.finished"):
            self._run(event)
            return
        if event.type == "run.started":
            if event.data.get("run") not in self._ended:
                self._run(event)
            return
        self._flush_runs()
        for one in self._said.get(event.seq, ()):
            here.entries.append(self._message(event, one))
        self._event(here, event)

    def end(self) -> list[Section]:
        self._flush_runs()
        seen: Counter[int] = Counter()
        for entry in (entry for section in self._sections for entry in section.entries):
            seen[entry.seq] += 1
            entry.anchor = f"e{entry.seq}" + (f"-{seen[entry.seq]}" if seen[entry.seq] > 1 else "")
        return _with_steps(self._sections)

    def _section(self, event: Event) -> None:
        if event.type == "phase.started":
            self._flush_runs()
            title = " ".join(filter(None, (plain(event.data.get("phase")), plain(event.data.get("experiment")))))
            self._sections.append(Section(visible(title), self._clock(event)))
        elif event.type == "session.resumed" or not self._sections:
            self._flush_runs()
            title = "resumed" if event.type == "session.resumed" else "start"
            self._sections.append(Section(title, self._clock(event)))

    def _event(self, here: Section, event: Event) -> None:
        data = event.data
        if event.type == "model.asked":
            here.calls += 1
            if event.seq not in self._answered:
                here.entries.append(self._entry(event, "model", _unanswered(data)))
        elif event.type == "model.replied":
            here.cost += number(data.get("cost_usd"))
            here.unpriced = here.unpriced or data.get("cost_usd") is None
        elif event.type in ("model.retried", "model.failed"):
            here.cost += number(data.get("cost_usd"))
            if event.type == "model.retried":
                here.entries.append(self._entry(event, "model", line(event)))
        elif self._fates.get(event.seq) == "begun again":
            cut = Line(visible(plain(data.get("name"))), "Cut off by a crash; begun again below.", "warn")
            here.entries.append(self._entry(event, "tool", cut))
        elif event.type not in _ELSEWHERE and not event.type.startswith(("model.", "conversation.")):
            here.entries.append(self._entry(event, "event", line(event)))

    def _run(self, event: Event) -> None:
        if self._runs and _batch(self._runs[-1]) != _batch(event):
            self._flush_runs()
        self._runs.append(event)

    def _flush_runs(self) -> None:
        found, self._runs = self._runs, []
        if not found:
            return
        table = runs([event.data for event in found])
        worst = {row.tone for row in table.rows}
        tone: Tone = "bad" if "bad" in worst else "warn" if "warn" in worst else ""
        outcomes = Counter(row.outcome for row in table.rows)
        head = f"{table.experiment}: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        label = f"{table.phase} run{'s' if len(found) > 1 else ''}".strip()
        entry = self._entry(found[-1], "runs", Line(label, head, tone))
        self._sections[-1].entries.append(replace(entry, runs=table, open=len(found) <= 12))

    def _clock(self, event: Event) -> str:
        total = max(0, int(event.time - self._start))
        hours, rest = divmod(total, 3600)
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"

    def _entry(self, event: Event, kind: str, said: Line) -> Entry:
        head, blocks = said.head, said.blocks
        if len(head) > 600 or head.count("\n") > 3:
            head, blocks = brief(head, 200), (Block("in full", said.head), *blocks)
        return Entry(
            event.seq, self._clock(event), iso(event.time), kind, said.kind, head, tone=said.tone, blocks=blocks
        )

    def _message(self, event: Event, said: Said) -> Entry:
        if said.role == "tool":
            return self._tool(event, said)
        if said.role == "assistant":
            return self._reply(event, said)
        tone: Tone = "bad" if said.notice == "model failed" else "warn" if said.notice == "shortened" else ""
        label = {"model failed": "model failed", "shortened": "shortened", "summary": "summary"}.get(said.notice, "")
        text = block("", said.content, prose=True)
        short = _short(said.content)
        entry = self._entry(event, "prompt", Line(label or self._label("to the model", said), "", tone))
        size = () if short or said.notice else (counted(len(said.content), "character"),)
        head = brief(text.text, _SHORT)
        return replace(entry, head=head, notes=size, blocks=() if short else (text,))

    def _label(self, who: str, said: Said) -> str:
        """With the purpose, where the section does not say it."""
        purpose = visible(said.purpose)
        return who if purpose in ("", self._sections[-1].title) else f"{who}, {purpose}"

    def _reply(self, event: Event, said: Said) -> Entry:
        blocks: tuple[Block, ...] = (block("reasoning", said.reasoning, prose=True),) if said.reasoning else ()
        structured, gist = _structured(said.content)
        names = Counter(visible(call.name) for call in said.calls)
        calls = ", ".join(name + (f" ×{count}" if count > 1 else "") for name, count in names.items())
        short = _short(said.content) and not blocks
        if said.content and not short:
            blocks += (block("answer" if blocks else "", structured or said.content, prose=not structured),)
        head = gist or brief(visible(said.content[:4000]), _SHORT)
        entry = self._entry(event, "model", Line(self._label("model", said), head))
        opened = bool(said.content) and not (short or structured) and len(said.content) <= _OPEN_AT_MOST
        sub = f"calls {calls}" if calls else ""
        return replace(entry, sub=sub, notes=_price(said, self._several), blocks=blocks, open=opened)

    def _tool(self, event: Event, said: Said) -> Entry:
        call = self._calls.get(said.call_id) or Call(
            id="", name=said.tool, arguments=plain(event.data.get("arguments"))
        )
        short, blocks = _arguments(call.arguments)
        blocks += (block("result", said.content),)
        tones: dict[str, Tone] = {"failed": "bad", "unknown": "bad", "not carried out": "warn"}
        entry = self._entry(event, "tool", Line(visible(said.tool), short, tones.get(said.outcome, "")))
        mark = {"failed": "failed", "unknown": "outcome unknown", "not carried out": "not carried out"}
        notes = (mark[said.outcome],) if said.outcome else ()
        return replace(entry, sub=_gist(said), notes=notes, blocks=blocks)


def _with_steps(found: Sequence[Section]) -> list[Section]:
    """Without the phases that had no step of their own, but for the last; their time goes to the one that follows."""
    out: list[Section] = []
    seconds = 0.0
    for place, section in enumerate(found, start=1):
        seconds += section.seconds
        if section.entries or place == len(found):
            out.append(replace(section, seconds=seconds))
            seconds = 0.0
    return out


def _unanswered(data: Mapping[str, Any]) -> Line:
    held = number(data.get("held")) / 1e6
    paid = f" It may have cost up to {dollars(held)}." if held else ""
    asked = f"{visible(plain(data.get('purpose')))}: asked {visible(plain(data.get('model')))}"
    return Line("model", f"{asked}; the log has no answer, the outcome is unknown.{paid}", "bad")


def _answered(events: Sequence[Event]) -> frozenset[int]:
    """`seq` of each question that an answer or a failure followed, before the next question."""
    out: set[int] = set()
    last: int | None = None
    for event in events:
        if event.type == "model.asked":
            last = event.seq
        elif event.type in ("model.replied", "model.failed") and last is not None:
            out.add(last)
            last = None
    return frozenset(out)


def _batch(event: Event) -> tuple[str, str]:
    return plain(event.data.get("experiment")), plain(event.data.get("phase"))


def _price(said: Said, several: bool) -> tuple[str, ...]:
    cost = "price unknown" if said.cost_usd is None else dollars(said.cost_usd) if said.cost_usd else ""
    tokens = f"{said.input_tokens:,} → {said.output_tokens:,} tokens" if said.input_tokens or said.output_tokens else ""
    spent = duration(said.seconds) if said.seconds >= 0.1 else ""
    return tuple(filter(None, (visible(said.model) if several else "", tokens, cost, spent)))


def _short(content: str) -> bool:
    return len(content) <= _SHORT and "\n" not in content.strip()


def _structured(content: str) -> tuple[str, str]:
    """(indented, in a few words) where it is JSON of some size; else nothing."""
    if content.lstrip()[:1] not in ("{", "[") or _short(content) or len(content) > _PARSED_AT_MOST:
        return "", ""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return "", ""
    items = value.items() if isinstance(value, dict) else [("items", value)]
    names = ", ".join(f"{name} ({len(item)})" if isinstance(item, list) else str(name) for name, item in items)
    return json.dumps(value, indent=2, ensure_ascii=False), brief(visible(f"JSON: {names}"), _SHORT)


def _arguments(text: str) -> tuple[str, tuple[Block, ...]]:
    """(the short ones in a line, the long ones as blocks)."""
    try:
        given = json.loads(text or "{}") if len(text) <= 4 * _PARSED_AT_MOST else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return brief(visible(text[:4000]), _SHORT), (block("arguments, not valid JSON", text),)
    short, blocks = [], []
    for name, value in given.items():
        shown = plain(value)
        if len(shown) <= 80 and "\n" not in shown:
            short.append(visible(shown if name == "path" else f"{name} {shown}"))
        else:
            blocks.append(block(visible(name[:80]), shown))
    return brief(", ".join(short), 200), tuple(blocks)


def _gist(said: Said) -> str:
    """The line of a result that says most: of a traceback the last."""
    text = visible(said.content[:2000]) + "\n" + visible(said.content[-2000:])
    if said.outcome == "failed" and "Traceback" in text:
        return brief(text.rstrip().splitlines()[-1], 160)
    return brief(text, 160)
