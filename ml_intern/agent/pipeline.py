"""A run from paper to published model: each phase does what the session does not hold yet, so a resume goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_intern.agent import phases
from ml_intern.agent.context import Context
from ml_intern.agent.pdf_inside import pdf_reader
from ml_intern.errors import ApprovalRefused, BudgetExhausted, DoomLoop, MlInternError
from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.evidence import summary
from ml_intern.judge.guards import script_hashes, with_group_guards
from ml_intern.judge.laboratory import Laboratory, Places, environment_lock, wanted_scripts
from ml_intern.judge.ledger import Ledger, canonical_hash
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Experiment, Plan, Scale
from ml_intern.plan.plan_file import dump_plan, load_plan, parse_plan
from ml_intern.publish.bundle import PublishInput, publish
from ml_intern.read.paper import Paper
from ml_intern.read.reader import read_paper
from ml_intern.read.task import read_task
from ml_intern.run.resources.broker import Broker, Provided
from ml_intern.run.resources.resource import Resource
from ml_intern.run.resources.store import Store
from ml_intern.session.disk import sync, sync_tree, write_whole

_CIRCLES_AT_MOST = 2  # experiments given up for going in circles before the run stops


def run(
    context: Context, paper: str, plan_text: str, scale: Scale, out: Path | None, task: str = ""
) -> tuple[Verdict, ...]:
    """All phases, for a paper, a task or a plan. Raises BudgetExhausted and DoomLoop only after what there is has been
    judged and published."""
    read = read_phase(context, paper, task) if paper or task else None
    plan = plan_phase(context, read, plan_text, scale)
    approve_phase(context, plan)
    ledger = Ledger(context.folder.ledger, context.clean)
    mention(context, ledger)
    planned = sum(experiment.runs for experiment in plan.experiments)
    context.emit("phase.started", phase="experiments", runs=max(0, planned - len(ledger.evidence)))
    ended: MlInternError | None = None
    try:
        for experiment in plan.experiments:
            experiment_phase(context, read, plan, experiment, ledger)
            stop_if_doomed(context, plan)
    except (BudgetExhausted, DoomLoop) as error:
        context.emit("note", text=f"Stopped early: {error.what}")
        ended = error
    verdicts = judge_phase(context, plan, ledger)
    publish_phase(context, plan, ledger, verdicts, out)
    if ended is not None:
        raise ended
    return verdicts


def read_phase(context: Context, locator: str, task: str = "") -> Paper:
    """The session's paper; else the one at `locator`, or the words of `task` as one."""
    context.emit("phase.started", phase="read")
    if context.folder.paper.exists():
        paper = Paper.model_validate_json(context.folder.paper.read_bytes())
        if context.state.title:
            return paper
    else:
        read_pdf = pdf_reader(context.compute, context.folder.root / "read", context.stop)
        source = context.folder.source(locator)
        paper = read_task(task) if task else read_paper(source, context.config, read_pdf)
        write_whole(context.folder.paper, paper.model_dump_json(indent=1))
    context.emit(
        "paper.read",
        title=paper.title,
        kind=paper.source.kind,
        sha256=paper.source.sha256,
        sections=len(paper.sections),
        tables=len(paper.tables),
        warnings=list(paper.warnings),
    )
    return paper


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
        plan = parse_plan(plan_text)
    else:
        if paper is None:
            raise MlInternError("There is neither a paper, a task nor a plan.", next="Give one of them.")
        plan = phases.draft_plan(context, paper, phases.find_claims(context, paper), scale)
    plan = pinned(plan, broker(context))
    phases.check_metrics(plan)
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
    if not context.approve(plan):
        context.emit("plan.refused", digest=plan.digest())
        raise ApprovalRefused(
            "The plan was not approved.", next=f"Edit {context.folder.plan} and run it: ml-intern run --plan FILE"
        )
    context.emit("plan.approved", digest=plan.digest())


def experiment_phase(context: Context, paper: Paper | None, plan: Plan, experiment: Experiment, ledger: Ledger) -> None:
    """Scripts, then confirmation on fresh seeds, then a second look where the first left a claim open."""
    folder = context.folder
    state = context.state
    if experiment.id in state.blocked:
        return
    frozen = folder.frozen(experiment.id)
    provided = broker(context).provide(
        experiment.resources, experiment.requirements, folder.root / "resources" / experiment.id
    )
    if experiment.id not in state.built:
        context.emit("phase.started", phase="build", experiment=experiment.id)
        ended = phases.build_scripts(
            context, paper, _laboratory(context, plan, experiment, ledger, provided, frozen=False)
        )
        if not ended.done:
            context.emit("experiment.blocked", experiment=experiment.id, reason=ended.note)
            return
        scripts = folder.experiment(experiment.id)
        if missing := [name for name in wanted_scripts(experiment) if not (scripts / name).is_file()]:
            reason = f"the model said that it was done, without {', '.join(missing)}"
            context.emit("experiment.blocked", experiment=experiment.id, reason=reason)
            return
        freeze(scripts, frozen)
        digest = canonical_hash(script_hashes(frozen))
        context.emit("experiment.built", experiment=experiment.id, scripts=digest, note=ended.note)
    elif state.built[experiment.id] != canonical_hash(script_hashes(frozen)):
        raise MlInternError(
            f"The scripts of {experiment.id} were changed after they were frozen.",
            f"{frozen} has another hash than the session's log",
            "Start a new run.",
        )
    laboratory = _laboratory(context, plan, experiment, ledger, provided, frozen=True)
    context.emit("phase.started", phase="confirm", experiment=experiment.id)
    context.heed()
    context.budget.check()
    laboratory.confirm(experiment.seeds.confirm)
    if needs_second_look(plan, experiment, ledger.evidence):
        context.emit("note", text=f"{experiment.id}: a claim is inconclusive after the first look; a second follows")
        context.budget.check()
        more = len(experiment.variants) * experiment.seeds.extra
        context.emit("phase.started", phase="second look", experiment=experiment.id, runs=more)
        laboratory.confirm(experiment.seeds.confirm + experiment.seeds.extra)


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


def stop_if_doomed(context: Context, plan: Plan) -> None:
    """Raises DoomLoop when a second experiment ended in a circle, or when none is left that did not."""
    circled = {name: why for name, why in context.state.blocked.items() if why.startswith("doom loop")}
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
            environment_lock=environment_lock() + _layers(plan),
            discussion=discussion,
            notes=state.notes,
            blocked=state.blocked,
            amendments=state.amendments,
            session=folder.id,
            model=", ".join(state.models) or context.model.id,
        ),
        out or context.config.hub / name,
    )
    for report in ("report.md", "report.html"):
        write_whole(folder.root / report, (target / report).read_bytes())
    context.emit("published", path=str(target))


def _laboratory(
    context: Context, plan: Plan, experiment: Experiment, ledger: Ledger, provided: Provided, frozen: bool
) -> Laboratory:
    folder = context.folder
    scripts = folder.frozen(experiment.id) if frozen else folder.experiment(experiment.id)
    places = Places(scripts, folder.data(experiment.id), folder.root / "runs", folder.predictions)
    return Laboratory(plan, experiment, places, context.compute, ledger, context.stop, _notifier(context), provided)


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
