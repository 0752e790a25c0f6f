"""Events in words for a person: a line, what lies under it, and how alarming it is. Knows nothing of HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ml_intern.session.events import Event
from ml_intern.session.export.texts import bounded, brief, counted, dollars, duration, number, plain, visible

Tone = Literal["", "good", "warn", "bad"]
TEXT_LIMIT = 16_000  # characters of one text that a page shows


@dataclass(frozen=True)
class Block:
    """A labelled text below a line, fit to be shown; `left` characters of it were left out. `prose`: not code."""

    label: str
    text: str
    left: int = 0
    prose: bool = False


@dataclass(frozen=True)
class Line:
    kind: str
    head: str
    tone: Tone = ""
    blocks: tuple[Block, ...] = ()


def block(label: str, text: str, prose: bool = False) -> Block:
    shown, left = bounded(text, TEXT_LIMIT)
    return Block(label, visible(shown), left, prose)


def line(event: Event) -> Line:
    """Never fails: what it does not know is shown as it stands."""
    data = event.data
    match event.type:
        case "session.created":
            return Line("session", "Session created", blocks=_table("settings", data.get("settings")))
        case "session.resumed":
            return Line("session", "Session resumed", "warn", _table("settings", data.get("settings")))
        case "session.forked":
            return Line("session", f"Forked from {_text(data, 'origin')} after event {_text(data, 'seq')}", "warn")
        case "session.interrupted":
            return Line("session", "Session interrupted", "warn")
        case "session.finished":
            return Line("session", "Session finished", "good")
        case "session.failed":
            return Line("error", _text(data, "error"), "bad")
        case "sandbox.chosen":
            return Line("sandbox", f"{_text(data, 'kind')}, tier {_text(data, 'tier')}")
        case "log.recovered":
            return Line("log", "A torn end of the log was set aside", "warn", _table("details", data))
        case "note":
            return Line("note", _text(data, "text"))
        case "doom.warning":
            return Line("going in circles", _text(data, "text"), "warn", _table("details", _without(data, "text")))
        case "model.retried":
            again = "was not asked again: the budget has no room" if data.get("refused") else "was asked again"
            return Line("model", f"The model did not answer: {_text(data, 'error')}; it {again}", "warn")
        case "amendment":
            return Line("amendment", _text(data, "reason"), "warn", _table("details", _without(data, "reason")))
        case "plan.reviewed":
            told = f"{_text(data, 'decision')}: {_text(data, 'reason')}"
            return Line("planner", told, blocks=_table("details", _without(data, "reason")))
        case _:
            return _work(event)


def _work(event: Event) -> Line:
    data = event.data
    match event.type:
        case "paper.read":
            return _paper(data)
        case "claims.grounded":
            return _claims(data)
        case "plan.drafted":
            counts = _counts(data, "experiment", "claim")
            return Line("plan", f"Drafted: {counts}", blocks=_table("details", _only(data, "digest")))
        case "plan.approved":
            return Line("plan", "Approved and frozen", "good", _table("details", data))
        case "plan.refused":
            return Line("plan", "Not approved", "bad", _table("details", data))
        case "approval":
            return _approval(data)
        case "question":
            return _question(data)
        case "allowance.held":
            return Line("allowance", f"{_text(data, 'run')}: at most {_allowance(data)} are held for it")
        case "allowance.settled":
            return Line("allowance", f"{_text(data, 'run')}: {_allowance(data)} were used")
        case "resource.fetched":
            return Line("resource", f"{_text(data, 'name')}: {_text(data, 'shown')}", blocks=_table("details", data))
        case "experiment.built":
            note = _text(data, "note")
            return Line("built", f"{_text(data, 'experiment')}: {note}", "good", _table("details", data))
        case "experiment.blocked":
            return Line("given up", f"{_text(data, 'experiment')}: {_text(data, 'reason')}", "bad")
        case "verdicts":
            return Line("verdicts", _counted(data.get("verdicts")))
        case "published":
            return Line("published", _text(data, "path"), "good")
        case _:
            told = ", ".join(f"{name} {plain(value)[:100]}" for name, value in list(data.items())[:8])
            return Line(event.type, brief(visible(told)), blocks=_table("details", data))


def _approval(data: Mapping[str, Any]) -> Line:
    decision = plain(data.get("decision"))
    words = {"allow": "allowed", "refuse": "refused", "stop": "neither allowed nor refused: the run was stopped"}
    said = words.get(decision, visible(decision))
    said += " for the rest of the session" if data.get("scope") == "tool" else ""
    tones: dict[str, Tone] = {"allow": "good", "refuse": "warn"}
    head = f"{_text(data, 'tool')} ({_text(data, 'kind')}): {said}; decided by: {_text(data, 'by')}"
    return Line("approval", head, tones.get(decision, "bad"))


def _question(data: Mapping[str, Any]) -> Line:
    outcomes = {
        "answered": "a person answered",
        "deferred": f"nobody answered; decided: {_text(data, 'meanwhile')}",
        "refused": f"nobody answered, and it would change the plan ({_text(data, 'changes')}), which stayed as it was",
    }
    outcome = plain(data.get("outcome"))
    head = f"{_text(data, 'id')}: {_text(data, 'question')}"
    said = outcomes.get(outcome, visible(outcome))
    return Line(
        "question", f"{brief(head, 200)} ({said})", "good" if outcome == "answered" else "warn", _table("details", data)
    )


def _allowance(data: Mapping[str, Any]) -> str:
    parts = [f"{number(data.get('gpu_seconds')) / 60:.1f} GPU minutes"] if data.get("gpu_seconds") else []
    parts += [dollars(number(data.get("micro")) / 1e6)] if data.get("micro") else []
    return " and ".join(parts) or "nothing"


def _paper(data: Mapping[str, Any]) -> Line:
    counts = _counts(data, "section", "table")
    warned = data.get("warnings")
    warnings = _lines("warnings", warned)
    counts += f", {counted(len(warned), 'warning')}" if isinstance(warned, list) and warned else ""
    if data.get("kind") == "task":
        return Line("task", _text(data, "title"))
    return Line("paper", f"{_text(data, 'title')} ({counts})", "warn" if warnings else "", warnings)


def _claims(data: Mapping[str, Any]) -> Line:
    dropped, findings = data.get("dropped"), data.get("findings")
    found = (
        f"; {counted(len(findings), 'contradiction')} in the paper" if isinstance(findings, list) and findings else ""
    )
    head = f"{_text(data, 'kept')} of {_text(data, 'proposed')} proposed claims stand in the paper{found}"
    return Line("claims", head, blocks=(*_lines("dropped", dropped), *_lines("findings", findings)))


def _counted(verdicts: object) -> str:
    listed = verdicts if isinstance(verdicts, list | tuple) else ()
    outcomes = [_word(one) for one in listed if isinstance(one, dict)]
    return ", ".join(f"{count} {visible(outcome)}" for outcome, count in Counter(outcomes).most_common()) or "none"


def _word(verdict: Mapping[str, Any]) -> str:
    """A task's demand is met or not, where a paper's claim is reproduced or not."""
    outcome = plain(verdict.get("outcome"))
    words = {"reproduced": "met", "partly": "partly met", "not reproduced": "not met"} if verdict.get("task") else {}
    return words.get(outcome, outcome)


@dataclass(frozen=True)
class VerdictRow:
    claim: str
    statement: str
    outcome: str
    tone: Tone
    effect: str
    seeds: int
    setting: str
    reason: str


def verdict_rows(verdicts: Sequence[Mapping[str, Any]], statements: Mapping[str, str]) -> list[VerdictRow]:
    tones: dict[str, Tone] = {"reproduced": "good", "measured": "good", "not reproduced": "bad", "not tested": ""}
    rows = []
    for one in verdicts:
        outcome, claim = plain(one.get("outcome")), plain(one.get("claim"))
        smoke = " (smoke)" if one.get("smoke") and outcome != "not tested" else ""
        row = VerdictRow(
            claim=visible(claim),
            statement=visible(statements.get(claim, "")),
            outcome=visible(_word(one)) + smoke,
            tone=tones.get(outcome, "warn"),
            effect=_effect(one),
            seeds=len(seeds) if isinstance(seeds := one.get("seeds"), list | tuple) else 0,
            setting=visible(plain(one.get("setting"))),
            reason=visible(plain(one.get("reason"))),
        )
        rows.append(row)
    return rows


def _effect(verdict: Mapping[str, Any]) -> str:
    if verdict.get("effect") is None:
        return "–"
    low, high = verdict.get("low"), verdict.get("high")
    interval = "" if low is None or high is None else f" [{number(low):.4g}, {number(high):.4g}]"
    metric = visible(plain(verdict.get("metric")))
    return f"{number(verdict['effect']):.4g}{interval}" + (f" in {metric}" if metric else "")


@dataclass(frozen=True)
class RunRow:
    variant: str
    seed: str
    outcome: str
    tone: Tone
    seconds: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    """Runs of one experiment and phase that follow each other."""

    experiment: str
    phase: str
    metrics: tuple[str, ...]
    rows: tuple[RunRow, ...]


def runs(found: Sequence[Mapping[str, Any]]) -> Runs:
    """`found`: data of evidence.recorded and run.finished, or of a run.started that nothing followed."""
    names = tuple(dict.fromkeys(name for data in found for name in _metrics(data)))
    rows = []
    for data in found:
        values = _metrics(data)
        outcome = plain(data.get("outcome")) or "no end in the log"
        row = RunRow(
            variant=visible(plain(data.get("variant"))),
            seed=plain(data.get("seed")),
            outcome=visible(outcome),
            tone="good" if outcome == "ok" else "bad" if "outcome" in data else "warn",
            seconds=duration(number(data.get("seconds"))) if "seconds" in data else "–",
            metrics=tuple(f"{number(values[name]):.4g}" if values.get(name) is not None else "–" for name in names),
        )
        rows.append(row)
    about = [visible(plain(found[0].get(name))) for name in ("experiment", "phase")] if found else ["", ""]
    return Runs(about[0], about[1], tuple(visible(name) for name in names), tuple(rows))


def _metrics(data: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = data.get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def _counts(data: Mapping[str, Any], *nouns: str) -> str:
    return ", ".join(counted(number(data.get(noun + "s")), noun) for noun in nouns)


def _text(data: Mapping[str, Any], name: str) -> str:
    return block(name, plain(data.get(name))).text


def _table(label: str, data: object) -> tuple[Block, ...]:
    """A mapping as lines of `name: value`, without what is empty."""
    if not isinstance(data, dict):
        return ()
    lines = [f"{name}: {plain(value)}" for name, value in data.items() if value not in (None, "", [], {})]
    return (block(label, "\n".join(lines)),) if lines else ()


def _lines(label: str, items: object) -> tuple[Block, ...]:
    if not isinstance(items, list) or not items:
        return ()
    texts = [plain(one.get("text")) or plain(one) if isinstance(one, dict) else plain(one) for one in items]
    return (block(label, "\n".join(texts)),)


def _without(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def _only(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key == name}
