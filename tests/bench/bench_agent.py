"""What the harness costs around a model that answers at once: a whole `ml-intern run` through the real client, with a
shell command in the sandbox in each of 300 iterations.

`python -m tests.bench.bench_agent` from the repository's root; some two minutes on two idle cores. Says of each number
what is aimed at, and how busy the machine was.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_intern.session.events import Event
from ml_intern.session.log import read_log
from tests.e2e.test_language_model import EXPERIMENT, PAPER, scripted
from tests.support.openai_server import Answer, call, serving

ITERATIONS, STARTS, PREFIXES = 300, 3, 100
ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    """One process of the command line. `first`: seconds from its start to the first request, `cpu`: its own processor
    seconds at each request; `peak`: MiB of memory at most; `requests`: the executor's, as they came."""

    first: float = 0.0
    cpu: list[float] = field(default_factory=list)
    peak: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)


def run(home: Path, iterations: int) -> Run:
    """Ends after `iterations` commands, by giving up; at the first request where there are none."""
    paper = home.parent / "zoo.tex"
    paper.write_text(PAPER)
    commands = [call("run_command", command=f"echo iteration {n}; seq 100") for n in range(iterations)]
    usual = scripted([*commands, call("give_up", reason="enough")], {"experiments": [EXPERIMENT], "left_out": []})
    found, process = Run(), []

    def script(request: dict[str, Any]) -> Answer:
        found.first = found.first or time.perf_counter() - started
        if process:
            found.cpu.append(cpu_seconds(process[0].pid))
        if request.get("tools"):
            found.requests.append(request)
        return usual(request)

    with serving(script) as server:
        base = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": server.base, "OPENAI_API_BASE": server.base}
        command = ["run", "--paper", str(paper), "--model", "openai/scripted", "--yes", "--quiet"]
        started = time.perf_counter()
        process.append(
            subprocess.Popen(
                [sys.executable, "-m", "ml_intern.cli.main", *command, "--max-iterations", str(ITERATIONS + 30)],
                env={**os.environ, **base, "ML_INTERN_HOME": str(home)},
                cwd=ROOT,
            )
        )
        while process[0].poll() is None:
            found.peak = max(found.peak, peak_mb(process[0].pid))
            if found.first and not iterations:
                process[0].kill()
            time.sleep(0.02 if not iterations else 0.1)
    return found


def cpu_seconds(pid: int) -> float:
    """Of the process itself, all its threads, none of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


@dataclass(frozen=True)
class Turn:
    """Milliseconds of one iteration: in all, of the model's answer, of the tool, of the command in the sandbox as its
    supervisor measured it."""

    all: float
    model: float
    tool: float
    command: float

    @property
    def harness(self) -> float:
        return self.all - self.command


def turns(session: Path) -> list[Turn]:
    events = read_log(session / "events.jsonl")
    build = [e for e in events if e.data.get("purpose") == f"build {EXPERIMENT['id']}"]
    results = [place for place, e in enumerate(build) if e.type == "tool.result" and e.data["name"] == "run_command"]
    found = []
    for number, (before, after) in enumerate(itertools.pairwise([-1, *results]), start=1):
        mine = {e.type: e for e in build[before + 1 : after + 1]}
        start: Event = build[before] if before >= 0 else mine["model.asked"]
        lines = (session / "bench" / str(EXPERIMENT["id"]) / "logs" / f"{number}.run").read_text().splitlines()
        took = {
            "all": mine["tool.result"].mono - start.mono,
            "model": mine["model.replied"].mono - mine["model.asked"].mono,
            "tool": mine["tool.result"].mono - mine["tool.intent"].mono,
            "command": json.loads(lines[-1])["result"]["wall_seconds"],
        }
        found.append(Turn(**{name: 1e3 * seconds for name, seconds in took.items()}))
    return found


def prefixes(requests: Sequence[dict[str, Any]]) -> tuple[float, float, int]:
    """(share of the bytes that repeat the request before from its beginning: between two compactions, over all; how
    many compactions). Tools stand in front of the messages, as providers read a prompt."""
    sent = [json.dumps([one["tools"], *one["messages"]], ensure_ascii=False).encode()[:-1] for one in requests]
    repeated, total, between, within, breaks = 0, 0, 0, 0, 0
    for before, after in itertools.pairwise(sent):
        same = next(
            (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
        )
        repeated, total = repeated + same, total + len(after)
        if same == len(before):
            between, within = between + same, within + len(after)
        else:
            breaks += 1
    return between / max(1, within), repeated / max(1, total), breaks


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    with tempfile.TemporaryDirectory() as scratch:
        starts = [run(Path(scratch) / f"start{n}" / "home", 0) for n in range(STARTS) if made(scratch, n)]
        shown = ", ".join(f"{one.first:.2f} s ({one.cpu[0]:.2f} s of processor)" for one in starts)
        print(f"start to the first request: {shown}; aim: at most 3 s")
        made(scratch, STARTS)
        home = Path(scratch) / f"start{STARTS}" / "home"
        found = run(home, ITERATIONS)
        (session,) = (home / "sessions").iterdir()
        took = turns(session)
    all, first, last = ([one.harness for one in part] for part in (took, took[:50], took[-50:]))
    print(
        f"{len(took)} iterations besides the command: median {median(all):.1f} ms (aim: at most 30); first 50"
        f" {median(first):.1f} ms, last 50 {median(last):.1f} ms, {median(last) / median(first):.2f} times (aim: 1.2)"
    )
    rest = [one.all - one.model - one.tool for one in took]
    print(
        f"of which the model's answer {median([t.model for t in took]):.1f} ms, the tool besides its command"
        f" {median([t.tool - t.command for t in took]):.1f} ms, the rest {median(rest):.1f} ms; the command itself"
        f" {median([t.command for t in took]):.1f} ms"
    )
    used = [1e3 * (after - before) for before, after in itertools.pairwise(found.cpu)]
    count = len(used) // 6
    print(
        f"processor time of the harness an iteration: mean {statistics.fmean(used):.1f} ms; first {count}"
        f" {statistics.fmean(used[5 : 5 + count]):.1f} ms, last {count} {statistics.fmean(used[-count:]):.1f} ms"
    )
    print(f"memory of the harness at most {found.peak:.0f} MiB (aim: 220 MB)")
    between, over_all, breaks = prefixes(found.requests[: PREFIXES + 1])
    print(
        f"first {PREFIXES} iterations: {between:.1%} of the prompt's bytes repeat the request before between two"
        f" compactions (aim: at least 95 %), {over_all:.1%} over {breaks} compactions too"
    )
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def made(scratch: str, number: int) -> bool:
    (Path(scratch) / f"start{number}" / "home").mkdir(parents=True)
    return True


if __name__ == "__main__":
    main()
