"""Runs that the tests of this folder share, and how they call the command line."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import zygote
from tests.support.inside import inside, with_known_sandbox
from tests.support.zoo import Life, came_to, live, outcome

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "examples" / "papers" / "rescience-2021-periodic-functions.tar.gz"


@dataclass(frozen=True)
class Finished:
    home: Path
    out: Path
    process: subprocess.CompletedProcess[str]


def ml_intern(*arguments: str, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    if arguments[0] in ("run", "plan", "resume"):
        with_known_sandbox(home)
    environment = {**os.environ, "ML_INTERN_HOME": str(home), "HF_TOKEN": "hf_plantedsecret"}
    return zygote.run(arguments, environment, timeout)


def ml_intern_inside(*arguments: str, home: Path, timeout: float = 0) -> subprocess.CompletedProcess[str]:
    """The same inside this process: some five seconds of a core less for each run with a language model."""
    said = inside(home, *arguments)
    return subprocess.CompletedProcess(arguments, said.code, said.out, said.err)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The README's example."""
    home = tmp_path_factory.mktemp("home")
    out = home / "published"
    process = ml_intern("run", "--paper", str(PAPER), "--smoke", "--yes", "--out", str(out), home=home)
    assert process.returncode == 0, process.stderr
    return Finished(home, out, process)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes out of the run of `played.RUN` where nothing goes wrong."""
    from tests.e2e.played import run
    from tests.e2e.test_task import scripted

    home = tmp_path_factory.mktemp("undisturbed")
    done = run(home, scripted())
    assert done.code == 0, done.err
    return came_to(home)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between two tries last a hundredth of what they should; their lengths have tests of their own."""
    from ml_intern.llm import gateway

    real = gateway._pause
    monkeypatch.setattr(gateway, "_pause", lambda tries, asked: real(tries, asked) / 100)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Life, dict[str, Any]]:
    """A run of the crashing command line that nothing killed: the folder that homes to compare with it have to lie in
    (`undisturbed` is its own), its life, and what came out."""
    folder = tmp_path_factory.mktemp("zoo")
    life = live(folder / "undisturbed")
    assert life.code == 0, life.said
    return folder, life, outcome(folder / "undisturbed")
