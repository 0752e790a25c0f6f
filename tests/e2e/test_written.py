"""What a run writes lies in its home, and what is published where --out says; nothing anywhere else."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.crashing import PAPER

ROOT = Path(__file__).parents[2]
FOLDERS = ("own home", "temporary", "started in", "papers")


def test_a_run_writes_nothing_elsewhere(tmp_path: Path) -> None:
    user, temporary, started_in, papers = (tmp_path / name for name in FOLDERS)
    for folder in (user, temporary, started_in, papers):
        folder.mkdir()
    (papers / "zoo.tex").write_text(PAPER)
    home, out = tmp_path / "ml-intern", tmp_path / "out"
    command = ["run", "--paper", str(papers / "zoo.tex"), "--model", "openai/zoo", "--yes", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.crashing", "0", *command, "--sandbox", "none", "--no-warm-start"],
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ML_INTERN_HOME": str(home), "HOME": str(user),
            "TMPDIR": str(temporary),
        },
        cwd=started_in, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (out / "model.safetensors").is_file() and list(home.glob("sessions/*/events.jsonl"))
    assert {path.name for path in tmp_path.iterdir()} == {*FOLDERS, "ml-intern", "out"}
    left = [path for folder in (user, temporary, started_in, papers) for path in folder.rglob("*")]
    assert left == [papers / "zoo.tex"]
