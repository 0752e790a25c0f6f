"""One smoke run of the README's example, shared by the tests of this folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "examples" / "papers" / "rescience-2021-periodic-functions.tar.gz"


@dataclass(frozen=True)
class Finished:
    home: Path
    out: Path
    process: subprocess.CompletedProcess[str]


def ml_intern(*arguments: str, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ML_INTERN_HOME": str(home), "HF_TOKEN": "hf_plantedsecret"}
    command = [sys.executable, "-m", "ml_intern.cli.main", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home = tmp_path_factory.mktemp("home")
    out = home / "published"
    process = ml_intern("run", "--paper", str(PAPER), "--smoke", "--yes", "--out", str(out), home=home)
    assert process.returncode == 0, process.stderr
    return Finished(home, out, process)
