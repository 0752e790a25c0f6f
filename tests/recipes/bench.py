"""A recipe's experiment as a paper with every claim of it would get it, and its scripts in a laboratory."""

import threading
from pathlib import Path
from typing import Any

from ml_intern.judge.laboratory import Laboratory, Places
from ml_intern.judge.ledger import Ledger
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import Experiment, PaperRef, Plan, Scale
from ml_intern.recipes.book import Recipe, merged
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.spec import RunResult, RunSpec
from tests.support.compute import Shared, shared_compute, strongest


class TrainsPlainly(Shared):
    """Trains in a plain process, and does all else where a person's scripts would run."""

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        if spec.script.name == "train.py":
            return shared_compute("none", 1).execute(spec, stop)
        return super().execute(spec, stop)


def plainly() -> LocalCompute:
    return TrainsPlainly(strongest(), 1)


def as_a_person_gets_it() -> LocalCompute:
    return shared_compute(strongest(), 1)


def plan_of(recipe: Recipe, scale: Scale, changes: dict[str, Any] | None = None) -> Plan:
    """The plan that a paper with every claim of the recipe would get; `changes` are laid on its experiment."""
    claims, tests = [], []
    for number, pattern in enumerate((p for p in recipe.claims if p.tests), start=1):
        fields = {"id": f"C{number}", "quote": "q", "anchor": "sec:1/par:1", "subject": f"{recipe.id}/{pattern.id}"}
        fields |= {key: getattr(pattern, key) for key in ("statement", "kind", "method", "metric", "higher_is_better")}
        claims.append(Claim.model_validate(fields))
        tests += [{**test, "claim": f"C{number}"} for test in pattern.tests]
    given = {**recipe.at(scale), "tests": tests, "recipe": recipe.id}
    experiment = Experiment.model_validate(merged(given, changes or {}))
    return Plan(paper=PaperRef(title="t", sha256="0"), scale=scale, claims=tuple(claims), experiments=(experiment,))


def laboratory(
    recipe: Recipe, folder: Path, compute: LocalCompute, changes: dict[str, Any] | None = None
) -> Laboratory:
    plan = plan_of(recipe, "smoke", changes)
    places = Places(folder / "scripts", folder / "data", folder / "runs", folder / "predictions")
    places.scripts.mkdir(exist_ok=True)
    for name in recipe.files:
        (places.scripts / name).write_text(recipe.script(name), encoding="utf-8")
    ledger = Ledger(folder / "evidence.jsonl")
    return Laboratory(plan, plan.experiments[0], places, compute, ledger, threading.Event(), lambda type, data: None)
