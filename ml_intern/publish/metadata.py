"""The card's YAML block, as the Hub reads it: licence, what the weights come from, tags and scores."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_intern.plan.amendment import in_force
from ml_intern.plan.plan import Experiment
from ml_intern.publish.facts import Facts

_OWN = "apache-2.0"  # of weights that nothing else binds
_UNKNOWN = "unknown"
# Licences of data that ask nothing of what is trained on them but to be named.
_FREE = re.compile(
    r"apache-2\.0|mit|isc|zlib|unlicense|wtfpl|bsd(-[23]-clause)?|cc0(-1\.0)?|cc-by-[234]\.\d|odc-by(-1\.0)?|pddl(-1\.0)?"
    r"|cdla-permissive-[12]\.0|public-domain|none-needed"
)
# What `license` may be on the Hub; all else is `other` with a name.
_ON_THE_HUB = re.compile(
    r"apache-2\.0|mit|isc|zlib|unlicense|wtfpl|bsd(-[23]-clause)?|afl-3\.0|artistic-2\.0|bsl-1\.0|cc0-1\.0|cc"
    r"|cc-by-[234]\.\d|cc-by-sa-[34]\.0|cc-by-nc-[234]\.0|cc-by-nd-4\.0|cc-by-nc-nd-[34]\.0|cc-by-nc-sa-[234]\.0"
    r"|cdla-(sharing-1|permissive-[12])\.0|agpl-3\.0|l?gpl(-[23]\.[01])?|mpl-2\.0|eupl-1\.[12]|odc-by|odbl|pddl"
    r"|openrail(\+\+)?|creativeml-openrail-m|big(science|code)-openrail-m|bigscience-bloom-rail-1\.0"
    r"|llama2|llama3(\.[1-3])?|llama4|gemma"
)
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


class Licence(BaseModel):
    """Of the published weights. `id`: as the Hub calls it; `other` with a `name` where it has no word for it, where it
    is not known, or where several hold. `why`: in words."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = ""
    link: str = ""
    why: str


def metadata(facts: Facts) -> dict[str, Any]:
    """As a mapping, in the order in which it is written."""
    run, experiment = facts.published, facts.published_experiment
    tags = ["ml-intern", "task" if facts.task else "reproduction", f"scale-{facts.plan.scale}"]
    tags += [f"arxiv:{facts.arxiv_link.partition('/abs/')[2]}"] if facts.arxiv_link else []
    found = licence(facts)
    out: dict[str, Any] = {"license": found.id}
    out |= {"license_name": found.name} if found.name else {}
    out |= {"license_link": found.link} if found.link else {}
    if run is None or experiment is None:
        return out | {"library_name": "pytorch", "tags": tags}
    now = in_force(facts.plan, facts.info.amendments, experiment.id)
    bases = [name for name in _base_models(now) if _is_on_the_hub(name, now)]
    datasets = list(dict.fromkeys(one.id for one in now.resources if one.kind == "dataset"))
    out |= {"base_model": bases} if bases else {}
    out |= {"datasets": datasets} if datasets else {}
    out |= {"library_name": "pytorch", "tags": tags}
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


def licence(facts: Facts) -> Licence:
    """The base model's where training started from one, beside that of data which binds; else free, unless the data's
    licence binds or is not known."""
    experiment = facts.published_experiment
    if experiment is None:
        return Licence(id=_OWN, why="there are no weights; scripts and report are free")
    now = in_force(facts.plan, facts.info.amendments, experiment.id)
    of_data = data_licences(now)
    binding = sorted({_slug(one) or _UNKNOWN for one in of_data if not _FREE.fullmatch(_slug(one))})
    on = f"on {now.data.name} ({', '.join(one or 'its licence is not known' for one in of_data)})"
    if bases := _base_models(now):
        stated = {name: _slug(of) for name, of in bases.items()}
        told = ", ".join(f"{name} ({of or 'its licence is not known'})" for name, of in stated.items())
        on_the_hub = [name for name in bases if _is_on_the_hub(name, now)]
        link = f"https://huggingface.co/{on_the_hub[0]}" if len(bases) == len(on_the_hub) == 1 else ""
        names = {of or _UNKNOWN for of in stated.values()} | {one for one in binding if one != _UNKNOWN}
        return _of(sorted(names), link, f"training started from {told}, and went on {on}")
    why = f"trained from nothing {on}"
    return _of(binding, "", why) if binding else Licence(id=_OWN, why=why)


def data_licences(experiment: Experiment) -> tuple[str, ...]:
    """Of everything that the training data come from, as stated; empty text for what is not known."""
    fetched = [one.licence for one in experiment.resources if one.kind == "dataset"]
    stated = [experiment.data.licence] if experiment.data.licence or not fetched else []
    return tuple(dict.fromkeys((*stated, *fetched)))


def _of(names: list[str], link: str, why: str) -> Licence:
    if len(names) == 1 and _ON_THE_HUB.fullmatch(names[0]):
        return Licence(id=names[0], why=why)
    return Licence(id="other", name="-and-".join(names)[:96], link=link, why=why)


def _base_models(experiment: Experiment) -> dict[str, str]:
    """Id of each model that training could start from, and its licence; empty text where it is not known."""
    fetched = {one.id: one.licence for one in experiment.resources if one.kind == "model"}
    return {one.id: fetched.get(one.id, "") for one in experiment.base_models} | fetched


def _is_on_the_hub(name: str, experiment: Experiment) -> bool:
    if any(one.kind == "model" and one.id == name for one in experiment.resources):
        return True
    local = any(one.id == name and one.path for one in experiment.base_models)
    return not local and _REPOSITORY.fullmatch(name) is not None


def _slug(licence: str) -> str:
    """`CC BY 4.0` as the Hub writes it; empty for what says nothing."""
    slug = re.sub(r"[^a-z0-9.+]+", "-", licence.lower()).strip("-.")
    return "" if slug in ("other", "unknown", "not-stated", "none", "n-a") else slug
