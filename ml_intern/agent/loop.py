"""The executor's loop: ask, carry out, watch for circles, until the work ends. Knows nothing of experiments."""

from __future__ import annotations

from ml_intern.agent.compaction import Memory, size
from ml_intern.agent.context import Context
from ml_intern.agent.doom_loop import Circle, DoomLoopDetector, Step
from ml_intern.agent.ladder import Ladder
from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message, Reply, ToolCall
from ml_intern.resources import render_prompt
from ml_intern.tools.registry import Ended, Toolbox


def work(context: Context, purpose: str, prompt: str, toolbox: Toolbox, ladder: Ladder) -> Ended:
    """Lets the model work until it finishes, gives up, or goes in circles. Raises BudgetExhausted, ModelError."""
    messages = [Message(role="user", content=prompt)]
    doom = DoomLoopDetector()
    memory = Memory(context.model.context_chars, context.summarise)
    try:
        while True:
            reply, messages = _asked(context, purpose, messages, toolbox, memory, doom)
            messages.append(Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls))
            circles = [_step(context, toolbox, doom, call, messages) for call in reply.tool_calls]
            if not reply.tool_calls:
                circles = [doom.see_text(reply.content)]
            told = [ladder.climb(circle, messages) for circle in circles if circle is not None]
            told += [render_prompt("budget", share=share) for share in context.budget.notices()]
            if not reply.tool_calls and not told:
                told = [render_prompt("nudge")]
            if told:
                messages.append(Message(role="user", content="\n".join(told)))
    except Ended as ended:
        return ended


def _asked(
    context: Context, purpose: str, messages: list[Message], toolbox: Toolbox, memory: Memory, doom: DoomLoopDetector
) -> tuple[Reply, list[Message]]:
    """The model's answer, and the conversation that it answered to: shorter where it had to be."""
    before = memory.compactions
    memory.limit = context.model.context_chars  # another model may have taken over
    messages = memory.fitted(messages)
    try:
        reply = context.ask(purpose, messages, toolbox.specs())
    except ContextOverflow:
        messages = memory.shortened(messages)
        reply = context.ask(purpose, messages, toolbox.specs())
    if memory.compactions > before:
        doom.compacted()
        context.emit("note", text=f"{purpose}: the conversation was shortened to {size(messages)} characters")
    return reply, messages


def _step(
    context: Context, toolbox: Toolbox, doom: DoomLoopDetector, call: ToolCall, messages: list[Message]
) -> Circle | None:
    """Carries out one call: intent and result are logged around it. Raises Ended."""
    kind = toolbox.kind(call.name)
    context.emit("tool.intent", id=call.id, name=call.name, arguments=call.arguments, kind=kind)
    try:
        result = toolbox.carry_out(call)
    except Ended:
        context.emit("tool.result", id=call.id, name=call.name, result="ended", failed=False)
        raise
    failed = result.startswith("FAILED")
    context.emit("tool.result", id=call.id, name=call.name, result=result, failed=failed)
    messages.append(Message(role="tool", content=result, tool_call_id=call.id))
    acts = kind != "read-only"
    files = toolbox.files() if acts else {}
    return doom.see(Step(call.name, call.arguments, result, failed, acts, files))
