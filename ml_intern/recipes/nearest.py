"""The recipe that comes nearest to an experiment: its scripts are an example of the form for whoever writes others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

from ml_intern.plan.plan import Experiment, Plan
from ml_intern.recipes.book import Recipe, load_book


def nearest_recipe(plan: Plan, experiment: Experiment, book: tuple[Recipe, ...] | None = None) -> Recipe | None:
    """Of those with the same task (classification, sequence, …), the one that shares the most telling words with the
    experiment and its claims; None where the book has no recipe with this task."""
    recipes = load_book() if book is None else book
    fitting = [one for one in recipes if one.experiment["data"].get("task", "classification") == experiment.data.task]
    words = {recipe.id: _words(_about(recipe)) for recipe in fitting}
    titles = {recipe.id: _words([recipe.title]) for recipe in fitting}
    spread = Counter(word for own in words.values() for word in own)
    wanted = _words(_wanted(plan, experiment))

    def likeness(recipe: Recipe) -> float:
        return sum(
            math.log((1 + len(fitting)) / spread[word]) ** 2 * (2 if word in titles[recipe.id] else 1)
            for word in wanted & words[recipe.id]
        )

    return max(fitting, key=likeness, default=None)


def _wanted(plan: Plan, experiment: Experiment) -> Iterable[str]:
    tested = {test.claim for test in experiment.tests}
    yield from (experiment.title, experiment.data.name, *experiment.data.inputs)
    yield from (metric.name for metric in experiment.all_metrics)
    for variant in experiment.variants:
        yield from (variant.name, *variant.settings)
    yield from (f"{claim.statement} {claim.method} {claim.baseline}" for claim in plan.claims if claim.id in tested)


def _about(recipe: Recipe) -> Iterable[str]:
    data = recipe.experiment
    yield from (recipe.title, recipe.about, data["data"]["name"], *data["data"]["inputs"])
    for variant in data["variants"]:
        yield from (variant["name"], *variant.get("settings", {}))
    yield from (f"{claim.statement} {claim.method} {claim.baseline} {claim.metric}" for claim in recipe.claims)


def _words(texts: Iterable[str]) -> set[str]:
    """In small letters, without endings that make no difference: `trains` and `training` are `train`."""
    found = re.findall(r"[a-z]{3,}", " ".join(texts).lower().replace("_", " "))
    return {re.sub(r"(ing|ed|es|s)$", "", word) if len(word) > 5 else word for word in found}
