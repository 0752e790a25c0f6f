"""A training whose loss ends as no number is told as diverged, wherever its run is told of; the score decides."""

import json
from pathlib import Path

import pytest

from ml_intern.errors import MlInternError
from ml_intern.judge.guards import diverged, training_log
from tests.judge.workshop import TRAIN, Workshop, changed

LOSS = '"train_loss": float(abs(error).mean())'
FROM_41 = '"train_loss": float(abs(error).mean()) if step <= 40 else float("nan")'


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([0.5, 0.4], ""),
        ([0.5, float("inf"), 0.4], ""),
        ([0.5, float("nan"), float("inf")], "train_loss is not finite from step 2 on"),
        ([10**400, 0.4], ""),
    ],
)
def test_what_counts_is_how_the_loss_ends(losses: list[float], told: str, tmp_path: Path) -> None:
    rows = [json.dumps({"step": step, "train_loss": loss, "auc": float("nan")}) for step, loss in enumerate(losses, 1)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*rows, "no json"]))
    assert [guard.message for guard in diverged(training_log(tmp_path / "metrics.jsonl"))] == ([told] if told else [])
    assert diverged(training_log(tmp_path / "none.jsonl")) == []


def test_smoke_and_exploration_say_so(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, {"train.py": changed(TRAIN, LOSS, FROM_41)}, {"seeds": {"explore": 1, "confirm": 2}})
    told = "guard raised: diverged: train_loss is not finite from step 41 on"
    assert told in shop.laboratory().smoke()
    assert shop.laboratory().explore().count(told) == 2


def test_where_nothing_can_be_predicted_the_failure_names_it_too(tmp_path: Path) -> None:
    broken = changed(changed(TRAIN, LOSS, FROM_41), '({"weights": weights}', '({"weights": weights * np.nan}')
    shop = Workshop(tmp_path, {"train.py": broken})
    with pytest.raises(MlInternError, match=r"The smoke run of zebra ended with: invalid(.|\n)*diverged: train_loss"):
        shop.laboratory().smoke()
