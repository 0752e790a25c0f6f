"""The report: `report.md`, and a self-contained `report.html` with plots. Views of the ledger."""

from __future__ import annotations

from pathlib import Path

import jinja2

from ml_intern.publish.card import TEMPLATES, environment
from ml_intern.publish.escape import sentence, without_controls
from ml_intern.publish.facts import Facts
from ml_intern.publish.plots import curves_svg, effects_svg, strip_svg


def render_report_md(facts: Facts) -> str:
    return environment().get_template("report.md.j2").render(facts=facts)


def render_report_html(facts: Facts, curves: Path) -> str:
    """One page without links to anything outside it; every text is escaped by Jinja."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, finalize=without_controls
    )
    env.filters |= {"sentence": sentence, "opening": lambda text: text[:1].upper() + text[1:]}
    plots = {
        experiment.id: {"curves": curves_svg(facts, experiment.id, curves), "scores": strip_svg(facts, experiment.id)}
        for experiment in facts.plan.experiments
    }
    return env.get_template("report.html.j2").render(facts=facts, effects=effects_svg(facts), plots=plots)
