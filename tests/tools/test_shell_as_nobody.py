"""Commands of an ordinary user, under Landlock too, where the tests themselves are run by root."""

import re
import tempfile
from pathlib import Path

import pytest

from tests.support.nobody import as_nobody

SUITE = [f"tests/tools/test_{name}.py" for name in ("shell", "shell_sealed", "shell_crash")]
# Scripts of a Python that sees its packages by PYTHONPATH alone have none.
NEEDS_PACKAGES = "scripts_have or by_hand or only_those"


@pytest.mark.slow
def test_commands_of_an_ordinary_user_are_held_by_landlock() -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", f"landlock and not ({NEEDS_PACKAGES})", "-rs"]
        ran = as_nobody("-m", "pytest", *options, *SUITE, home=Path(folder))
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    if passed is None:
        pytest.skip(ran.stdout[-300:])
    assert int(passed[1]) >= 15, ran.stdout[-1000:]
