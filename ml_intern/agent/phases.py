"""The phases that need the model: claims, plan, scripts, discussion. Each takes values and returns values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern.agent.context import Context
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.agent.task import check_task, task_of, without_threshold
from ml_intern.errors import InputError, PlanError
from ml_intern.judge.guards import script_hashes
from ml_intern.judge.laboratory import Laboratory
from ml_intern.judge.language import objectives
from ml_intern.judge.metrics import fits, is_metric, metric_names
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.claim import Claim, ClaimProposals, ProposedClaim
from ml_intern.plan.grounding import Grounded, ground
from ml_intern.plan.plan import Experiment, LeftOut, PaperRef, Plan, Scale
from ml_intern.read.paper import Paper
from ml_intern.resources import render_prompt
from ml_intern.session.blobs import Blobs
from ml_intern.tools.bench import Bench
from ml_intern.tools.families import executor_tools
from ml_intern.tools.registry import Ended, Toolbox, fenced

_EXCERPT_CHARS = 12_000


class PlanDraft(BaseModel):
    """Structured answer to the plan prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiments: tuple[Experiment, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def find_claims(context: Context, paper: Paper) -> Grounded:
    """What the model proposes, part by part, and what of it the paper says. Where none of it stands in the paper, the
    model is told why and asked once more. Raises InputError when there is no claim at all."""
    prompt = "task" if task_of(paper) else "claims"
    parts = [
        fenced("task" if task_of(paper) else "paper", part)
        for part in _parts(paper, max(4_000, context.model.context_chars // 2))
    ]
    proposals: list[ProposedClaim] = []
    for number, text in enumerate(parts, start=1):
        asked = {"title": paper.title, "text": text, "part": number, "parts": len(parts), "recipes": []}
        found = context.ask_for("claims", render_prompt(prompt, **asked, dropped=[]), ClaimProposals).claims
        proposals += found
        kept = ground(paper, found)
        if found and not kept.claims:
            again = render_prompt(prompt, **asked, dropped=kept.dropped)
            proposals += context.ask_for("claims", again, ClaimProposals).claims
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
    if not grounded.claims and context.model.id != "recipes":
        why = "; ".join(grounded.dropped)[:1000] or "the model proposed none"
        raise InputError(f"No claim of {paper.title!r} could be grounded.", why, "Try another model.")
    return grounded


def draft_plan(context: Context, paper: Paper, grounded: Grounded, scale: Scale) -> Plan:
    """A valid plan for the grounded claims. Raises InputError when the model tests none of them."""
    claims = [claim.model_dump(mode="json") for claim in grounded.claims]
    about = {"task": task_of(paper)} if task_of(paper) else {"paper": paper.title}
    situation = {"scale": scale, "hardware": context.compute.hardware, **about}

    def check(draft: PlanDraft) -> None:
        if draft.experiments:
            plan = _plan(paper, grounded, scale, draft)
            check_metrics(plan)
            check_task(plan)

    prompt = context.with_preferences(render_prompt("plan", situation=situation, claims=claims))
    draft = context.ask_for("plan", prompt, PlanDraft, check)
    if not draft.experiments:
        raise _nothing_to_test(context, paper, grounded.claims, draft.left_out)
    return _plan(paper, grounded, scale, draft)


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


def check_metrics(plan: Plan) -> None:
    """Raises PlanError where a metric is neither the harness's for the task nor audited, or is both."""
    for experiment in plan.experiments:
        audited = {metric.name for metric in experiment.audited}
        for metric in experiment.all_metrics:
            if not fits(metric.name, experiment.data.task) and metric.name not in audited:
                raise PlanError(
                    f"Experiment {experiment.id} uses a metric that the harness lacks: {metric.name}.",
                    f"its task is {experiment.data.task}",
                    next=f"Use one of {', '.join(metric_names(experiment.data.task))}, or list it under `audited`.",
                )
        if len(objectives(experiment)) > 1:
            raise PlanError(f"Experiment {experiment.id} measures one model as causal and as masked language model.")
        if taken := sorted(name for name in audited if is_metric(name)):
            raise PlanError(f"Experiment {experiment.id} audits {taken[0]}, which the harness computes itself.")


def _nothing_to_test(
    context: Context, paper: Paper, claims: tuple[Claim, ...], left_out: tuple[LeftOut, ...]
) -> InputError:
    reasons = {left.claim: left.reason for left in left_out}
    seen = "; ".join(f"{claim.id} {claim.statement} ({reasons.get(claim.id, 'not tested')})" for claim in claims)
    words = sum(len(text.split()) for _, text in paper.texts())
    read = f"{paper.title!r} was read: {len(paper.sections)} sections, {len(paper.tables)} tables, {words} words."
    read = f"No experiment was planned for the task {paper.title!r}." if task_of(paper) else read
    if context.model.id == "recipes":
        why = f"Claims that recipes see in it: {seen or 'none'}. No recipe tests them."
        return InputError(read, why, "`ml-intern recipes` lists what they test; --model ID lets a language model plan.")
    return InputError(read, f"The model {context.model.id} planned no experiment. Claims: {seen or 'none'}.")


def build_scripts(context: Context, paper: Paper | None, laboratory: Laboratory) -> Ended:
    """Lets the executor write and try the scripts of one experiment."""
    experiment = laboratory.experiment
    task = task_of(paper) or laboratory.plan.paper.task
    excerpts = fenced("task", task[:_EXCERPT_CHARS]) if task else fenced("paper", _excerpts(paper, laboratory))
    prompt = render_prompt("executor", experiment=experiment.model_dump(mode="json"), excerpts=excerpts, task=task)
    prompt = context.with_preferences(prompt)
    laboratory.write_settings()
    scripts = laboratory.places.scripts
    about = {"id": experiment.id, "title": experiment.title}
    with Bench(laboratory, context.compute, context.stop, context.folder.bench(experiment.id), paper) as bench:
        toolbox = Toolbox(executor_tools(bench), lambda: kept_files(scripts, context.folder.blobs))
        return work(context, f"build {experiment.id}", prompt, toolbox, Ladder(context, about))


def kept_files(scripts: Path, blobs: Blobs) -> dict[str, str]:
    """`EXPERIMENT/PATH` to sha256 of the files; each version's content is kept, so that a fork can go back to it."""
    hashes = script_hashes(scripts)
    for name, digest in hashes.items():
        if not blobs.holds(digest):
            blobs.put((scripts / name).read_bytes())
    return {f"{scripts.name}/{name}": digest for name, digest in hashes.items()}


def discuss(context: Context, plan: Plan, verdicts: tuple[Verdict, ...]) -> str:
    """The model's prose about verdicts that it cannot change."""
    shown: list[dict[str, Any]] = [
        verdict.model_dump(mode="json", include={"claim", "outcome", "reason", "setting", "scale"})
        for verdict in verdicts
    ]
    for one, verdict in zip(shown, verdicts, strict=True):
        one["outcome"] = verdict.word
    prompt = render_prompt("discussion", verdicts=shown, task=plan.paper.task)
    return context.ask("discussion", prompt)


def _parts(paper: Paper, limit: int) -> list[str]:
    """The paper as `[anchor] text` lines, cut into parts of at most `limit` characters."""
    lines = [f"[{anchor}] {' '.join(text.split())}" for anchor, text in paper.texts()]
    for table in paper.tables:
        for row in table.rows:
            pairs = zip(table.columns, row.cells, strict=True)
            cells = ", ".join(f"{column or 'label'}: {cell.text}" for column, cell in pairs if cell.text)
            if row.cells:
                lines.append(f"[{row.cells[0].anchor.rsplit('/col:', 1)[0]}] {cells}")
    parts: list[str] = [""]
    for line in lines:
        if parts[-1] and len(parts[-1]) + len(line) > limit:
            parts.append("")
        parts[-1] += line[:limit] + "\n"
    return parts


def _excerpts(paper: Paper | None, laboratory: Laboratory) -> str:
    """The paragraphs that the experiment's claims stand in, with their sections."""
    if paper is None:
        return "(the paper is not at hand)"
    wanted = {test.claim for test in laboratory.experiment.tests}
    anchors = {claim.anchor.split("/")[0] for claim in laboratory.plan.claims if claim.id in wanted}
    lines = [f"[{anchor}] {text}" for anchor, text in paper.texts() if anchor.split("/")[0] in anchors]
    return "\n".join(lines)[:_EXCERPT_CHARS]
