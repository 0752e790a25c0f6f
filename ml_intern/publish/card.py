"""The model card: a view of the ledger in the form that the Hub reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

from ml_intern import __version__
from ml_intern.publish.escape import code, md, md_prose, sentence, without_controls
from ml_intern.publish.facts import Facts

_LANGUAGE_MODEL = """\
from transformers import AutoTokenizer, {kind}

tokenizer = AutoTokenizer.from_pretrained(".")
model = {kind}.from_pretrained(".").eval()
print(model.num_parameters(), "parameters")
"""
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
    metadata = yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True, width=110)
    return template.render(facts=facts, metadata=metadata, version=__version__, code=_loading_code(facts))


def _metadata(facts: Facts) -> dict[str, Any]:
    """The YAML block: licence, tags, and `model-index` with the published run's own sealed scores."""
    tags = ["ml-intern", "task" if facts.task else "reproduction", f"scale-{facts.plan.scale}"]
    out: dict[str, Any] = {"license": "apache-2.0", "library_name": "pytorch", "tags": tags}
    run, experiment = facts.published, facts.published_experiment
    if run is None or experiment is None:
        return out
    metrics = [
        {"type": spec.name, "name": spec.key, "value": measured.value, "verified": False}
        for spec in experiment.metrics
        if (measured := run.metrics.get(spec.key)) is not None and measured.value is not None
    ]
    out["metrics"] = sorted({spec.name for spec in experiment.metrics})
    out["model-index"] = [
        {
            "name": f"{experiment.id}-{run.variant}",
            "results": [
                {
                    "task": {"type": "other", "name": experiment.data.task},
                    "dataset": {"name": experiment.data.name, "type": "other"},
                    "metrics": metrics,
                }
            ],
        }
    ]
    return out


def _loading_code(facts: Facts) -> str:
    """Python that loads the published weights with the experiment's own code, run in the published folder."""
    if facts.published is None:
        return ""
    experiment = facts.published_experiment
    if experiment is not None and experiment.data.task == "language-model":
        masked = any(metric.name == "masked_lm_loss" for metric in experiment.all_metrics)
        return _LANGUAGE_MODEL.format(kind="AutoModelForMaskedLM" if masked else "AutoModelForCausalLM")
    return f"""\
import json, sys
sys.path.insert(0, "experiments/{facts.published.experiment}")
from safetensors.torch import load_file
from train import build_model

model = build_model(json.load(open("config.json")))
model.load_state_dict(load_file("model.safetensors"))
model.eval()
print(sum(p.numel() for p in model.parameters()), "parameters")
"""
