"""What is done about a circle, rung by rung: say it, have the step revised, ask a stronger model, give up."""

from __future__ import annotations

from typing import Any

from ml_intern.agent.context import Context
from ml_intern.agent.doom_loop import Circle
from ml_intern.errors import ModelError
from ml_intern.llm.protocol import Message
from ml_intern.resources import render_prompt
from ml_intern.session.state import CIRCLED
from ml_intern.tools.registry import Ended, fenced

_TRANSCRIPT_CHARS = 6_000


class Ladder:
    """`about` is what the work is for, as the reviser is shown it. Every rung is an event."""

    def __init__(self, context: Context, about: dict[str, Any]) -> None:
        self._context, self._about = context, about

    def climb(self, circle: Circle, messages: list[Message]) -> str:
        """What to tell the model now. Raises Ended at the last rung: the work is blocked."""
        self._context.emit("doom.warning", text=circle.told, rung=circle.rung, signature=circle.signature)
        if circle.rung == "abandon":
            raise Ended(False, f"{CIRCLED}: {circle.signature} ({circle.count} times)")
        takes_over = circle.rung == "escalate" and self._context.escalate()
        advice = "" if circle.rung == "warn" or takes_over else self._revised(circle, messages)
        what = fenced("output", circle.signature)
        return render_prompt("circle", count=circle.count, signature=what, advice=advice, takes_over=takes_over)

    def _revised(self, circle: Circle, messages: list[Message]) -> str:
        """The planner's advice, with the failed way ruled out; empty where it gives none."""
        said = "\n".join(f"{m.role}: {m.content}" for m in messages if m.content)
        tried = fenced("transcript", said[-_TRANSCRIPT_CHARS:])
        prompt = render_prompt(
            "revise",
            signature=fenced("output", circle.signature),
            count=circle.count,
            experiment=self._about,
            transcript=tried,
        )
        try:
            return self._context.ask("revise", prompt).strip()
        except ModelError:
            return ""
