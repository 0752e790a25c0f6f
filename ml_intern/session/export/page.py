"""The session as one page for a person: no request leaves it, every text in it is escaped, nothing but its own script
may run."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern import __version__
from ml_intern.session.export.messages import messages
from ml_intern.session.export.says import Tone, verdict_rows
from ml_intern.session.export.session import Facts, Session, facts
from ml_intern.session.export.texts import between, bounded, counted, dollars, duration, number, visible
from ml_intern.session.export.timeline import Section, sections

_HERE = Path(__file__).parent
_TROUBLES_AT_MOST = 30


@dataclass(frozen=True)
class Card:
    """`share` of a limit, in 0..1; None where there is no limit."""

    label: str
    value: str
    note: str = ""
    tone: Tone = ""
    share: float | None = None


def page(session: Session) -> str:
    import jinja2
    from markupsafe import Markup

    said = messages(session.events)
    found = facts(session, said)
    parts = sections(session.events, said)
    # Our own two files, which stand in the page as they are; the policy names them by hash.
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        name=visible(session.name),
        id=visible(session.id),
        version=__version__,
        when=between(found.started, found.ended),
        models=visible(", ".join(found.models)),
        sandbox=visible(session.state.sandbox),
        status=session.shown_status,
        status_tone=_tone(session.shown_status),
        error=bounded(visible(session.state.error), 4000)[0],
        cards=_cards(session, found),
        verdicts=verdict_rows(session.state.verdicts, session.statements),
        sections=parts,
        troubles=_troubles(parts),
        most=_TROUBLES_AT_MOST,
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'",
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _tone(status: str) -> Tone:
    return "good" if status == "finished" else "bad" if status == "failed" else "warn"


def _troubles(parts: list[Section]) -> list[tuple[str, str, str]]:
    """(section, anchor of the entry, what it says) of all that went wrong."""
    return [
        (part.title, entry.anchor, " ".join(filter(None, (entry.label, *entry.notes, entry.sub or entry.head)))[:220])
        for part in parts
        for entry in part.entries
        if entry.tone == "bad"
    ]


def _cards(session: Session, found: Facts) -> list[Card]:
    settings: dict[str, Any] = session.state.settings
    calls, money = number(settings.get("max_iterations")), number(settings.get("budget_usd"))
    limit = number(settings.get("time_limit"))
    held = (session.state.held + session.state.held_open) / 1e6
    unknown = ["some calls have no known price"] if found.cost_unknown else []
    unknown += [f"up to {dollars(held)} more for calls whose end is unknown"] if held else []
    tokens = f"{found.input_tokens:,} in, {found.output_tokens:,} out" if found.input_tokens else ""
    tools = [f"{found.tools_failed} failed"] if found.tools_failed else []
    tools += [f"{found.tools_unknown} with unknown outcome"] if found.tools_unknown else []
    resumed = f"resumed {counted(found.resumed, 'time')}" if found.resumed else ""
    return [
        Card(
            "time", duration(found.seconds), _of(limit, duration(limit)) or resumed, share=_share(found.seconds, limit)
        ),
        Card("model calls", f"{found.calls:,}", _of(calls, f"{calls:,.0f}"), share=_share(found.calls, calls)),
        Card(
            "money",
            dollars(found.cost_usd),
            "; ".join(filter(None, [_of(money, dollars(money)), *unknown])),
            "warn" if unknown else "",
            _share(found.cost_usd, money),
        ),
        *([Card("tokens", f"{found.input_tokens + found.output_tokens:,}", tokens)] if tokens else []),
        Card("tool calls", f"{found.tools:,}", ", ".join(tools), "bad" if tools else ""),
        Card(
            "runs",
            f"{found.runs:,}",
            f"{found.runs_failed} failed" if found.runs_failed else "",
            "bad" if found.runs_failed else "",
        ),
    ]


def _of(limit: float, shown: str) -> str:
    return f"of {shown}" if limit else ""


def _share(used: float, limit: float) -> float | None:
    return min(1.0, used / limit) if limit else None
