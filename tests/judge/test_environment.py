"""The lock of the environment: what is installed, by name and version."""

from importlib import metadata
from pathlib import Path

import pytest

from ml_intern.judge.environment import environment_lock


def test_every_installed_package_stands_in_the_lock_once_with_its_version() -> None:
    said = dict(line.split("==") for line in environment_lock().splitlines())
    for name in ("torch", "numpy", "pydantic", "huggingface-hub"):
        assert said[name] == metadata.version(name)
    assert len(said) == len({(each.name or "").lower().replace("_", "-") for each in metadata.distributions()})


def test_what_a_description_says_is_not_taken_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "odd_one-1.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Odd_One\nVersion: 1.5\n\nName: other\nVersion: 9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "odd-one==1.5\n" in environment_lock() and "other==9" not in environment_lock()
