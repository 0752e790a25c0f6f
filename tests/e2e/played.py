"""Whole runs in the test's own process, with a scripted model that can fail where a test says so."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_intern.session.events import Event
from ml_intern.session.log import read_log
from tests.e2e.test_task import TASK, scripted
from tests.support.inside import Said, inside, keys_for
from tests.support.openai_server import Answer, serving

Script = Callable[[dict[str, Any]], Answer]
CALLS = 6  # of an undisturbed run: claims, plan, three turns, discussion
RUN = ("run", TASK, "--model", "openai/scripted", "--yes", "--sandbox", "none", "--no-instructions")
PRICED = '[models."openai/scripted"]\ninput_usd_per_million = 10\noutput_usd_per_million = 0\nmax_output_tokens = 100\n'


class Faulty:
    """Answers as `usual` does; before its answer number n (from 0) it gives those of `faults[n]`, each once."""

    def __init__(self, faults: dict[int, Sequence[Answer]], usual: Script | None = None) -> None:
        self._left = {place: list(answers) for place, answers in faults.items()}
        self._usual = usual or scripted()
        self.answered = 0

    def __call__(self, request: dict[str, Any]) -> Answer:
        waiting = self._left.get(self.answered, [])
        if waiting:
            return waiting.pop(0)
        self.answered += 1
        return self._usual(request)


def counting(build: Sequence[Answer], usual: Script | None = None) -> Script:
    """The executor's turns are counted, not read from a conversation that may have been shortened."""
    left = list(build)
    otherwise = usual or scripted(left)

    def script(request: dict[str, Any]) -> Answer:
        return (left.pop(0) if len(left) > 1 else left[0]) if request.get("tools") else otherwise(request)

    return script


def run(home: Path, script: Script, *more: str, settings: str = "", command: Sequence[str] = RUN) -> Said:
    """`settings` is what stands in config.toml."""
    if settings:
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(settings)
    with serving(script) as server, keys_for(server.base):
        return inside(home, *command, *more)


def resumed(home: Path, *more: str, script: Script | None = None) -> Said:
    """With a model that does the work, where no other is given."""
    return run(home, script or scripted(), *more, command=("resume", "--yes"))


def events(home: Path) -> list[Event]:
    (log,) = home.glob("sessions/*/events.jsonl")
    return read_log(log)


def published(home: Path) -> Path:
    (found,) = (home / "hub").iterdir()
    return found
