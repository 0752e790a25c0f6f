"""The recipe book: small tested experiments, one folder each. Knows nothing of how they are played or run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from ml_intern.errors import MlInternError
from ml_intern.plan.plan import Scale

SCRIPTS = ("data.py", "train.py", "predict.py")


class ClaimPattern(BaseModel):
    """A kind of sentence that makes a claim. `tests` are ClaimTests without their claim; none, with `untested` why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    pattern: str
    statement: str
    kind: str
    method: str
    baseline: str = ""
    metric: str
    higher_is_better: bool
    conditions: dict[str, str] = {}
    tests: tuple[dict[str, Any], ...] = ()
    untested: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        re.compile(value, re.IGNORECASE)
        return value


class Recipe(BaseModel):
    """recipe.yaml. `subject`: patterns that must all stand in a paper's text. `files`: name in the experiment to path
    from the recipe's folder. `experiment`: a plan's Experiment without tests; `scales` overrides parts of it."""

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
        return merged(self.experiment, self.scales[scale])

    def page(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def script(self, name: str) -> str:
        return (self.folder / self.files[name]).read_text(encoding="utf-8")


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it, mappings merged key by key."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def load_book(folder: Path | None = None) -> tuple[Recipe, ...]:
    """All recipes, by id."""
    folder = folder or Path(__file__).parent
    recipes = [load_recipe(path.parent) for path in sorted(folder.glob("*/recipe.yaml"))]
    return tuple(sorted(recipes, key=lambda recipe: recipe.id))


def load_recipe(folder: Path) -> Recipe:
    data = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    try:
        return Recipe.model_validate({**data, "folder": folder})
    except (TypeError, ValueError) as error:
        raise MlInternError(f"The recipe in {folder.name} is not valid.", str(error)) from None
