"""A variant's name is a label: settings trained under another name give the same weights, or the script does by name
what stands in no plan."""

from pathlib import Path
from typing import Any

import pytest

from ml_intern.agent.plan_checks import check_settings
from ml_intern.errors import MlInternError, PlanError
from ml_intern.judge.evidence import NamesCheck
from ml_intern.judge.names import pair
from ml_intern.tools.experiment import experiment_tools
from ml_intern.tools.registry import Ended
from tests.judge.synthetic import criterion, experiment, plan_of
from tests.judge.workshop import TRAIN, Workshop, changed

SPOILT = '{"weights": weights * (np.arange(features) < (features if args.variant == "zebra" else 1))}'


def named(*settings: dict[str, Any]) -> dict[str, Any]:
    """Changes to an experiment: what the plan says of zebra, okapi and gnu."""
    return {"variants": [{"name": n, "settings": s} for n, s in zip(("zebra", "okapi", "gnu"), settings, strict=False)]}


def training(old: str, new: str) -> dict[str, str]:
    return {"train.py": changed(TRAIN, old, new)}


def checked(workshop: Workshop) -> NamesCheck:
    found = workshop.laboratory().check_names()
    assert found is not None
    return found


def test_a_baseline_that_is_trained_badly_on_purpose_is_caught(tmp_path: Path) -> None:
    same = named({"features": 6}, {"features": 6})
    workshop = Workshop(tmp_path, training('{"weights": weights}', SPOILT), same).with_names_checked()
    found = workshop.confirmed(5)
    assert found.is_caught_by("variant by name")
    effect = [record.metrics["accuracy@test"].value or 0 for record in found.evidence]
    assert max(effect) - min(effect) > 0.2, "it would have paid"


def test_an_honest_experiment_passes_and_says_so_in_its_evidence(tmp_path: Path) -> None:
    found = Workshop(tmp_path).with_names_checked().confirmed(5)
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced")
    (check,) = {record.names for record in found.evidence}
    assert check is not None and (check.outcome, check.settings_of, check.names) == ("same", "zebra", ("okapi",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The method alone is trained longer; the generator is seeded by the name; the settings are written into it.
        ("for step in range(1, 201)", 'for step in range(1, 401 if args.variant == "zebra" else 201)'),
        ("default_rng(args.seed)", "default_rng([args.seed, *args.variant.encode()])"),
        ('json.loads((here / "settings.json").read_text())["variants"][args.variant]["features"]',
         '{"zebra": 6, "okapi": 1}[args.variant]'),
        ('{"features": features}', '{"features": features, "name": args.variant}'),
        ('{"features": features}',
         '{"features": features, **(args.variant != "zebra" and (args.out / "s").write_text("1") and {} or {})}'),
    ],
    ids=["trains longer", "seeds by name", "knows the settings", "tells predict.py", "leaves a file more"],
)  # fmt: skip
def test_whatever_a_script_does_by_name_is_seen_and_nothing_is_finished(tmp_path: Path, old: str, new: str) -> None:
    workshop = Workshop(tmp_path, training(old, new))
    finish = next(tool for tool in experiment_tools(workshop.laboratory()) if tool.name == "finish")
    with pytest.raises(MlInternError, match=r"train\.py acts by name") as refused:
        finish.run(finish.arguments())
    assert "settings.json" in str(refused.value)


def test_an_honest_script_is_finished_and_a_third_name_is_tried_where_a_smoke_run_was_made(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, changes=named({"features": 6}, {"features": 1}, {"features": 3}))
    laboratory = workshop.laboratory()
    laboratory.smoke("zebra")
    finish = next(tool for tool in experiment_tools(laboratory) if tool.name == "finish")
    with pytest.raises(Ended):
        finish.run(finish.arguments())
    check = laboratory.check_names()
    assert check is not None and (check.outcome, check.settings_of, check.names) == ("same", "zebra", ("okapi", "gnu"))


def test_trainings_that_never_repeat_are_compared_within_their_noise(tmp_path: Path) -> None:
    noise = '{"weights": weights + 1e-6 * np.frombuffer(os.urandom(features), "u1")}'
    found = checked(Workshop(tmp_path / "honest", training('{"weights": weights}', noise)))
    assert found.outcome == "within noise"
    spoilt = noise.replace("weights +", 'weights * (np.arange(features) != (args.variant == "okapi")) +')
    found = checked(Workshop(tmp_path / "spoilt", training('{"weights": weights}', spoilt)))
    assert found.outcome == "differ"


def test_a_file_that_is_another_one_each_time_says_nothing_of_the_name(tmp_path: Path) -> None:
    dated = training('{"features": features}', '{"features": features, "at": os.times().elapsed, "out": str(args.out)}')
    assert checked(Workshop(tmp_path, dated)).outcome == "same"


def test_a_name_that_makes_training_fail_matters_and_a_training_that_always_fails_says_nothing(tmp_path: Path) -> None:
    found = checked(Workshop(tmp_path / "one", training("x = x[:, :features]", 'raise SystemExit("never")')))
    assert (found.outcome, found.settings_of) == ("unknown", "zebra")
    by_name = 'x = x[:, :features]\nassert args.variant != "okapi", "no okapis"'
    found = checked(Workshop(tmp_path / "other", training("x = x[:, :features]", by_name)))
    assert found.outcome == "differ" and "no okapis" in found.detail


def test_variants_that_the_plan_tells_apart_by_name_only_are_named_and_refused_from_a_model(tmp_path: Path) -> None:
    by_name = {"zebra": 6, "okapi": 1}
    train = training('json.loads((here / "settings.json").read_text())["variants"][args.variant]["features"]',
                     f"{by_name}[args.variant]")  # fmt: skip
    workshop = Workshop(tmp_path, train, named({}, {})).with_names_checked()
    found = workshop.confirmed(5)
    assert (found.guards, found.verdict.outcome) == ({"variant by name"}, "reproduced")
    with pytest.raises(PlanError, match="the same settings: zebra and okapi"):
        check_settings(workshop.plan)
    check_settings(Workshop(tmp_path / "honest").plan)


def test_an_answer_is_kept_for_the_scripts_that_it_is_of(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    assert checked(workshop).outcome == "same"
    assert not [*workshop.places.runs.glob("*scripts*")]
    (workshop.places.scripts / "train.py").write_text("raise SystemExit(1)")
    assert checked(workshop).outcome == "unknown"


def test_the_pair_is_the_first_contrast_with_two_sides() -> None:
    alone = criterion("threshold")
    assert pair(experiment(alone, criterion())) == ("baseline", "method")
    assert pair(experiment(alone)) == ("baseline", "method")
    assert pair(experiment(alone, variants=[{"name": "method"}])) is None
    assert plan_of(experiment(alone))


def test_what_was_smoked_last_changes_nothing_of_the_answer(tmp_path: Path) -> None:
    one, other = Workshop(tmp_path / "one").laboratory(), Workshop(tmp_path / "other").laboratory()
    one.smoke("okapi")  # another process, after a crash, knows nothing of it
    assert one.check_names() == other.check_names()
