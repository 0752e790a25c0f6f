"""Runs of the crashing command line, and what is compared after them."""

import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.session.log import read_log
from tests.support import zygote
from tests.support.crashing import PAPER

ROOT = Path(__file__).parents[2]
# What differs between two undisturbed runs too: when, how long, how much memory.
_CHANGING = ("wall_seconds", "cpu_seconds", "peak_memory_mb", "hardware")


@dataclass(frozen=True)
class Life:
    """One process from its start to its end or its death."""

    code: int
    boundaries: int
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -9


def live(home: Path, kill_at: int | str = 0, locator: str = "", more: tuple[str, ...] = ()) -> Life:
    """Starts the run, or resumes it where there is a session that got as far as its first event, or that of
    `locator`."""
    paper = home.parent / "zoo.tex"  # one path for all homes: it stands in the plan, whose hash the seeds come from
    home.mkdir(parents=True, exist_ok=True)
    paper.write_text(PAPER)
    begun = any(read_log(log) for log in home.glob("sessions/*/events.jsonl"))
    command = ["resume", *([locator] if locator else []), "--yes"]
    if not begun and not locator:
        command = ["run", "--paper", str(paper), "--model", "openai/zoo", "--yes", "--sandbox", "none", "--jobs", "2"]
        command += ["--no-warm-start"]
    command += more
    environment = {**os.environ, "ML_INTERN_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = zygote.run(command, environment, 300, kill_at)
    found = re.search(r"boundaries: (\d+)", done.stderr)
    return Life(done.returncode, int(found[1]) if found else 0, done.stdout + done.stderr)


def finish(home: Path, lives: int = 5) -> Life:
    """Resumes until it is finished, or fails of itself."""
    life = live(home)
    while life.code and lives:
        life, lives = live(home), lives - 1
    return life


def came_to(home: Path) -> dict[str, Any]:
    """The same without how often the model was asked: what a run came to, whatever went wrong on its way."""
    return {name: value for name, value in outcome(home).items() if name != "answers"}


def outcome(home: Path) -> dict[str, Any]:
    """What was measured, judged and said, without what differs between two undisturbed runs too."""
    (session,) = [log.parent for log in home.glob("sessions/*/events.jsonl") if read_log(log)]
    lines = [json.loads(line)["evidence"] for line in (session / "evidence.jsonl").read_text().splitlines()]
    runs = [line["run_id"] for line in lines]
    assert len(set(runs)) == len(runs), "a run stands in the ledger twice"
    (published,) = (home / "hub").iterdir()
    kept = sorted(str(path.relative_to(published)) for path in published.rglob("*") if path.is_file())
    events = read_log(session / "events.jsonl")
    return {
        "measured": {line["run_id"]: {k: v for k, v in line.items() if k not in _CHANGING} for line in lines},
        "verdicts": json.loads((published / "verdicts.json").read_text()),
        "files": kept,
        "scripts": sorted(event.data["scripts"] for event in events if event.type == "experiment.built")[:1],
        "questions": [event.data["question"] for event in events if event.type == "question"],
        "listed": (published / "report.md").read_text().count("Should it see the stripes"),
        "answers": dict(Counter(event.data["purpose"] for event in events if event.type == "model.replied")),
        "unknown outcomes": sum("OUTCOME UNKNOWN" in str(e.data) for e in events if e.type == "tool.result"),
    }


def processes_of(home: Path, patience: float = 5.0) -> list[str]:
    """Command lines of processes that still work for `home`, after a while."""
    deadline = time.monotonic() + patience
    while (found := _processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _processes_of(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (path / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(home) in line or f"ML_INTERN_HOME={home}" in environment:
            found.append(line)
    return found
