"""A recipes run in smoke size, killed at random moments again and again until it finishes; then compared with an
undisturbed one. Not part of the tests: 200 kills take some fifteen minutes.

`python -m tests.soak.random_kills [KILLS [SEED]]`: at least so many kills; sessions follow one another until then.
Half of the kills hit the harness alone, the others its supervisors too.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from ml_intern.session.log import read_log
from tests.support.zoo import ROOT, processes_of

PAPER = ROOT / "examples" / "papers" / "rescience-2021-periodic-functions.tar.gz"
_CHANGING = ("wall_seconds", "cpu_seconds", "peak_memory_mb")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.random_kills", description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    args = parser.parse_args()
    kills, generator = args.kills, random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "undisturbed"
        assert start(home).wait() == 0
        wanted = outcome(home)
        done, sessions, wrong = Counter[str](), 0, 0
        while sum(done.values()) < kills:
            home = Path(folder) / f"killed-{sessions}"
            done += soak(home, generator, kills - sum(done.values()))
            sessions += 1
            got, left = outcome(home), processes_of(home)
            wrong += int(got != wanted or bool(left))
            same = "same evidence and verdicts" if got == wanted else "DIFFERENT"
            print(f"session {sessions}: {sum(done.values())} kills so far; {same}; {len(left)} orphans", flush=True)
    print(f"{sum(done.values())} kills {dict(done)}, {sessions} sessions, {wrong} ended differently")
    return int(bool(wrong))


def soak(home: Path, generator: random.Random, kills: int) -> Counter[str]:
    """One session from its start to its end, killed up to so many times; half a second is the shortest life."""
    done: Counter[str] = Counter()
    process = start(home)
    while True:
        longest = 6.0 if sum(done.values()) < kills else 600.0
        try:
            code = process.wait(generator.uniform(0.3, longest))
            if code == 0:
                return done
            raise AssertionError(f"it failed of itself with exit code {code}")
        except subprocess.TimeoutExpired:
            everything = generator.random() < 0.5
            os.killpg(process.pid, signal.SIGKILL)
            if everything:
                for pid in supervisors(home):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            done["harness and supervisors" if everything else "harness alone"] += 1
            process = start(home)


def supervisors(home: Path) -> list[int]:
    """Process ids that the journals of running runs name."""
    found = []
    for journal in home.glob("sessions/*/**/*.run"):
        for line in journal.read_bytes().splitlines()[:1]:
            pid = json.loads(line).get("pid", 0)
            if (
                pid
                and Path(f"/proc/{pid}").exists()
                and str(home).encode() in Path(f"/proc/{pid}/environ").read_bytes()
            ):
                found.append(pid)
    return found


def start(home: Path) -> subprocess.Popen[bytes]:
    begun = any(read_log(log) for log in home.glob("sessions/*/events.jsonl"))
    command = ["resume"] if begun else ["run", "--paper", str(PAPER), "--smoke"]
    return subprocess.Popen(
        [sys.executable, "-m", "ml_intern.cli.main", *command, "--yes", "--quiet"],
        env={**os.environ, "ML_INTERN_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        start_new_session=True,
    )


def outcome(home: Path) -> dict[str, Any]:
    """Evidence by run, without times and memory, and the verdicts."""
    (session,) = [log.parent for log in home.glob("sessions/*/events.jsonl") if read_log(log)]
    lines = [json.loads(line)["evidence"] for line in (session / "evidence.jsonl").read_text().splitlines()]
    assert len({line["run_id"] for line in lines}) == len(lines), "a run stands in the ledger twice"
    (published,) = (home / "hub").iterdir()
    return {
        "evidence": {line["run_id"]: {k: v for k, v in line.items() if k not in _CHANGING} for line in lines},
        "verdicts": json.loads((published / "verdicts.json").read_text()),
    }


if __name__ == "__main__":
    sys.exit(main())
