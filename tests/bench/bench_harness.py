"""What the harness costs besides the work itself: per run (train, predict, score, record) and per model call.

`python -m tests.bench.bench_harness` from the repository's root; some 30 seconds on two cores.
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ml_intern.agent.budget import Budget, BudgetLimits
from ml_intern.agent.context import Context
from ml_intern.agent.ladder import Ladder
from ml_intern.agent.loop import work
from ml_intern.config import Config
from ml_intern.llm.protocol import Reply, Request, ToolCall
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.spec import RunSpec
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder
from ml_intern.tools.files import file_tools
from ml_intern.tools.registry import Ended, Tool, Toolbox
from tests.judge.workshop import Workshop

RUNS, ITERATIONS = 10, 300


class Instant:
    """Answers at once: writes one file after another, then ends."""

    id, context_chars = "instant", 1_000_000

    def __init__(self) -> None:
        self.calls = 0

    def ceiling(self, request: Request) -> int:
        return 0

    def complete(self, request: Request) -> Reply:
        self.calls += 1
        if self.calls > ITERATIONS:
            return Reply(tool_calls=(ToolCall(id="end", name="finish", arguments="{}"),))
        arguments = f'{{"path": "file{self.calls}.py", "content": "x = {self.calls}"}}'
        return Reply(
            content="Writing.", tool_calls=(ToolCall(id=str(self.calls), name="write_file", arguments=arguments),)
        )


def per_run(folder: Path) -> None:
    """Wall time of a confirm run in the laboratory, against the same two scripts started by hand."""
    shop = Workshop(folder, slots=1, changes={"seeds": {"confirm": RUNS, "extra": 0}})
    shop.laboratory().confirm(2)  # data and imports are made here, once
    started = time.perf_counter()
    shop.laboratory().confirm(RUNS)
    runs = 2 * (RUNS - 2)
    harness = (time.perf_counter() - started) / runs
    bare = statistics.median(_bare(shop, place) for place in range(5))
    print(
        f"run: {harness * 1e3:.0f} ms in the harness, {bare * 1e3:.0f} ms by hand; {(harness - bare) * 1e3:.0f} ms more"
    )


def _bare(shop: Workshop, place: int) -> float:
    scripts, out = shop.places.scripts, shop.folder / f"bare-{place}"
    out.mkdir()
    views = next((shop.places.data / "views").iterdir())
    inputs = next(shop.places.runs.glob("*/predict/inputs"))
    spec = RunSpec(run_id="bare", script=scripts / "train.py", arguments=(), cwd=out, log=out / "log")
    environment = dict(clean_environment(spec))
    train = ["--data", str(views), "--out", str(out), "--variant", "zebra", "--seed", str(place)]
    predict = ["--model", str(out), "--inputs", str(inputs), "--out", str(out / "predictions.jsonl")]
    started = time.perf_counter()
    for name, arguments in (("train.py", train), ("predict.py", predict)):
        subprocess.run(
            [sys.executable, "-s", "-B", str(scripts / name), *arguments], env=environment, cwd=out, check=True
        )
    return time.perf_counter() - started


def per_iteration(folder: Path) -> None:
    """Time of each turn of the executor's loop around a model that answers at once; a turn writes one file."""

    def finish(_: object) -> str:
        raise Ended(True, "")

    session = SessionFolder(folder / "session")
    session.root.mkdir(parents=True)
    files = file_tools(folder / "workspace")
    end = Tool("finish", "End.", "read-only", files[-1].arguments, finish)
    times = [time.perf_counter()]
    with EventLog(session.log) as log:
        context = Context(
            config=Config.from_environment(),
            folder=session,
            log=log,
            model=Instant(),
            budget=Budget(BudgetLimits(iterations=2 * ITERATIONS)),
            compute=LocalCompute(Choice("none", folder)),
            approve=lambda plan: True,
            listeners=[lambda event: times.append(time.perf_counter()) if event.type == "tool.result" else None],
            stop=threading.Event(),
        )
        work(context, "bench", "Write files.", Toolbox([*files, end]), Ladder(context, {}))
    turns = [(b - a) * 1e3 for a, b in itertools.pairwise(times)][:ITERATIONS]
    first, last = statistics.median(turns[:50]), statistics.median(turns[-50:])
    print(f"iteration: median {statistics.median(turns):.2f} ms; first 50: {first:.2f} ms, last 50: {last:.2f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        per_run(Path(scratch) / "run")
        per_iteration(Path(scratch) / "iteration")
