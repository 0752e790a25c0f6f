"""Questions of the model to the person. Somebody at the terminal is given a while to answer.

Without an answer, what is safe to decide is decided as the model said beforehand, noted, and listed at the end; what is
not is refused. An answer comes as words, whenever it comes: from the terminal or by `ml-intern tell`.
"""

from __future__ import annotations

import hashlib
import json
import time

from ml_intern.agent.context import Context
from ml_intern.read.show import printable
from ml_intern.resources import render_prompt

_LOOK = 0.2  # seconds between two looks for an answer


def put(context: Context, purpose: str, question: str, meanwhile: str, changes: str) -> str:
    """What the model is told. The same question twice, also after a crash, is one. Raises KeyboardInterrupt."""
    digest = hashlib.sha256(json.dumps([purpose, question, meanwhile, changes]).encode()).hexdigest()
    id = context.state.asked.get(digest)
    if id is None:
        id = f"Q{len(context.state.questions) + 1}"
        began = time.monotonic()
        answered = _answered(context, f"{id}: {question}", meanwhile if changes == "nothing" else "")
        outcome = "answered" if answered else "deferred" if changes == "nothing" else "refused"
        paused = time.monotonic() - began
        told = {"id": id, "purpose": purpose, "question": question, "meanwhile": meanwhile, "changes": changes}
        context.emit("question", **told, outcome=outcome, digest=digest, paused=paused)
    known = next(one for one in context.state.questions if one.id == id)
    return render_prompt("question", id=id, outcome=known.outcome, meanwhile=meanwhile, changes=changes)


def _answered(context: Context, question: str, meanwhile: str) -> bool:
    """Whether the person, if one is there, has said something since the question was put."""
    person, steering, seconds = context.person, context.steering, context.approvals.answer_seconds
    if person is None or steering is None or not person.is_there():
        return False
    before = steering.spoken(context)
    otherwise = f"the run goes on with: {meanwhile}" if meanwhile else "the plan stays as it is"
    hint = f"Type an answer; without one in {seconds:.0f} s {otherwise}"
    person.show("\n".join(printable(" ".join(line.split())) for line in (f"The model asks, {question}", hint)))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if steering.spoken(context) > before:
            return True
        if context.stop.wait(_LOOK):
            raise KeyboardInterrupt
    return False
