"""The model card: a view of the ledger in the form that the Hub reads."""

from __future__ import annotations

from pathlib import Path

import jinja2
import yaml

from ml_intern.publish.escape import code, md, md_prose, sentence, without_controls
from ml_intern.publish.facts import Facts
from ml_intern.publish.loading import loading_code
from ml_intern.publish.metadata import data_licences, licence, metadata

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Jinja for Markdown; HTML is escaped by its own template's filter."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 -- Markdown; every untrusted value goes through the filters below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=without_controls,
    )
    env.filters |= {"md": md, "prose": md_prose, "sentence": sentence, "code": code}
    return env


def render_card(facts: Facts) -> str:
    template = environment().get_template("card.md.j2")
    block = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, width=110)
    given = {"licence": licence(facts), "data_licences": data_licences, "code": _loading_code(facts)}
    return template.render(facts=facts, metadata=block, **given)


def _loading_code(facts: Facts) -> str:
    """A fenced block of what gets the published weights to work in the published folder; empty where there are none."""
    experiment = facts.published_experiment
    if facts.published is None or experiment is None:
        return ""
    language, code = loading_code(experiment, facts.info.builds_model)
    return f"```{language}\n{code}```"
