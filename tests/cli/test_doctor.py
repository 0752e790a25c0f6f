"""`ml-intern doctor`: what it says of each sandbox, and how it ends where an attack was not held."""

import contextlib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_intern.cli.main import app
from ml_intern.run import selfcheck
from ml_intern.run.attacks import play as playing
from ml_intern.run.attacks import stage
from ml_intern.run.attacks.case import CASES, Case
from ml_intern.run.compute import local
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.selfcheck import Examined
from tests.support.compute import require


def said(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], env={"ML_INTERN_HOME": str(home)})


def test_each_sandbox_has_its_attempts_and_the_choice_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = {
        "bubblewrap": Examined(
            kind="bubblewrap", tier="A", problem="tcp: reached", found={"tcp": "reached", "read_outside": ""}
        ),
        "landlock": Examined(kind="landlock", tier="B", found={"read_outside": "", "workspace": ""}),
    }
    monkeypatch.setattr(selfcheck, "_examine", lambda kind, home: found[kind])
    monkeypatch.setattr(selfcheck, "advice", lambda **_: "Put this line into that file.")
    monkeypatch.setattr(Choice, "not_covered", ("sees which files there are",))
    lines = [" ".join(line.split()) for line in said(tmp_path).output.splitlines()]
    for line in (
        "bubblewrap cannot be used: tcp: reached",
        "tcp: NO: reached",
        "read outside: held",
        "landlock tier B",
        "workspace: usable",
        "not covered: a script sees which files there are",
        "user namespaces Put this line into that file.",
        "sandbox landlock",
    ):
        assert line in lines, lines


class _Compute:
    def __init__(self, choice: Choice, slots: int, *, warm: bool) -> None:
        self.kind = choice.kind

    def warm_up(self, wait: str) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("breached", [(), (2,)])
def test_attacks_are_counted_and_one_that_is_not_held_ends_it_with_1(
    breached: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def play(case: Case, *_: object) -> playing.Played:
        return playing.Played("read a token" if case.number in breached else "", "held")

    monkeypatch.setattr(selfcheck, "_examine", lambda kind, home: Examined(kind=kind, tier="T"))
    monkeypatch.setattr(playing, "play", play)
    monkeypatch.setattr(stage, "Stage", contextlib.nullcontext)
    monkeypatch.setattr(local, "LocalCompute", _Compute)
    done = said(tmp_path, "--attacks")
    uncovered = sum("landlock" in case.uncovered for case in CASES)
    played = 3 * len(CASES) - uncovered
    assert f"{played - 3 * len(breached)} attacks held, {3 * len(breached)} not." in done.output
    assert done.output.count("not covered") == uncovered
    assert done.output.count("BREACH") == 3 * len(breached)
    assert done.exit_code == bool(breached)


def test_a_real_attack_is_played_on_a_real_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require("bubblewrap")
    monkeypatch.setattr("ml_intern.run.attacks.case.CASES", CASES[:2])
    cold = local.LocalCompute
    monkeypatch.setattr(local, "LocalCompute", lambda choice, slots, warm: cold(choice, slots))
    tmp_path.chmod(0o755)
    done = said(tmp_path, "--attacks")
    assert done.exit_code == 0, done.output
    assert "held         read an ssh key" in done.output
