"""settings.json holds the plan's settings whenever scripts run by it, whoever wrote to it in between."""

import json
from pathlib import Path

import pytest

from ml_intern.errors import InputError, MlInternError
from ml_intern.judge.settings_file import settings_text
from ml_intern.tools.experiment import experiment_tools
from ml_intern.tools.registry import Ended
from tests.judge.workshop import Workshop


def spoil(workshop: Workshop) -> Path:
    """The baseline's settings are made worse than the plan says."""
    path = workshop.places.scripts / "settings.json"
    settings = json.loads(path.read_text())
    settings["variants"]["zebra"]["features"] = 2
    path.write_text(json.dumps(settings))
    return path


def test_what_is_finished_is_finished_with_the_plans_settings(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    laboratory = workshop.laboratory()
    laboratory.smoke("zebra")
    path = spoil(workshop)
    finish = next(tool for tool in experiment_tools(laboratory) if tool.name == "finish")
    with pytest.raises(Ended):
        finish.run(finish.arguments())
    assert path.read_text() == settings_text(workshop.experiment)


def test_a_link_in_the_place_of_the_settings_is_written_over_and_not_followed(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    path = workshop.places.scripts / "settings.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    workshop.laboratory().write_settings()
    assert not path.is_symlink() and path.read_text() == settings_text(workshop.experiment)


@pytest.mark.parametrize("state", ["changed", "gone", "no text"])
def test_nothing_is_confirmed_with_other_settings_than_the_plans(tmp_path: Path, state: str) -> None:
    workshop = Workshop(tmp_path)
    path = spoil(workshop)
    if state == "gone":
        path.unlink()
    if state == "no text":
        path.write_bytes(b"\xff")
    before = path.read_bytes() if path.exists() else None
    for attempt in (workshop.laboratory(frozen=True).check_names, lambda: workshop.laboratory(frozen=True).confirm(1)):
        with pytest.raises(MlInternError, match=r"are not the plan's"):
            attempt()
    assert (path.read_bytes() if path.exists() else None) == before, "frozen scripts stay as they are"
    assert workshop.ledger.evidence == ()


def test_63_settings_are_not_written_where_a_link_took_the_place_of_the_scripts(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    laboratory = shop.laboratory()
    shop.places.scripts.rename(tmp_path / "aside")
    (tmp_path / "elsewhere").mkdir()
    shop.places.scripts.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link now"):
        laboratory.write_settings()
    assert not list((tmp_path / "elsewhere").iterdir())
