"""The undisturbed run that a killed one is held against, and what a killed one has to come to."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.session.log import read_log
from tests.soak.lives import import_all, live, orphans
from tests.support.crashing import PAPER
from tests.support.zoo import outcome

RUN = ("run", "--model", "openai/zoo", "--yes", "--sandbox", "none", "--jobs", "2", "--no-warm-start", "--paper")
SAME, NOT_REACHED = "same", "not reached"
_PATIENCE = 3  # lives after a kill until it has to be finished


@dataclass(frozen=True)
class World:
    """`folder` holds a home for each worker; `wanted` is the outcome of the undisturbed run, `places` its
    boundaries."""

    folder: Path
    wanted: dict[str, Any]
    places: list[str]

    def home(self, worker: int) -> Path:
        """An empty one."""
        home = self.folder / f"worker-{worker}"
        shutil.rmtree(home, ignore_errors=True)
        return home

    @property
    def run(self) -> list[str]:
        return [*RUN, str(self.folder / "zoo.tex")]


def undisturbed(folder: Path) -> World:
    """Its first life imports for all that follow."""
    (folder / "zoo.tex").write_text(PAPER)
    world = World(folder, {}, [])
    life = live(folder / "undisturbed", world.run)
    assert life.code == 0, life.said
    import_all(life.modules)
    return World(folder, outcome(folder / "undisturbed"), life.places)


def finished(
    world: World,
    home: Path,
    command: Sequence[str],
    environment: dict[str, str] | None = None,
    begin: Sequence[str] = (),
) -> str:
    """Resumed by `command` until it is finished, or begun by `begin` where nothing of it is there; what differs."""
    for _ in range(_PATIENCE):
        begun = any(read_log(log) for log in home.glob("sessions/*/events.jsonl"))
        last = live(home, command if begun or "hf://" in str(command) else begin or world.run, "", environment)
        if last.code == 0:
            break
    if last.code:
        return f"failed: {last.said[-600:]}"
    if left := orphans():
        return f"orphans: {left}"
    return difference(world.wanted, outcome(home))


def difference(wanted: dict[str, Any], got: dict[str, Any]) -> str:
    """`same`, or where the two part, in a few words."""
    parted = [f"{key}: {_first_difference(wanted[key], got[key])}" for key in wanted if got[key] != wanted[key]]
    return f"different: {'; '.join(parted)}" if parted else SAME


def _first_difference(wanted: Any, got: Any, at: str = "") -> str:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted({*wanted, *got}, key=str):
            if wanted.get(key) != got.get(key):
                return _first_difference(wanted.get(key), got.get(key), f"{at}/{key}")
    if isinstance(wanted, list) and isinstance(got, list):
        return f"{at} without {[one for one in wanted if one not in got]}, with {[x for x in got if x not in wanted]}"
    return f"{at} {str(got)[:200]} instead of {str(wanted)[:200]}"
