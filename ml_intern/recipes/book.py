"""The recipe book: small tested experiments, one folder each. Knows nothing of how they are played or run."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from ml_intern.errors import MlInternError
from ml_intern.plan.plan import Scale, Seeds

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's: some ten times as fast, where it was built in
SCRIPTS = ("data.py", "train.py", "predict.py")


class ClaimPattern(BaseModel):
    """A kind of sentence that makes a claim: `pattern` stands in it, and `unless` does not. `tests` are ClaimTests
    without their claim; none, with `untested` why. Of the paper they say nothing: which one makes the claim is not
    known here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    pattern: str
    unless: str = ""
    statement: str
    kind: str
    method: str
    baseline: str = ""
    metric: str
    higher_is_better: bool
    tests: tuple[dict[str, Any], ...] = ()
    untested: str = ""

    @field_validator("pattern", "unless")
    @classmethod
    def _compiles(cls, value: str) -> str:
        re.compile(value, re.IGNORECASE)
        return value

    @field_validator("tests")
    @classmethod
    def _leaves_the_paper_to_speak(cls, tests: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        if any("paper_effect" in test for test in tests):
            raise ValueError("what a paper says comes from the paper at hand, never from a recipe: no paper_effect")
        return tests


class Recipe(BaseModel):
    """recipe.yaml. `subject`: patterns that must all stand in a paper's text. `files`: name in the experiment to path
    from the recipe's folder. `experiment`: a plan's Experiment without tests; `scales` overrides parts of it. In its
    scale_factors and deviations numbers stand as `{steps}`: they are those of the settings at each scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    about: str
    subject: tuple[str, ...]
    claims: tuple[ClaimPattern, ...]
    files: dict[str, str] = {name: name for name in SCRIPTS}
    experiment: dict[str, Any]
    scales: dict[Scale, dict[str, Any]]
    folder: Path

    def fits(self, text: str) -> bool:
        return all(re.search(pattern, text, re.IGNORECASE) for pattern in self.subject)

    def at(self, scale: Scale) -> dict[str, Any]:
        """The experiment at a scale. Raises KeyError where the recipe has no such scale."""
        found = merged(self.experiment, self.scales[scale])
        numbers = _numbers(found, scale)
        found["scale_factors"] = found["scale_factors"].format_map(numbers)
        found["deviations"] = [deviation.format_map(numbers) for deviation in found["deviations"]]
        return found

    def page(self) -> str:
        """What it tests and on what, and its scales."""
        page = (self.folder / "README.md").read_text(encoding="utf-8").rstrip()
        lines = [f"How it differs from a paper: {'; '.join(self.at('small')['deviations'])}.", "", "Scales:", ""]
        for scale in self.scales:
            found = self.at(scale)
            seeds = Seeds.model_validate(found["seeds"])
            more = f", {seeds.extra} more if a claim stays open" if seeds.extra else ""
            run = f"about {found['expected_seconds']:,} s for a run"
            lines.append(f"- {scale}: {found['scale_factors']}; {seeds.confirm} seeds{more}; {run}")
        return "\n".join([page, "", *lines, ""])

    def script(self, name: str) -> str:
        return (self.folder / self.files[name]).read_text(encoding="utf-8")


def _numbers(experiment: dict[str, Any], scale: Scale) -> dict[str, Any]:
    """What a text about the experiment may name: its settings as they are trained with, those of its data, `training`
    (the share of the rows) and `variants` (name to settings)."""
    data = experiment["data"]
    numbers = {**data.get("settings", {}), **experiment["settings"]}
    if scale == "smoke":
        numbers |= experiment["smoke"]
    if data["split"] != "given":
        numbers["training"] = 1 - data["validation"] - data["test"]
    return numbers | {"variants": {one["name"]: one["settings"] for one in experiment["variants"]}}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it, mappings merged key by key."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def load_book(folder: Path | None = None) -> tuple[Recipe, ...]:
    """All recipes, by id: the built-in ones, or those of a folder."""
    return _built_in() if folder is None else _load(folder)


@functools.cache  # they do not change while the program runs
def _built_in() -> tuple[Recipe, ...]:
    return _load(Path(__file__).parent)


def _load(folder: Path) -> tuple[Recipe, ...]:
    recipes = [load_recipe(path.parent) for path in sorted(folder.glob("*/recipe.yaml"))]
    return tuple(sorted(recipes, key=lambda recipe: recipe.id))


def load_recipe(folder: Path) -> Recipe:
    data = yaml.load((folder / "recipe.yaml").read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 (a safe one, by libyaml)
    try:
        return Recipe.model_validate({**data, "folder": folder})
    except (TypeError, ValueError) as error:
        raise MlInternError(f"The recipe in {folder.name} is not valid.", str(error)) from None
