"""The executor's loop: ask, carry out, watch for circles, until the work ends. Knows nothing of experiments."""

from __future__ import annotations

from ml_intern.agent.compaction import Memory, size
from ml_intern.agent.context import AskAnew, Context
from ml_intern.agent.conversation import Conversation, as_data, recorded
from ml_intern.agent.doom_loop import Circle, DoomLoopDetector, Step
from ml_intern.agent.handover import handover
from ml_intern.agent.ladder import Ladder
from ml_intern.errors import ContextOverflow
from ml_intern.llm.protocol import Message
from ml_intern.resources import render_prompt
from ml_intern.tools.registry import Ended, Toolbox

_REFUSED_AT_MOST = 8  # prompts of one turn that are too long for the model, each shorter than the one before


def work(
    context: Context, purpose: str, prompt: str, toolbox: Toolbox, ladder: Ladder, memory: Memory | None = None
) -> Ended:
    """Lets the model work until it finishes, gives up, or goes in circles; goes on where the log says that it was
    broken off. `memory` decides what the model is still shown. Raises BudgetExhausted, ApprovalRefused, ModelError."""
    talk = recorded(context.log.events, purpose) or _begun(context, purpose, prompt)
    doom = DoomLoopDetector()
    circles = talk.replayed(doom)
    if talk.untouched and talk.messages[0].content != prompt:  # the model refused a longer one
        _shorten(context, purpose, talk, [Message(role="user", content=prompt), *talk.messages[1:]], doom, quiet=True)

    def summarise(transcript: str) -> str:
        return context.summarise(transcript, handover(context.log.events, purpose, toolbox.files()))

    memory = memory or Memory(context.room.of(context.model), summarise, toolbox.outputs)
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
    """Puts the model's answer into the conversation, which is made shorter as often as it has to be."""
    refused = 0
    while True:
        model = context.model
        memory.limit = context.room.of(model)  # another may have taken over, or have refused a longer one
        try:
            _shorten(context, purpose, talk, memory.fitted(talk.messages), doom, memory.quiet)
            reply = context.say(purpose, talk.messages, toolbox.specs(), model)
            break
        except AskAnew:
            _hear(context, purpose, talk)
        except ContextOverflow:
            refused += 1
            if refused == _REFUSED_AT_MOST or context.room.of(context.model) == memory.limit:
                raise
    talk.messages.append(Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls))
    talk.unanswered, talk.begun, talk.open_turn, talk.problem = list(reply.tool_calls), False, True, reply.problem


def _hear(context: Context, purpose: str, talk: Conversation) -> None:
    """Puts what a person said meanwhile into the conversation."""
    if context.steering is not None:
        context.heed()
        talk.messages += [Message(role="user", content=text) for text in context.steering.words(context, purpose)]


def _shorten(
    context: Context,
    purpose: str,
    talk: Conversation,
    messages: list[Message],
    doom: DoomLoopDetector,
    quiet: bool = False,
) -> None:
    if messages is talk.messages:
        return
    context.emit("conversation.shortened", purpose=purpose, messages=as_data(messages))
    if not quiet:
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
    """Carries out the next call, if it is approved of: intent and result are logged around it. Raises Ended and
    ApprovalRefused."""
    call, cut_off = talk.unanswered[0], talk.begun
    kind = toolbox.kind(call.name)
    about = {"purpose": purpose, "id": call.id, "name": call.name}
    if cut_off and not toolbox.repeatable(call.name):
        result = render_prompt("unknown_outcome", tool=call.name)
    elif refused := context.approvals.refusal(context, purpose, call, toolbox):
        result = refused
    else:
        context.emit("tool.intent", **about, arguments=call.arguments, kind=kind)
        try:
            hasty = toolbox.in_order(call.name) and talk.failed_since_asked
            result = render_prompt("hasty", tool=call.name) if hasty else toolbox.carry_out(call)
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
