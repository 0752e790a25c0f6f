"""Commands of the executor's in the sandbox, each with an id, a log and a supervisor's journal in one folder of the
session. Whoever opens the folder again, after a crash too, knows what became of them. Knows nothing of models.

    programs/ID/   what is carried out           scratch/         where commands work; lasts between them
    logs/ID.*      output and journal            background/ID/   where one in the background works, alone
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_intern.errors import InputError, MlInternError
from ml_intern.run import journal
from ml_intern.run.command import shell
from ml_intern.run.journal import Standing
from ml_intern.run.spec import RunResult, RunSpec
from ml_intern.tools.bench import Bench

SHELL, PYTHON = "command.sh", "program.py"
_SHELL_SCRIPT = Path(shell.__file__)
_MOST_RUNNING = 4  # in the background
_OUTPUT_MB, _DISK_MB = 4, 4096
_ID = re.compile(r"[0-9]{1,6}")
_START_SECONDS = 30.0


@dataclass(frozen=True)
class _Running:
    thread: threading.Thread
    stop: threading.Event
    problem: list[MlInternError]


class Commands:
    """Nothing is made before the first command; leaving the bench ends all that run."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._running: dict[int, _Running] = {}
        self.has_data = False  # whether the last one had $DATA
        bench.closing.callback(self._end_all)

    def run(self, program: str, text: str, seconds: float) -> tuple[int, RunResult]:
        """Carries out `text` as the file `program` in the scratch folder; (its id, how it ended). A harness that is
        killed takes it along. Raises RunError."""
        id, spec = self._made(program, text, seconds, background=False)
        result = self._bench.compute.execute(spec, self._bench.stop)
        if result.outcome == "disk":  # or the next one would be stopped for the same at once
            shutil.rmtree(self.scratch, ignore_errors=True)
        return id, result

    def start(self, program: str, text: str, seconds: float) -> int:
        """The same in the background; returns its id once it runs. Raises InputError and RunError."""
        running = [id for id in self.ids() if self.standing(id).alive]
        if len(running) >= _MOST_RUNNING:
            raise InputError(f"{_listed(running)} run in the background already.", next="Wait for one, or stop it.")
        id, spec = self._made(program, text, seconds, background=True)
        stop = threading.Event()
        problem: list[MlInternError] = []

        def execute() -> None:
            try:
                self._bench.compute.execute(spec, stop)
            except MlInternError as error:
                problem.append(error)

        thread = threading.Thread(target=execute, daemon=True)
        self._running[id] = _Running(thread, stop, problem)
        thread.start()
        self._wait_until_it_runs(id)
        return id

    def standing(self, id: int) -> Standing:
        """Raises InputError where there is no such command, RunError where it could not be started."""
        if id not in self.ids():
            raise InputError(f"There is no job {id}.", next=f"There are: {_listed(self.ids()) or 'none'}.")
        if (mine := self._running.get(id)) and mine.problem:
            raise mine.problem[0]
        return journal.standing(self._journal(id))

    def sleep(self, seconds: float) -> bool:
        """For so long; False where a person stops the run meanwhile."""
        return not self._bench.stop.wait(max(0.0, seconds))

    def stop(self, id: int) -> Standing:
        """Ends it, if it runs, with all that it started. Raises InputError and RunError."""
        if self.standing(id).alive:
            if mine := self._running.get(id):
                mine.stop.set()
            journal.end(self._journal(id))
        return self.standing(id)

    def ids(self) -> list[int]:
        """In the order in which they were begun."""
        names = [path.name for path in (self._bench.folder / "programs").glob("*")]
        return sorted(int(name) for name in names if _ID.fullmatch(name))

    def seconds(self, id: int) -> float:
        """Since it was begun."""
        return time.time() - (self._bench.folder / "programs" / str(id)).stat().st_mtime

    def log(self, id: int) -> Path:
        return self._bench.folder / "logs" / f"{id}.log"

    def own_folder(self, id: int) -> Path:
        """Where it works; there only for one in the background."""
        return self._bench.folder / "background" / str(id)

    @property
    def scratch(self) -> Path:
        return self._bench.folder / "scratch"

    def _journal(self, id: int) -> Path:
        return self.log(id).with_suffix(".run")

    def _made(self, program: str, text: str, seconds: float, *, background: bool) -> tuple[int, RunSpec]:
        """A new id, its program on disk, and what is to be run. In the background it has a folder of its own: two runs
        that write to one folder would take it from each other, since a run's folders change hands."""
        id = max(self.ids(), default=0) + 1
        source = self._bench.folder / "programs" / str(id) / program
        cwd = self.own_folder(id) if background else self.scratch
        for folder in (source.parent, self.scratch, self.own_folder(id).parent, cwd):
            folder.mkdir(parents=True, exist_ok=True)
        source.write_text(text, encoding="utf-8")
        sight = self._bench.laboratory.sight()
        self.has_data = sight.data is not None
        limits = {"seconds": self.limited(seconds), "output_mb": _OUTPUT_MB, "disk_mb": _DISK_MB}
        return id, RunSpec(
            run_id=f"job {id}",
            script=_SHELL_SCRIPT if program == SHELL else source,
            arguments=(str(source),) if program == SHELL else (),
            cwd=cwd,
            log=self.log(id),
            reads=(source.parent, *sight.reads, self.own_folder(id).parent, *([self.scratch] if background else [])),
            lists=sight.lists,
            environment=self._variables(sight.scripts, sight.data, sight.environment),
            warm=None,
            inputs=f"job {id}" if background else "",
            gpu=True,
            limits=sight.limits.model_copy(update=limits),
        )

    def limited(self, seconds: float) -> float:
        """No longer than a run of the experiment may take."""
        return min(seconds, self._bench.laboratory.experiment.timeout_seconds)

    def _variables(self, scripts: Path, data: Path | None, provided: dict[str, str]) -> dict[str, str]:
        places = [str(scripts), *filter(None, [provided.get("PYTHONPATH")])]
        own = {"SCRIPTS": str(scripts), "SCRATCH": str(self.scratch), "PYTHONPATH": os.pathsep.join(places)}
        own["BACKGROUND"] = str(self.own_folder(0).parent)
        return provided | own | ({"DATA": str(data)} if data else {})

    def _wait_until_it_runs(self, id: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._running[id].thread.is_alive() and time.monotonic() < deadline:
            if self.standing(id).digest:
                return
            time.sleep(0.01)
        self.standing(id)  # which says why not

    def _end_all(self) -> None:
        for one in self._running.values():
            one.stop.set()
        for one in self._running.values():
            one.thread.join(_START_SECONDS)
        journal.end_all(self._bench.folder / "logs")


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))
