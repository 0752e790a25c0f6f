"""What each sandbox costs per command, against the same command as a plain subprocess, one after the other in turns.

`python -m tests.bench.bench_sandbox` from the repository's root; some 20 seconds on two cores.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import get_args

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import KINDS, Choice
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.sandbox.warm import libraries_of
from ml_intern.run.selfcheck import examine
from ml_intern.run.spec import Libraries, RunSpec

ROUNDS = 60
SCRIPT = "print('done')\n"
LIBRARIES = {"torch": "import torch\n", "transformers Trainer": "import torch\nfrom transformers import Trainer\n"}


def spec_in(folder: Path, script: str = SCRIPT) -> RunSpec:
    (folder / "script").mkdir(parents=True)
    (folder / "script" / "run.py").write_text(script)
    (folder / "cwd").mkdir()
    return RunSpec(
        run_id="bench",
        script=folder / "script" / "run.py",
        arguments=(),
        cwd=folder / "cwd",
        log=folder / "run.log",
        warm=libraries_of(folder / "script"),
    )


def plain(folder: Path) -> float:
    spec = spec_in(folder)
    environment = dict(clean_environment(spec))
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-s", "-B", spec.script], env=environment, cwd=spec.cwd, capture_output=True, check=True
    )
    return (time.perf_counter() - started) * 1e3


def inside(compute: LocalCompute, folder: Path, script: str = SCRIPT) -> float:
    spec = spec_in(folder, script)
    started = time.perf_counter()
    result = compute.execute(spec, threading.Event())
    assert result.outcome == "ok", result
    return (time.perf_counter() - started) * 1e3


def shown(times: list[float]) -> str:
    return f"median {statistics.median(times):5.1f} ms, p95 {statistics.quantiles(times, n=20)[-1]:5.1f} ms"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        started = time.perf_counter()
        works = {kind: kind == "none" or examine(kind, root / "home", fresh=True).works for kind in KINDS}
        print(f"self-check of {len(KINDS) - 1} kinds, cold: {(time.perf_counter() - started) * 1e3:.0f} ms")
        computes = {kind: LocalCompute(Choice(kind, root / "home"), 1) for kind in KINDS if works[kind]}
        times: dict[str, list[float]] = {name: [] for name in ("plain", *computes)}
        for name, compute in computes.items():  # the first one starts the server that they are forked from
            inside(compute, root / f"first-{name}")
        for turn in range(ROUNDS):
            times["plain"].append(plain(root / f"plain-{turn}"))
            for name, compute in computes.items():
                times[name].append(inside(compute, root / f"{name}-{turn}"))
        print(f"python script that prints a word, {ROUNDS} turns, user {os.geteuid()}")
        base = statistics.median(times["plain"])
        for name, taken in times.items():
            print(f"{name:<11} {shown(taken)}, {statistics.median(taken) - base:+5.1f} ms")
        if works["bubblewrap"]:
            warm = LocalCompute(Choice("bubblewrap", root / "home"), 1, warm=True)
            for libraries in get_args(Libraries):
                started = time.perf_counter()
                warm.warm_up(libraries)
                print(f"warm start with {libraries}: ready after {time.perf_counter() - started:.1f} s")
            for turn, (name, script) in enumerate(LIBRARIES.items()):
                cold = [inside(computes["bubblewrap"], root / f"cold-{turn}-{n}", script) for n in range(5)]
                fork = [inside(warm, root / f"warm-{turn}-{n}", script) for n in range(5)]
                print(f"{name}: {statistics.median(cold):.0f} ms cold, {statistics.median(fork):.0f} ms warm")
