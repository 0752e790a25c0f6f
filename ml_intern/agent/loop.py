"""The executor's loop: ask, carry out, watch for circles, until the work ends. Knows nothing of experiments."""

from __future__ import annotations

from ml_intern.agent.context import Context
from ml_intern.agent.doom_loop import DoomLoopDetector
from ml_intern.llm.protocol import Message, ToolCall
from ml_intern.tools.registry import Ended, Toolbox


def work(context: Context, purpose: str, prompt: str, toolbox: Toolbox) -> Ended:
    """Lets the model work until it finishes or gives up. Raises BudgetExhausted, DoomLoop, ModelError."""
    messages = [Message(role="user", content=prompt)]
    doom = DoomLoopDetector()
    while True:
        reply = context.ask(purpose, messages, toolbox.specs())
        messages.append(Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls))
        if not reply.tool_calls:
            warning = doom.see_text_only()
            messages.append(Message(role="user", content=warning or "The work is open: go on with a tool call."))
        for call in reply.tool_calls:
            try:
                messages.append(_step(context, toolbox, doom, call))
            except Ended as ended:
                context.emit("tool.result", id=call.id, name=call.name, result="ended", failed=False)
                return ended


def _step(context: Context, toolbox: Toolbox, doom: DoomLoopDetector, call: ToolCall) -> Message:
    context.emit("tool.intent", id=call.id, name=call.name, arguments=call.arguments, kind=toolbox.kind(call.name))
    result = toolbox.carry_out(call)
    context.emit("tool.result", id=call.id, name=call.name, result=result, failed=result.startswith("FAILED"))
    warning = doom.see(call, result)
    if warning:
        context.emit("doom.warning", text=warning)
        result = f"{result}\n\n{warning}"
    return Message(role="tool", content=result, tool_call_id=call.id)
