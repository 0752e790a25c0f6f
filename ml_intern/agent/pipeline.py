"""A run from paper to published model: each phase does what the session does not hold yet, so a resume goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_intern.agent import phases
from ml_intern.agent.context import Context
from ml_intern.agent.desk import PlanDesk, amendments
from ml_intern.agent.plan_checks import read_plan, without_unfounded
from ml_intern.agent.reading import grounded_again, quotes_of, read_again, read_phase
from ml_intern.agent.review import review
from ml_intern.errors import ApprovalRefused, BudgetExhausted, ContextOverflow, DoomLoop, MlInternError
from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.environment import environment_lock
from ml_intern.judge.evidence import summary
from ml_intern.judge.guards import script_hashes, with_group_guards
from ml_intern.judge.laboratory import Laboratory, Places, wanted_scripts
from ml_intern.judge.ledger import Ledger, canonical_hash, lost_files
from ml_intern.judge.tables import DataError
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.amendment import in_force
from ml_intern.plan.plan import Experiment, Plan, Scale
from ml_intern.plan.plan_file import dump_plan, load_plan
from ml_intern.publish.bundle import PublishInput, publish
from ml_intern.read.paper import Paper
from ml_intern.run.resources.broker import Broker, Provided
from ml_intern.run.resources.resource import Resource
from ml_intern.run.resources.store import Store
from ml_intern.session.disk import sync, sync_tree, write_whole
from ml_intern.session.state import CIRCLED

_CIRCLES_AT_MOST = 2  # experiments given up for going in circles before the run stops


def run(
    context: Context, paper: str, plan_text: str, scale: Scale, out: Path | None, task: str = ""
) -> tuple[Verdict, ...]:
    """All phases, for a paper, a task or a plan. Raises BudgetExhausted, DoomLoop and ContextOverflow only after what
    there is has been judged and published."""
    read = read_phase(context, paper, task) if paper or task else read_again(context, plan_text)
    plan = plan_phase(context, read, plan_text, scale)
    approve_phase(context, plan)
    ledger = Ledger(context.folder.ledger, context.clean)
    mention(context, ledger)
    require_files(context, ledger)
    planned = sum(experiment.runs for experiment in plan.experiments)
    context.emit("phase.started", phase="experiments", runs=max(0, planned - len(ledger.evidence)))
    ended: MlInternError | None = None
    try:
        for experiment in plan.experiments:
            tries_phase(context, read, plan, experiment, ledger)
    except (BudgetExhausted, DoomLoop, ContextOverflow) as error:
        context.emit("note", text=f"Stopped early: {error.what}")
        ended = error
    verdicts = judge_phase(context, plan, ledger)
    publish_phase(context, plan, ledger, verdicts, out)
    if ended is not None:
        raise ended
    return verdicts


def plan_phase(context: Context, paper: Paper | None, plan_text: str, scale: Scale) -> Plan:
    """The session's plan; else the person's; else drafted from the paper's grounded claims."""
    context.emit("phase.started", phase="plan")
    path = context.folder.plan
    if path.exists():
        plan = load_plan(path)
        if not context.state.drafted:
            _tell_plan(context, plan)
        return plan
    if plan_text:
        plan = read_plan(plan_text, builder=context.model.id)
        plan = plan if paper is None else grounded_again(context, plan, paper, plan_text)
        for text in without_unfounded(plan)[1]:  # a person's plan stays as it is, and so do its hash and its seeds
            context.emit("note", text=text)
    else:
        if paper is None:
            raise MlInternError("There is neither a paper, a task nor a plan.", next="Give one of them.")
        plan = phases.draft_plan(context, paper, phases.find_claims(context, paper), scale)
    plan = pinned(plan, broker(context))
    write_whole(path, dump_plan(plan))
    _tell_plan(context, plan)
    return plan


def _tell_plan(context: Context, plan: Plan) -> None:
    context.emit("plan.drafted", digest=plan.digest(), experiments=len(plan.experiments), claims=len(plan.claims))


def broker(context: Context) -> Broker:
    """What fetches models, data sets and packages for this session, and logs it."""

    def tell(resource: Resource, digest: str) -> None:
        context.emit("resource.fetched", name=resource.name, shown=resource.shown, digest=digest)

    return Broker(Store(context.config.store), context.config.max_download, context.config.hub_endpoint, tell)


def pinned(plan: Plan, by: Broker) -> Plan:
    """The plan with every resource at its exact commit and every missing package with its hash; size and licence stand
    in it before a person approves. Raises ResourceError."""
    experiments = [
        one.model_copy(
            update={
                "resources": tuple(by.pin(resource) for resource in one.resources),
                "requirements": by.pin_packages(one.requirements),
            }
        )
        for one in plan.experiments
    ]
    return plan.model_copy(update={"experiments": tuple(experiments)})


def approve_phase(context: Context, plan: Plan) -> None:
    """Frozen by hash once approved; a plan that changed after that needs a new approval, and so does one that came from
    elsewhere: nobody here has seen what it downloads and runs."""
    approved = context.state.plan
    if approved == plan.digest() and not context.state.unapproved:
        return
    if approved and approved != plan.digest():
        raise MlInternError(
            "The plan was changed after it was approved.",
            f"{context.folder.plan} has another hash than the approved plan",
            "Start a new run with `ml-intern run --plan` and the changed file.",
        )
    began = time.monotonic()
    is_approved = context.approve(amended_plan(context, plan) if context.state.unapproved else plan)
    paused = time.monotonic() - began  # the time that a person takes to read it does not count
    if not is_approved:
        context.emit("plan.refused", digest=plan.digest(), paused=paused)
        raise ApprovalRefused(
            "The plan was not approved.", next=f"Edit {context.folder.plan} and run it: ml-intern run --plan FILE"
        )
    context.emit("plan.approved", digest=plan.digest(), paused=paused)


def amended_plan(context: Context, plan: Plan) -> Plan:
    """The plan as it runs, with all that was amended of it: what it fetches and installs then, too."""
    made = amendments(context)
    return plan.model_copy(update={"experiments": tuple(in_force(plan, made, one.id) for one in plan.experiments)})


def tries_phase(context: Context, paper: Paper | None, plan: Plan, experiment: Experiment, ledger: Ledger) -> None:
    """An experiment, and the planner's look at what it brought, who may have it tried once more."""
    again = True
    while again:
        experiment_phase(context, paper, plan, experiment, ledger)
        stop_if_doomed(context, plan)
        again = review(context, plan, experiment, ledger)


def experiment_phase(context: Context, paper: Paper | None, plan: Plan, experiment: Experiment, ledger: Ledger) -> None:
    """Scripts, then confirmation on fresh seeds, then a second look where the first left a claim open."""
    if experiment.id in context.state.blocked:
        return
    if experiment.id not in context.state.built and not build_phase(context, paper, plan, experiment, ledger):
        return
    frozen = context.folder.frozen(experiment.id)
    if context.state.built[experiment.id] != canonical_hash(script_hashes(frozen)):
        raise MlInternError(
            f"The scripts of {experiment.id} were changed after they were frozen.",
            f"{frozen} has another hash than the session's log",
            "Start a new run.",
        )
    laboratory = _laboratory(context, plan, experiment, ledger, frozen=True)
    context.emit("phase.started", phase="confirm", experiment=experiment.id)
    context.heed()
    context.budget.check()
    try:
        laboratory.check_names()  # where the executor did not come to it; what was found stands in each run's record
        laboratory.confirm(experiment.seeds.confirm)
    except DataError as error:  # the model called itself done all the same: nothing can be measured on such data
        reason = f"its data were refused: {error.what} {error.why}".strip()[:1000]
        context.emit("experiment.blocked", experiment=experiment.id, reason=reason)
        return
    if needs_second_look(plan, experiment, ledger.evidence):
        context.emit("note", text=f"{experiment.id}: a claim is inconclusive after the first look; a second follows")
        context.budget.check()
        more = len(experiment.variants) * experiment.seeds.extra
        context.emit("phase.started", phase="second look", experiment=experiment.id, runs=more)
        laboratory.confirm(experiment.seeds.confirm + experiment.seeds.extra)


def build_phase(context: Context, paper: Paper | None, plan: Plan, experiment: Experiment, ledger: Ledger) -> bool:
    """Whether there are scripts now, frozen; else the experiment was given up, which is logged with the reason."""
    context.emit("phase.started", phase="build", experiment=experiment.id)
    laboratory = _laboratory(context, plan, experiment, ledger, frozen=False)
    desk = PlanDesk(context, laboratory, broker(context), lambda amended: provided(context, amended))
    ended = phases.build_scripts(context, paper, laboratory, desk)
    scripts = context.folder.experiment(experiment.id)
    missing = [name for name in wanted_scripts(experiment) if not (scripts / name).is_file()] if ended.done else []
    if missing or not ended.done:
        reason = f"the model said that it was done, without {', '.join(missing)}" if missing else ended.note
        context.emit("experiment.blocked", experiment=experiment.id, reason=reason)
        return False
    frozen = context.folder.frozen(experiment.id)
    laboratory.write_settings()  # whatever the executor's commands have made of them
    freeze(scripts, frozen)
    digest = canonical_hash(script_hashes(frozen))
    context.emit("experiment.built", experiment=experiment.id, scripts=digest, note=ended.note)
    return True


def provided(context: Context, experiment: Experiment) -> Provided:
    """What the experiment names, fetched where it is not at hand."""
    place = context.folder.root / "resources" / experiment.id
    return broker(context).provide(experiment.resources, experiment.requirements, place)


def mention(context: Context, ledger: Ledger) -> None:
    """Logs the evidence that a crash left in the ledger without an event. Raises MlInternError where the log tells of
    runs that the ledger does not hold: nothing is measured again in silence."""
    told = [event.data["run"] for event in context.log.events if event.type == "evidence.recorded"]
    held = [evidence.run_id for evidence in ledger.evidence]
    if held[: len(told)] != told:  # both are written in the same order, the ledger first
        raise MlInternError(
            "The session's evidence is not what its log tells of.",
            f"the log tells of {len(told)} runs, {ledger.path} holds {len(held)}, and they are not the same",
            f"Restore {ledger.path.name} from a copy, or go on from before them with `ml-intern fork --at`.",
        )
    for evidence in ledger.evidence[len(told) :]:
        context.emit("evidence.recorded", **summary(evidence))


def require_files(context: Context, ledger: Ledger) -> None:
    """Raises MlInternError where predictions or labels that the ledger names are gone or changed, as where a disk lost
    them: nobody could check what was measured, and nothing is measured again in silence."""
    lost = list(lost_files(ledger.evidence, context.folder.predictions))
    if not lost:
        return
    runs = {run for run, _ in lost}
    first = min(e.seq for e in context.log.events if e.type == "evidence.recorded" and e.data["run"] in runs)
    raise MlInternError(
        f"Files of {len(runs)} measured runs are gone, or are not what they were.",
        ", ".join(dict.fromkeys(name for _, name in lost))[:500],
        f"Restore them from a copy, or have them measured again: ml-intern fork {context.folder.id} --at {first - 1}",
    )


def stop_if_doomed(context: Context, plan: Plan) -> None:
    """Raises DoomLoop when a second experiment ended in a circle, or when none is left that did not."""
    circled = {name: why for name, why in context.state.blocked.items() if why.startswith(CIRCLED)}
    if len(circled) >= min(_CIRCLES_AT_MOST, len(plan.experiments)):
        raise DoomLoop(
            f"Stopped by the doom-loop cap: {len(circled)} of {len(plan.experiments)} experiments went in circles.",
            "; ".join(f"{name}: {why}" for name, why in circled.items())[:1000],
            "The session's log has every step. Try a stronger model, or edit the plan.",
        )


def freeze(scripts: Path, frozen: Path) -> None:
    """A copy that the executor does not reach; half a copy of an earlier try is thrown away."""
    if frozen.exists():
        shutil.rmtree(frozen)
    frozen.parent.mkdir(parents=True, exist_ok=True)
    part = frozen.with_name(f".{frozen.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(scripts, part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    sync_tree(part)
    part.rename(frozen)
    sync(frozen.parent)


def judge_phase(context: Context, plan: Plan, ledger: Ledger) -> tuple[Verdict, ...]:
    context.emit("phase.started", phase="judge")
    blocked = context.state.blocked
    verdicts = tuple(verdict.explained(blocked) for verdict in decide(plan, with_group_guards(ledger.evidence)))
    context.emit("verdicts", verdicts=[verdict.model_dump(mode="json") for verdict in verdicts])
    return verdicts


def publish_phase(
    context: Context, plan: Plan, ledger: Ledger, verdicts: tuple[Verdict, ...], out: Path | None
) -> None:
    context.emit("phase.started", phase="publish")
    folder = context.folder
    try:
        with context.budget.closing():
            discussion = phases.discuss(context, plan, verdicts)
    except MlInternError as error:
        discussion = ""
        context.emit("note", text=f"No discussion was written: {error.what}")
    state = context.state
    name = "-".join([folder.id, *[experiment.id for experiment in plan.experiments[:1]]])
    target = publish(
        PublishInput(
            plan=plan,
            evidence=with_group_guards(ledger.evidence),
            ledger=folder.ledger,
            verdicts=verdicts,
            experiments={e.id: folder.frozen(e.id) for e in plan.experiments if folder.frozen(e.id).exists()},
            runs=folder.root / "runs",
            predictions=folder.predictions,
            environment_lock=environment_lock() + _layers(amended_plan(context, plan)),
            discussion=discussion,
            notes=state.notes,
            blocked=state.blocked,
            amendments=amendments(context),
            questions=state.questions,
            session=folder.id,
            model=", ".join(state.models) or context.model.id,
            brought=state.brought,
            brought_from=state.brought_from,
            quotes=quotes_of(state),
        ),
        out or context.config.hub / name,
    )
    for report in ("report.md", "report.html"):
        write_whole(folder.root / report, (target / report).read_bytes())
    context.emit("published", path=str(target))


def _laboratory(context: Context, plan: Plan, experiment: Experiment, ledger: Ledger, frozen: bool) -> Laboratory:
    """With all that was amended of the experiment so far."""
    folder = context.folder
    scripts = folder.frozen(experiment.id) if frozen else folder.experiment(experiment.id)
    places = Places(scripts, folder.data(experiment.id), folder.root / "runs", folder.predictions)
    now = in_force(plan, amendments(context), experiment.id)
    things = provided(context, now)
    notify = _notifier(context)
    may_begin = context.budget.check_time
    return Laboratory(plan, now, places, context.compute, ledger, context.stop, notify, things, frozen, may_begin)


def _layers(plan: Plan) -> str:
    """Packages beyond the environment, by experiment, as comments of the published lock."""
    return "".join(
        f"# {experiment.id} only: {one.split()[0]}\n"
        for experiment in plan.experiments
        for one in experiment.requirements
        if " " in one
    )


def _notifier(context: Context) -> Callable[[str, dict[str, Any]], None]:
    def notify(type: str, data: dict[str, Any]) -> None:
        context.emit(type, **json.loads(json.dumps(data)))  # type: ignore[arg-type]

    return notify
