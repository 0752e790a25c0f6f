"""The same attacks once more as an ordinary user, where the tests themselves are run by root."""

import re
import tempfile
from pathlib import Path

import pytest

from tests.support.nobody import as_nobody

# Root has played what is the same for everybody: what works without a sandbox, plain processes, most warm starts. Only
# an ordinary user gets tier B.
PLAYED = " or ".join(
    [
        "test_a_sandbox_holds_it and not warm",
        "test_a_sandbox_holds_it and (new_privileges or user_namespace or harness_environment)",
        "landlock and not survival",
        "landlock and (test_35 or both_are_killed)",
        "bubblewrap and 36_a_fork_bomb",
        "39_memory",
    ]
)


@pytest.mark.slow
def test_every_sandbox_holds_the_attacks_of_an_ordinary_users_scripts() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = [
            "tests/run/attacks/test_cases.py",
            "tests/run/attacks/test_exhaustion.py",
            "tests/run/attacks/test_layers.py",
            "tests/run/attacks/test_survival.py",
            "tests/run/test_hidden.py",
            "tests/run/test_supervisor.py",
        ]
        options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", PLAYED]
        ran = as_nobody("-m", "pytest", *options, *suite, home=Path(folder))
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) > 120, ran.stdout[-500:]
