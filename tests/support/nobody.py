"""Commands as the user nobody, for tests that root runs: with a Python that this user may enter, where there is one."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.run.sandbox.ownership import NOBODY

ROOT = Path(__file__).parents[2]


def as_user(*arguments: str, home: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` as an ordinary user: as this one, where it is no root."""
    if os.geteuid() == 0:
        return as_nobody(*arguments, home=home, timeout=timeout)
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def as_nobody(*arguments: str, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` with this test run's packages. Skips the test where that cannot be had, and says why."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("there is no setpriv (util-linux) here")
    packages = next(path for path in map(Path, site.getsitepackages()) if path.is_dir())
    become = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "-i"]
    environment = [
        f"HOME={home}",
        f"TMPDIR={home}",
        f"PYTHONPATH={ROOT}:{packages}",
        "PYTHONDONTWRITEBYTECODE=1",
        "PATH=/usr/bin:/bin",
    ]
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        check = [*become, *environment, python, "-c", "import ml_intern, pydantic, psutil, pytest"]
        if subprocess.run(check, capture_output=True, cwd="/").returncode == 0:
            os.chown(home, NOBODY, NOBODY)
            command = [*become, *environment, python, *arguments]
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    pytest.skip("no Python that the user nobody may enter has this version and these packages")
