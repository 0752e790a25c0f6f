"""The phases that need the model: claims, plan, scripts, discussion. Each takes values and returns values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern.agent import questions
from ml_intern.agent.context import Context
from ml_intern.agent.conversation import recorded
from ml_intern.agent.excerpts import cut_into_parts, excerpts, lines
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.agent.outputs import kept_outputs
from ml_intern.agent.plan_checks import check_plan, without_unfounded
from ml_intern.agent.sketch import sketched
from ml_intern.agent.small_steps import SmallSteps, fits_small_steps, takes_small_steps
from ml_intern.agent.task import claims_schema, quotes, task_of, without_threshold
from ml_intern.errors import BudgetExhausted, ContextOverflow, InputError, InvalidAnswer, PlanError
from ml_intern.judge.guards import script_hashes
from ml_intern.judge.laboratory import Laboratory
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.claim import Claim, ClaimProposals, ProposedClaim, TaskClaims
from ml_intern.plan.grounding import Grounded, ground
from ml_intern.plan.plan import Experiment, LeftOut, PaperRef, Plan, Scale
from ml_intern.read.paper import Paper
from ml_intern.recipes.nearest import nearest_recipe
from ml_intern.resources import render_prompt
from ml_intern.session.blobs import Blobs
from ml_intern.tools.bench import Bench, Desk
from ml_intern.tools.families import executor_tools
from ml_intern.tools.registry import Ended, Toolbox, fenced

_EXCERPT_CHARS, _LEAST_EXCERPT, _LEAST_PART = 12_000, 1_500, 2_000
_PREFERENCES_IN_SMALL_STEPS = 1_500  # characters: they stand in every question
_IN_SMALL_STEPS = ", in small steps"  # behind the name of a conversation that could not be held as it began
_CONTEXT_FOR_EXAMPLE = 30_000  # characters


class PlanDraft(BaseModel):
    """Structured answer to the plan prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiments: tuple[Experiment, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def find_claims(context: Context, paper: Paper) -> Grounded:
    """What the model proposes, part by part, and what of it the paper says. Where none of it stands in the paper, or no
    number of a task is taken as one to reach, the model is told so and asked once more. Raises InputError when there is
    no claim at all."""
    proposals = _all_proposed(context, paper)
    grounded = ground(paper, proposals)
    context.emit(
        "claims.grounded",
        proposed=len(proposals),
        kept=len(grounded.claims),
        dropped=list(grounded.dropped),
        findings=[finding.model_dump() for finding in grounded.findings],
    )
    if loose := without_threshold(paper, grounded.claims):
        context.emit("note", text=f"Numbers in the task that are not taken as ones to reach: {', '.join(loose)}")
    if not grounded.claims and context.plans.id != "recipes":
        why = "; ".join(grounded.dropped)[:1000] or "the model proposed none"
        raise InputError(f"No claim of {paper.title!r} could be grounded.", why, "Try another model.")
    return grounded


def _all_proposed(context: Context, paper: Paper) -> list[ProposedClaim]:
    """Part by part; what is left is cut into smaller parts where the model refuses one as too long."""
    kind = "task" if task_of(paper) else "paper"
    found: list[ProposedClaim] = []
    done, left = 0, lines(paper)

    def next_part() -> int:
        """The number of lines that were shown."""
        parts = cut_into_parts(left, max(_LEAST_PART, context.room.of(context.plans) // 2))
        shown = {"text": fenced(kind, "\n".join(parts[0])), "part": done + 1, "parts": done + len(parts)}
        found.extend(_proposed(context, paper, shown))
        return len(parts[0])

    while left or not done:
        left = left[context.room.fitting(lambda: context.plans, next_part) :]
        done += 1
    return found


def _proposed(context: Context, paper: Paper, part: dict[str, Any]) -> tuple[ProposedClaim, ...]:
    """The claims of one part, where need be after a second question."""
    task = bool(task_of(paper))
    prompt, answer, schema = ("task", TaskClaims, claims_schema(paper)) if task else ("claims", ClaimProposals, None)

    def asked(dropped: tuple[str, ...] = (), numbers: tuple[str, ...] = ()) -> tuple[ProposedClaim, ...]:
        again = {"dropped": dropped, "numbers": numbers, "quotes": quotes(paper) if task and dropped else ()}
        told = render_prompt(prompt, title=paper.title, **again, **part)
        return context.ask_for("claims", told, answer, schema=schema).claims

    first = asked()
    kept = ground(paper, first)
    if first and not kept.claims:
        return first + asked(dropped=kept.dropped)
    numbers = without_threshold(paper, ())
    if not numbers or not first or _reaches(kept):
        return first
    second = asked(numbers=numbers)
    return second if _reaches(ground(paper, second)) else first


def _reaches(grounded: Grounded) -> bool:
    return any(claim.kind == "threshold" for claim in grounded.claims)


def draft_plan(context: Context, paper: Paper, grounded: Grounded, scale: Scale) -> Plan:
    """A valid plan for the grounded claims. Raises InputError when the model tests none of them."""
    claims = [claim.model_dump(mode="json") for claim in grounded.claims]
    about = {"task": task_of(paper)} if task_of(paper) else {"paper": paper.title}
    situation = {"scale": scale, "hardware": context.compute.hardware, **about}

    def check(draft: PlanDraft) -> None:
        refuse_own_files(draft.experiments)
        if draft.experiments:
            check_plan(_plan(paper, grounded, scale, draft))

    def in_small_steps() -> PlanDraft:
        experiments, left = sketched(context, about, grounded.claims, scale, whole=bool(task_of(paper)))
        return PlanDraft(experiments=experiments, left_out=left)

    if takes_small_steps(context.room.of(context.plans)):
        draft = in_small_steps()
    else:
        prompt = context.with_preferences(render_prompt("plan", situation=situation, claims=claims))
        try:
            draft = context.ask_for("plan", prompt, PlanDraft, check, plan_schema())
        except (InvalidAnswer, ContextOverflow) as error:
            context.emit("note", text=f"{error.what} It is asked in small steps.")
            try:
                draft = in_small_steps()
            except InvalidAnswer:
                raise error from None
    if not draft.experiments:
        raise _nothing_to_test(context, paper, grounded.claims, draft.left_out)
    plan, dropped = without_unfounded(_plan(paper, grounded, scale, draft))
    for text in dropped:
        context.emit("note", text=text)
    return plan


def _plan(paper: Paper, grounded: Grounded, scale: Scale, draft: PlanDraft) -> Plan:
    """Raises ValueError where the draft does not fit the claims."""
    source = paper.source
    return Plan(
        paper=PaperRef(
            title=paper.title,
            sha256=source.sha256,
            locator=source.locator,
            arxiv_id=source.arxiv_id,
            authors=paper.authors,
            task=task_of(paper),
        ),
        scale=scale,
        claims=grounded.claims,
        left_out=_left_out(grounded, draft),
        experiments=draft.experiments,
        findings=grounded.findings,
        dropped=len(grounded.dropped),
    )


def _left_out(grounded: Grounded, draft: PlanDraft) -> tuple[LeftOut, ...]:
    """Every claim that no experiment tests, with the model's reason where it gave one."""
    tested = {test.claim for experiment in draft.experiments for test in experiment.tests}
    reasons = {left.claim: left.reason for left in draft.left_out}
    untested = [claim.id for claim in grounded.claims if claim.id not in tested]
    return tuple(LeftOut(claim=one, reason=reasons.get(one) or "the model planned no test of it") for one in untested)


def plan_schema() -> dict[str, Any]:
    """What the model is asked for: a plan without the one field that only a person fills in."""
    schema = PlanDraft.model_json_schema()
    del schema["$defs"]["StartingModel"]["properties"]["path"]
    return schema


def refuse_own_files(experiments: Sequence[Experiment]) -> None:
    """Raises PlanError where a draft names a file of this machine: a paper could have talked its model into it."""
    for experiment in experiments:
        if paths := [model.path for model in experiment.base_models if model.path]:
            raise PlanError(
                f"Experiment {experiment.id} would read {paths[0]} of this machine.",
                "only a person's plan file may set the `path` of a base model",
                next="Leave `path` out, and name the model of the Hub under `resources`.",
            )


def _nothing_to_test(
    context: Context, paper: Paper, claims: tuple[Claim, ...], left_out: tuple[LeftOut, ...]
) -> InputError:
    reasons = {left.claim: left.reason for left in left_out}
    seen = "; ".join(f"{claim.id} {claim.statement} ({reasons.get(claim.id, 'not tested')})" for claim in claims)
    words = sum(len(text.split()) for _, text in paper.texts())
    read = f"{paper.title!r} was read: {len(paper.sections)} sections, {len(paper.tables)} tables, {words} words."
    read = f"No experiment was planned for the task {paper.title!r}." if task_of(paper) else read
    if context.plans.id == "recipes":
        why = f"Claims that recipes see in it: {seen or 'none'}. No recipe tests them."
        return InputError(read, why, "`ml-intern recipes` lists what they test; --model ID lets a language model plan.")
    return InputError(read, f"The model {context.plans.id} planned no experiment. Claims: {seen or 'none'}.")


def build_scripts(context: Context, paper: Paper | None, laboratory: Laboratory, desk: Desk) -> Ended:
    """Lets the executor write and try the scripts of one experiment, in a conversation of its own for each try. Where
    the model takes no prompt as long as the first, it gets a shorter one, or small steps."""
    return context.room.fitting(lambda: context.model, lambda: _built(context, paper, laboratory, desk))


def _built(context: Context, paper: Paper | None, laboratory: Laboratory, desk: Desk) -> Ended:
    experiment = laboratory.experiment
    task = task_of(paper) or laboratory.plan.paper.task
    room = context.room.of(context.model)
    most = min(_EXCERPT_CHARS, max(_LEAST_EXCERPT, room // 3))
    shown_paper = fenced("task", task[:most]) if task else fenced("paper", _excerpts(paper, laboratory, most))
    failures = context.state.failures.get(experiment.id, ())
    laboratory.write_settings()
    ruled_out = [fenced("output", reason) for reason in failures]
    shown: dict[str, Any] = {"excerpts": shown_paper, "task": task, "failures": ruled_out}
    purpose = f"build {experiment.id}" + (f", try {len(failures) + 1}" if failures else "")
    small = None
    if takes_small_steps(room) and fits_small_steps(experiment) and not _is_begun(context, purpose):
        if not takes_small_steps(context.model.context_chars):
            purpose += _IN_SMALL_STEPS
        completed = partial(context.with_preferences, most=_PREFERENCES_IN_SMALL_STEPS)
        small = SmallSteps(laboratory, {"experiment": experiment, **shown}, completed)
        prompt = small.question()
    else:
        example = nearest_recipe(laboratory.plan, experiment) if _has_room_for_example(context) else None
        prompt = render_prompt("executor", experiment=experiment.model_dump(mode="json"), example=example, **shown)
        prompt = context.with_preferences(prompt)
    scripts = laboratory.places.scripts
    about = {"id": experiment.id, "title": experiment.title}
    outputs, folder = kept_outputs(context, purpose), context.folder
    place, away, ask = folder.bench(experiment.id), context.called_away, partial(questions.put, context, purpose)
    with Bench(laboratory, context.compute, context.stop, place, paper, desk, outputs, away, ask) as bench:
        tools = small.tools(bench) if small else executor_tools(bench)
        toolbox = Toolbox(tools, lambda: kept_files(scripts, folder.blobs), outputs)
        return work(context, purpose, prompt, toolbox, Ladder(context, about), small)


def _excerpts(paper: Paper | None, laboratory: Laboratory, most: int) -> str:
    """What the experiment's claims stand on."""
    if paper is None:
        return "(the paper is not at hand)"
    wanted = {test.claim for test in laboratory.experiment.tests}
    return excerpts(paper, [claim for claim in laboratory.plan.claims if claim.id in wanted], most)


def _is_begun(context: Context, purpose: str) -> bool:
    """Whether a model that then was believed to have a longer context has answered here: it goes on as it began."""
    talk = recorded(context.log.events, purpose)
    return talk is not None and not talk.untouched and not takes_small_steps(context.model.context_chars)


def _has_room_for_example(context: Context) -> bool:
    """It is longer than all the rest of the prompt: a model of a short context would be left with no room to work."""
    return not context.plays_recipes and context.room.of(context.model) >= _CONTEXT_FOR_EXAMPLE


def kept_files(scripts: Path, blobs: Blobs) -> dict[str, str]:
    """`EXPERIMENT/PATH` to sha256 of the files; each version's content is kept, so that a fork can go back to it."""
    hashes = script_hashes(scripts)
    for name, digest in hashes.items():
        if not blobs.holds(digest):
            blobs.put((scripts / name).read_bytes())
    return {f"{scripts.name}/{name}": digest for name, digest in hashes.items()}


def discuss(context: Context, plan: Plan, verdicts: tuple[Verdict, ...]) -> str:
    """The model's prose about verdicts that it cannot change. Raises BudgetExhausted where the run's time is over: a
    slow model may take minutes for it."""
    if not context.budget.has_seconds(0):
        raise BudgetExhausted("The run's time is used up.")
    shown: list[dict[str, Any]] = [
        verdict.model_dump(mode="json", include={"claim", "outcome", "reason", "setting", "scale"})
        for verdict in verdicts
    ]
    for one, verdict in zip(shown, verdicts, strict=True):
        one["outcome"] = verdict.word
    prompt = render_prompt("discussion", verdicts=shown, task=plan.paper.task)
    return context.ask("discussion", prompt)
