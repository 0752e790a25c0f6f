"""What is frozen for confirmation: the scripts as they were finished, with the plan's settings."""

from pathlib import Path
from typing import Any

import pytest

from ml_intern.agent import phases, pipeline
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.settings_file import settings_text
from ml_intern.tools.registry import Ended
from tests.agent.test_review import Planner, at_work
from tests.judge.workshop import HONEST, Workshop


def test_settings_that_a_command_changed_last_are_not_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop(tmp_path / "shop")

    def build(context: Any, paper: Any, laboratory: Any, desk: Any) -> Ended:
        for name, text in HONEST.items():
            (laboratory.places.scripts / name).write_text(text)
        (laboratory.places.scripts / "settings.json").write_text("{}")
        return Ended(True, "")

    monkeypatch.setattr(phases, "build_scripts", build)
    with at_work(tmp_path, Planner({})) as context:
        context.folder.experiment("e").mkdir(parents=True, exist_ok=True)
        ledger = Ledger(context.folder.ledger)
        assert pipeline.build_phase(context, None, shop.plan, shop.experiment, ledger)
        assert (context.folder.frozen("e") / "settings.json").read_text() == settings_text(shop.experiment)
