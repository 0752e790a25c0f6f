"""Interrupted, killed, out of disk: what was measured is kept, the rest is done on resume, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_intern.recipes.book import load_book
from tests.e2e.conftest import ROOT, ml_intern

SEEDS = 2


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One claim, two variants, two seeds, tiny nets: some ten seconds."""
    recipe = next(recipe for recipe in load_book() if recipe.id == "periodic-extrapolation")
    one = recipe.at("smoke")
    claim: dict[str, Any] = {
        "id": "C1", "statement": "s", "quote": "words of the paper", "anchor": "sec:1/par:1", "kind": "direction",
        "method": "snake", "metric": "mse", "higher_is_better": False,
    }  # fmt: skip
    test = {
        "claim": "C1", "kind": "direction", "metric": {"name": "mse", "rows": "test:outside"},
        "higher_is_better": False, "contrast": {"snake": 1.0, "relu": -1.0}, "transform": "log10",
    }  # fmt: skip
    variants = [variant for variant in one["variants"] if variant["name"] in ("snake", "relu")]
    seeds = {"explore": 0, "confirm": SEEDS, "extra": 0}
    experiment = {**one, "recipe": recipe.id, "variants": variants, "seeds": seeds, "tests": [test]}
    text = yaml.safe_dump(
        {
            "version": 1,
            "paper": {"title": "t", "sha256": "0"},
            "scale": "small",
            "claims": [claim],
            "experiments": [experiment],
        }
    )
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a session that nothing disturbed."""
    home = tmp_path_factory.mktemp("undisturbed")
    done = ml_intern("run", "--plan", str(plan), "--yes", home=home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def undisturbed(finished: Path) -> dict[str, Any]:
    return results(finished)


def results(home: Path) -> dict[str, Any]:
    """What was measured, by run, and the verdicts of the one session in `home`."""
    (session,) = (home / "sessions").iterdir()
    lines = [json.loads(line)["evidence"] for line in (session / "evidence.jsonl").read_text().splitlines()]
    assert len({line["run_id"] for line in lines}) == len(lines), "a run was measured twice"
    (published,) = (home / "hub").iterdir()
    measured = {line["run_id"]: (line["metrics"], line["tensors"]) for line in lines}
    return {"measured": measured, "verdicts": json.loads((published / "verdicts.json").read_text())}


def started(plan: Path, home: Path) -> subprocess.Popen[str]:
    """A run in the background, returned once its first confirmation run is in the ledger."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_intern.cli.main", "run", "--plan", str(plan), "--yes", "--jobs", "1"],
        env={**os.environ, "ML_INTERN_HOME": str(home)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(path.stat().st_size for path in home.glob("sessions/*/evidence.jsonl")):
            return process
        time.sleep(0.02)
    raise AssertionError("the run did not get as far as its first evidence")


def scripts_running(home: Path) -> list[str]:
    """Command lines of processes that work inside `home`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(home) in line:
            found.append(line)
    return found


def test_ctrl_c_once_stops_gently_and_resume_ends_as_if_nothing_had_happened(
    plan: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    process = started(plan, tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: ml-intern resume" in said and "Traceback" not in said
    assert scripts_running(tmp_path) == []
    again = ml_intern("resume", "--yes", home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert results(tmp_path) == undisturbed


def test_after_kill_9_of_the_harness_resume_ends_as_if_nothing_had_happened(
    plan: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    process = started(plan, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    again = ml_intern("resume", "--yes", home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert results(tmp_path) == undisturbed


def test_a_finished_session_is_not_run_again(finished: Path, undisturbed: dict[str, Any]) -> None:
    again = ml_intern("resume", home=finished)
    assert again.returncode == 0 and "is finished" in again.stdout
    assert results(finished) == undisturbed


def test_a_spent_budget_judges_and_publishes_what_there_is_and_can_be_resumed(plan: Path, tmp_path: Path) -> None:
    done = ml_intern("run", "--plan", str(plan), "--yes", "--max-iterations", "1", home=tmp_path)
    assert done.returncode == 3
    assert "budget of 1 iterations is used up" in done.stderr and "ml-intern resume" in done.stderr
    (published,) = (tmp_path / "hub").iterdir()
    assert ml_intern("verify", str(published), home=tmp_path).returncode == 0
    (verdict,) = json.loads((published / "verdicts.json").read_text())
    assert verdict["outcome"] == "not tested"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_said_in_words_and_with_more_space_the_session_goes_on(plan: Path, small_disk: Path) -> None:
    (small_disk / "filling").write_bytes(b"\0" * 1_900_000)
    done = ml_intern("run", "--plan", str(plan), "--yes", home=small_disk)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    subprocess.run(["mount", "-o", "remount,size=500m", str(small_disk)], check=True)
    again = ml_intern("resume", "--yes", home=small_disk)
    assert again.returncode == 0, again.stderr
    (published,) = (small_disk / "hub").iterdir()
    assert ml_intern("verify", str(published), home=small_disk).returncode == 0
