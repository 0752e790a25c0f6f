"""The executor's loop: ask, carry out, watch for circles, until the work ends. Knows nothing of experiments."""

from __future__ import annotations

from ml_intern.agent.compaction import Memory, size
from ml_intern.agent.context import Context
from ml_intern.agent.conversation import Conversation, as_data, recorded
from ml_intern.agent.doom_loop import Circle, DoomLoopDetector, Step
from ml_intern.agent.ladder import Ladder
from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message
from ml_intern.resources import render_prompt
from ml_intern.tools.registry import Ended, Toolbox


def work(context: Context, purpose: str, prompt: str, toolbox: Toolbox, ladder: Ladder) -> Ended:
    """Lets the model work until it finishes, gives up, or goes in circles; goes on where the log says that it was
    broken off. Raises BudgetExhausted, ModelError."""
    talk = recorded(context.log.events, purpose) or _begun(context, purpose, prompt)
    doom = DoomLoopDetector()
    circles = talk.replayed(doom)
    memory = Memory(context.model.context_chars, context.summarise)
    try:
        while talk.ended is None:
            if not talk.open_turn:
                _hear(context, purpose, talk)
                _ask(context, purpose, talk, toolbox, memory, doom)
            circles += _turn(context, purpose, talk, toolbox, doom)
            _tell(context, purpose, talk, circles, ladder)
            circles = []
    except Ended as ended:
        return ended
    return talk.ended


def _begun(context: Context, purpose: str, prompt: str) -> Conversation:
    context.emit("conversation.started", purpose=purpose, prompt=prompt)
    return Conversation([Message(role="user", content=prompt)])


def _ask(
    context: Context, purpose: str, talk: Conversation, toolbox: Toolbox, memory: Memory, doom: DoomLoopDetector
) -> None:
    """Puts the model's answer into the conversation, which is made shorter where it has to be."""
    memory.limit = context.model.context_chars  # another model may have taken over
    _shorten(context, purpose, talk, memory.fitted(talk.messages), doom)
    try:
        reply = context.say(purpose, talk.messages, toolbox.specs())
    except ContextOverflow:
        _shorten(context, purpose, talk, memory.shortened(talk.messages), doom)
        reply = context.say(purpose, talk.messages, toolbox.specs())
    talk.messages.append(Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls))
    talk.unanswered, talk.begun, talk.open_turn, talk.problem = list(reply.tool_calls), False, True, reply.problem


def _hear(context: Context, purpose: str, talk: Conversation) -> None:
    """Puts what a person said meanwhile into the conversation."""
    if context.steering is not None:
        context.heed()
        talk.messages += [Message(role="user", content=text) for text in context.steering.words(context, purpose)]


def _shorten(
    context: Context, purpose: str, talk: Conversation, messages: list[Message], doom: DoomLoopDetector
) -> None:
    if messages is talk.messages:
        return
    context.emit("conversation.shortened", purpose=purpose, messages=as_data(messages))
    context.emit("note", text=f"{purpose}: the conversation was shortened to {size(messages)} characters")
    talk.messages = messages
    doom.compacted()


def _turn(context: Context, purpose: str, talk: Conversation, toolbox: Toolbox, doom: DoomLoopDetector) -> list[Circle]:
    """Carries out what the last reply asks for. Raises Ended."""
    last = talk.messages[-1]
    circles = [] if last.tool_calls or last.role == "tool" else [doom.see_text(last.content)]
    while talk.unanswered:
        circles.append(_step(context, purpose, talk, toolbox, doom))
    return [circle for circle in circles if circle is not None]


def _step(
    context: Context, purpose: str, talk: Conversation, toolbox: Toolbox, doom: DoomLoopDetector
) -> Circle | None:
    """Carries out the next call: intent and result are logged around it. Raises Ended."""
    call, cut_off = talk.unanswered[0], talk.begun
    kind = toolbox.kind(call.name)
    about = {"purpose": purpose, "id": call.id, "name": call.name}
    if cut_off and not toolbox.repeatable(call.name):
        result = render_prompt("unknown_outcome", tool=call.name)
    else:
        context.emit("tool.intent", **about, arguments=call.arguments, kind=kind)
        try:
            result = toolbox.carry_out(call)
        except Ended as ended:
            context.emit("tool.result", **about, result="ended", failed=False, done=ended.done, note=ended.note)
            raise
    failed = result.startswith("FAILED")
    acts = kind != "read-only"
    files = dict(toolbox.files()) if acts else {}
    context.emit("tool.result", **about, result=result, failed=failed, acts=acts, files=files)
    talk.unanswered.pop(0)
    talk.begun = False
    talk.messages.append(Message(role="tool", content=result, tool_call_id=call.id))
    return doom.see(Step(call.name, call.arguments, result, failed, acts, files))


def _tell(context: Context, purpose: str, talk: Conversation, circles: list[Circle], ladder: Ladder) -> None:
    """What the harness has to say about the turn: circles, the budget, a nudge after mere words."""
    told = [talk.problem] if talk.problem else []
    told += [ladder.climb(circle, talk.messages) for circle in circles]
    told += [render_prompt("budget", share=share) for share in context.budget.notices()]
    if talk.messages[-1].role == "assistant" and not told:
        told = [render_prompt("nudge")]
    if told:
        text = "\n".join(told)
        context.emit("conversation.told", purpose=purpose, text=text)
        talk.messages.append(Message(role="user", content=text))
    talk.open_turn = False
