"""The recipe book: its plans are valid, its patterns find claims, and its scripts do what they are told."""

import hashlib
import threading
from pathlib import Path

import pytest

from ml_intern.judge.laboratory import Laboratory, Places
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.metrics import is_metric
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import Experiment, PaperRef, Plan, Scale
from ml_intern.recipes.book import Recipe, load_book
from tests.support.compute import shared_compute, strongest

BOOK = load_book()
RECIPES = pytest.mark.parametrize("recipe", BOOK, ids=lambda recipe: recipe.id)


def plan_of(recipe: Recipe, scale: Scale) -> Plan:
    """The plan that a paper with every claim of the recipe would get."""
    claims, tests = [], []
    for number, pattern in enumerate((p for p in recipe.claims if p.tests), start=1):
        fields = {"id": f"C{number}", "quote": "q", "anchor": "sec:1/par:1", "subject": f"{recipe.id}/{pattern.id}"}
        fields |= {key: getattr(pattern, key) for key in ("statement", "kind", "method", "metric", "higher_is_better")}
        claims.append(Claim.model_validate(fields))
        tests += [{**test, "claim": f"C{number}"} for test in pattern.tests]
    experiment = Experiment.model_validate({**recipe.at(scale), "tests": tests, "recipe": recipe.id})
    return Plan(paper=PaperRef(title="t", sha256="0"), scale=scale, claims=tuple(claims), experiments=(experiment,))


def laboratory(recipe: Recipe, folder: Path, kind: str) -> Laboratory:
    plan = plan_of(recipe, "smoke")
    places = Places(folder / "scripts", folder / "data", folder / "runs", folder / "predictions")
    places.scripts.mkdir(exist_ok=True)
    for name in recipe.files:
        (places.scripts / name).write_text(recipe.script(name), encoding="utf-8")
    compute, ledger = shared_compute(kind, 1), Ledger(folder / "evidence.jsonl")
    return Laboratory(plan, plan.experiments[0], places, compute, ledger, threading.Event(), lambda type, data: None)


@RECIPES
def test_every_scale_is_a_valid_experiment_with_metrics_that_the_harness_has(recipe: Recipe) -> None:
    for scale in recipe.scales:
        (experiment,) = plan_of(recipe, scale).experiments
        assert all(is_metric(metric.name) for metric in experiment.all_metrics)
        assert (experiment.seeds.explore, experiment.seeds.extra) == (0, 0) or scale != "smoke"


@RECIPES
def test_every_claim_is_tested_or_says_why_not_and_every_recipe_has_a_page(recipe: Recipe) -> None:
    assert all(bool(pattern.tests) != bool(pattern.untested) for pattern in recipe.claims)
    assert (recipe.folder / "README.md").read_text().startswith(f"# {recipe.id}\n")


@RECIPES
def test_the_same_seed_trains_the_same_weights_and_another_variant_other_ones(recipe: Recipe, tmp_path: Path) -> None:
    hashes = []
    # In a plain process and in the sandbox that a person gets, warm start and all: the same bytes.
    for kind, variant in (("none", 0), (strongest(), 0), (strongest(), -1)):
        lab = laboratory(recipe, tmp_path, kind)
        assert "ok in" in lab.smoke(lab.experiment.variants[variant].name)
        weights = max(tmp_path.glob("runs/*/out/model.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        hashes.append(hashlib.sha256(weights.read_bytes()).hexdigest())
    assert hashes[0] == hashes[1] != hashes[2]


SENTENCES = {
    "transformer-ablations/one-head": "While single-head attention is 0.9 BLEU worse than the best setting, it holds.",
    "optimisers/adam-trains-faster": "We find that Adam converges faster than the other methods.",
    "optimisers/adaptive-generalises-worse": "Adaptive methods, Adam among them, generalize worse than SGD.",
    "dropout/less-overfitting": "Dropout significantly reduces overfitting and gives major improvements.",
    "batch-norm/higher-rates": "Batch Normalization allows us to use much higher learning rates.",
    "mixup/more-accurate": "We show that mixup improves the generalization of neural network architectures.",
    "label-smoothing/calibration": "Here, we show that label smoothing also reduces ECE.",
}


@pytest.mark.parametrize("subject", SENTENCES)
def test_a_pattern_knows_its_claim_in_a_papers_words(subject: str) -> None:
    import re

    recipe_id, claim_id = subject.split("/")
    (recipe,) = [recipe for recipe in BOOK if recipe.id == recipe_id]
    found = {claim.id for claim in recipe.claims if re.search(claim.pattern, SENTENCES[subject], re.IGNORECASE)}
    assert found == {claim_id}
