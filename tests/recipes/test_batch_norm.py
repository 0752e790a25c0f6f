"""A network that diverges at the high learning rate: its score is chance, and its seed stays its own."""

from pathlib import Path

from ml_intern.judge.guards import with_group_guards
from ml_intern.recipes.book import load_book
from tests.recipes.bench import as_a_person_gets_it, laboratory


def test_seeds_that_diverge_predict_every_class_alike_and_are_not_taken_for_one(tmp_path: Path) -> None:
    (recipe,) = [recipe for recipe in load_book() if recipe.id == "batch-norm"]
    variants = [dict(variant) for variant in recipe.experiment["variants"]]
    for variant in variants:
        if variant["name"] == "plain-high":
            variant["settings"] = {"batch_norm": False, "learning_rate": 1e30}
    lab = laboratory(recipe, tmp_path, as_a_person_gets_it(), {"variants": variants})
    lab.write_settings()
    confirmed = [record for record in with_group_guards(lab.confirm(2)) if record.phase == "confirm"]
    records = [record for record in confirmed if record.variant == "plain-high"]
    assert [(record.outcome, record.detail) for record in records] == [("ok", "")] * 2
    assert all("diverged" in {guard.name for guard in record.guards} for record in records)
    assert not [guard for record in confirmed for guard in record.guards if guard.fatal]
    assert len({record.tensors for record in records}) == 2
    assert all(abs((record.metrics["log_loss@train"].value or 0.0) - 2.302585) < 1e-5 for record in records)
