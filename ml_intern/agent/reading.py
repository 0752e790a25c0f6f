"""What claims come from, a paper or a task: read once for a session, and once more where a plan by hand names it."""

from __future__ import annotations

from ml_intern.agent.context import Context
from ml_intern.agent.pdf_inside import pdf_reader
from ml_intern.agent.plan_checks import check_quotes
from ml_intern.errors import PaperError, PlanError
from ml_intern.plan.plan import Plan
from ml_intern.plan.plan_file import parse_plan
from ml_intern.read.locate import locate
from ml_intern.read.paper import Paper
from ml_intern.read.reader import PdfReader, read_paper
from ml_intern.read.task import read_task
from ml_intern.session.disk import write_whole
from ml_intern.session.state import State


def read_phase(context: Context, locator: str, task: str = "") -> Paper:
    """The session's paper; else the one at `locator`, or the words of `task` as one."""
    context.emit("phase.started", phase="read")
    if context.folder.paper.exists():
        paper = Paper.model_validate_json(context.folder.paper.read_bytes())
        if context.state.title:
            return paper
    else:
        source = context.folder.source(locator)
        paper = read_task(task) if task else read_paper(source, context.config, _pdf_reader(context))
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


def read_again(context: Context, plan_text: str) -> Paper | None:
    """What a plan by hand was made from, where it can be had as it was; else None, and the log says why. URLs are left
    to the person: nobody has looked at the plan yet."""
    if context.folder.paper.exists():
        return read_phase(context, "")
    if not plan_text or context.folder.plan.exists():
        return None
    named = parse_plan(plan_text).paper
    if named.task:
        return read_phase(context, "", named.task)
    try:
        if not named.locator:
            raise PaperError("The plan does not say where it is.")
        if locate(named.locator).kind == "url":
            raise PaperError("It stands at a URL, which is not fetched on a plan's word.")
        paper = read_paper(named.locator, context.config, _pdf_reader(context))
        if paper.source.sha256 != named.sha256:
            raise PaperError(f"{named.locator} is not what the plan was made from.", "it has another sha256")
    except PaperError as error:
        why = " ".join(f"{error.what} {error.why}".split())
        text = (
            f"The quotes of the plan's claims are not checked against the paper. {why} Give it beside --plan: --paper P"
        )
        context.emit("note", text=text, unchecked=why)
        return None
    write_whole(context.folder.paper, paper.model_dump_json(indent=1))
    return read_phase(context, named.locator)


def grounded_again(context: Context, plan: Plan, paper: Paper, text: str) -> Plan:
    """The plan, the claims of which the paper makes. Raises PlanError where it makes one of them not, or is another."""
    if not plan.paper.task and paper.source.sha256 != plan.paper.sha256:
        raise PlanError(
            "The paper is not the one that the plan was made from.",
            f"its sha256 begins with {paper.source.sha256[:16]}, that in the plan with {plan.paper.sha256[:16]}",
            "Give the paper of the plan, or draft another: ml-intern plan --paper P",
        )
    plan = check_quotes(plan, paper, text)
    number = len(plan.claims)
    context.emit("claims.grounded", proposed=number, kept=number, dropped=[], findings=[])
    return plan


def quotes_of(state: State) -> str:
    """As in `publish.facts.RunInfo`."""
    if state.unchecked or state.grounded or not state.settings.get("plan_text"):
        return state.unchecked or "grounded"
    return "the run began with a plan, before such quotes were checked"


def _pdf_reader(context: Context) -> PdfReader:
    return pdf_reader(context.compute, context.folder.root / "read", context.stop)
