"""The same attacks once more as an ordinary user, where the tests themselves are run by root."""

import re
import tempfile
from pathlib import Path

import pytest

from tests.support.nobody import as_nobody


@pytest.mark.slow
def test_every_sandbox_holds_the_attacks_of_an_ordinary_users_scripts() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = [
            "tests/run/attacks/test_cases.py",
            "tests/run/attacks/test_exhaustion.py",
            "tests/run/test_supervisor.py",
        ]
        ran = as_nobody("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *suite, home=Path(folder))
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) > 150, ran.stdout[-500:]
