"""The recipe book: its plans are valid, its patterns find claims, and its scripts do what they are told."""

import hashlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from ml_intern.judge.metrics import is_metric
from ml_intern.llm.protocol import Message, Request
from ml_intern.plan.plan import Scale
from ml_intern.recipes.book import ClaimPattern, Recipe, load_book
from ml_intern.recipes.player import RecipesModel
from tests.recipes.bench import as_a_person_gets_it, laboratory, plainly, plan_of

BOOK = load_book()
RECIPES = pytest.mark.parametrize("recipe", BOOK, ids=lambda recipe: recipe.id)


@RECIPES
def test_every_scale_is_a_valid_experiment_with_metrics_that_the_harness_has(recipe: Recipe) -> None:
    for scale in recipe.scales:
        (experiment,) = plan_of(recipe, scale).experiments
        assert all(is_metric(metric.name) for metric in experiment.all_metrics)
        assert (experiment.seeds.explore, experiment.seeds.extra) == (0, 0) or scale != "smoke"


@RECIPES
def test_there_is_a_smoke_a_small_and_a_paper_scale_each_larger_than_the_one_before(recipe: Recipe) -> None:
    assert tuple(recipe.scales) == get_args(Scale)
    sizes = [plan_of(recipe, scale).experiments[0] for scale in get_args(Scale)]
    assert [one.seeds.confirm for one in sizes] == sorted({one.seeds.confirm for one in sizes})
    assert [one.settings["steps"] for one in sizes] == sorted({one.settings["steps"] for one in sizes})
    assert sizes[-1].timeout_seconds >= 4 * sizes[-1].expected_seconds


@RECIPES
def test_what_it_says_of_its_size_is_what_its_scripts_are_given_at_each_scale(recipe: Recipe) -> None:
    written = "; ".join([recipe.experiment["scale_factors"], *recipe.experiment["deviations"]])
    bare = re.sub(r"\{.*?\}|8×8", "", written)
    assert not re.search(r"\d", bare), "a number stands there as {name}, from the settings"
    for scale in recipe.scales:
        assert not {"scale_factors", "deviations"} & set(recipe.scales[scale])
        (experiment,) = plan_of(recipe, scale).experiments
        trained = experiment.settings | (experiment.smoke if scale == "smoke" else {})
        assert f"{trained['steps']:,} steps" in experiment.scale_factors
        assert re.search(rf"\b{trained['layers']} × \d", experiment.scale_factors)


@RECIPES
def test_a_recipe_says_nothing_of_the_paper_that_makes_its_claims(recipe: Recipe) -> None:
    said = [recipe.experiment["scale_factors"], *recipe.experiment["deviations"], recipe.page()]
    said += [text for one in recipe.claims for text in (one.id, one.statement, one.method, one.baseline, one.metric)]
    said += [claim.untested for claim in recipe.claims]
    names = (
        r"(?i)CIFAR|ImageNet|MNIST|STL\b|SVHN|WMT|ResNet|\((big|base)\)|the article|the paper (gives|uses)|instead of"
    )
    assert not [text for text in said if re.search(names, text)]
    arms = [text for claim in recipe.claims for text in (claim.method, claim.baseline)]
    assert not [text for text in arms if re.search(r"\d", text)], "which values a paper takes is not known here"
    assert any("the paper's own data and model are not used" in text for text in said)
    pattern = {**recipe.claims[0].model_dump(), "tests": [{"kind": "direction", "paper_effect": "60.3 against 57.8"}]}
    with pytest.raises(ValueError, match="comes from the paper at hand"):
        ClaimPattern.model_validate(pattern)


def test_a_sum_of_sines_is_extrapolated_only_where_a_paper_claims_it() -> None:
    assert next(recipe for recipe in BOOK if recipe.id == "periodic-sum").experiment["data"]["settings"][
        "frequencies"
    ] == [1.0, 4.0]
    one = "Only snake is able to capture the periodic behavior of sin(x)."
    both = "Only snake captures a sum of sines, with its periodic activation."
    fail = (
        "Networks with conventional activation functions fail to extrapolate a sum of periodic functions, unlike snake."
    )
    for said, wanted in ((one, False), (both, True), (fail, True)):
        text = f"[sec:1/par:1] {said}\n[sec:1/par:2] It is a periodic activation."
        asked = Request(messages=(Message(role="user", content=text),), answer_name="claims")
        claims = json.loads(RecipesModel().complete(asked).content)["claims"]
        found = {claim["subject"].partition("/")[0] for claim in claims}
        assert found == ({"periodic-sum"} if wanted else {"periodic-extrapolation"})


def test_numbers_that_the_recipe_fixes_are_said_to_be_its_own() -> None:
    sentence = (
        "Single-head attention is 0.9 BLEU worse than the best setting of a Transformer, by multi-head attention."
    )
    said = f"[sec:1/par:1] {sentence} It has a positional encoding."
    model = RecipesModel()
    found = model.complete(Request(messages=(Message(role="user", content=said),), answer_name="claims"))
    claims = [{**claim, "id": "C1"} for claim in json.loads(found.content)["claims"]]
    blocks = {"claims": claims, "situation": {"scale": "paper"}}
    prompt = "\n".join(f"```json {name}\n{json.dumps(value)}\n```" for name, value in blocks.items())
    drafted = model.complete(Request(messages=(Message(role="user", content=prompt),), answer_name="plan"))
    (experiment,) = json.loads(drafted.content)["experiments"]
    assert experiment["tests"][0]["minimal_effect"] == 0.017
    assert "constants of the recipe" in experiment["deviations"][-1]


@RECIPES
def test_every_claim_is_tested_or_says_why_not_and_every_recipe_has_a_page(recipe: Recipe) -> None:
    assert all(bool(pattern.tests) != bool(pattern.untested) for pattern in recipe.claims)
    assert (recipe.folder / "README.md").read_text().startswith(f"# {recipe.id}\n")


@RECIPES
def test_the_same_seed_trains_the_same_weights_and_another_variant_other_ones(recipe: Recipe, tmp_path: Path) -> None:
    hashes = []
    # In a plain process and in the sandbox that a person gets, warm start and all: the same bytes. It is the libraries
    # that could differ in a plain process, which takes seconds to import them: one recipe for each shows it.
    first = plainly() if recipe.id in ("periodic-extrapolation", "transformer-ablations") else as_a_person_gets_it()
    for compute, variant in ((first, 0), (as_a_person_gets_it(), 0), (as_a_person_gets_it(), -1)):
        lab = laboratory(recipe, tmp_path, compute)
        assert "ok in" in lab.smoke(lab.experiment.variants[variant].name)
        weights = max(tmp_path.glob("runs/*/out/model.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        hashes.append(hashlib.sha256(weights.read_bytes()).hexdigest())
    assert hashes[0] == hashes[1] != hashes[2]
    check = lab.check_names()
    assert check is not None and check.outcome == "same"


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
    recipe_id, claim_id = subject.split("/")
    (recipe,) = [recipe for recipe in BOOK if recipe.id == recipe_id]
    found = {claim.id for claim in recipe.claims if re.search(claim.pattern, SENTENCES[subject], re.IGNORECASE)}
    assert found == {claim_id}
