"""Kills a run at every boundary and resumes it, and so an upload and a download; not part of the tests.

`python -m tests.soak.boundaries [run|torn|upload|download|synced …] [--every N] [--workers N]`; all by default. Exit
code 1 where one ended in another way than the undisturbed one.

- `run`: a run with a scripted model, killed at each place of `tests/support/boundaries.py`, then resumed to its end.
- `torn`: the same where supervisors of its scripts live on, and they are killed with it.
- `upload`, `download`: `sessions upload` of a half-done session, and `resume hf://…` of one, against the stand-in Hub.
- `synced`: a run that is uploaded beside its work, at each request.

Every kill is a SIGKILL of a process that came to this place by itself: no state is copied, since what a run leaves
running is half of what has to be right. What makes it cheap is that a life is a fork, and that several go side by side.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.soak.lives import adopt, kill_orphans, live, orphans, side_by_side
from tests.soak.world import NOT_REACHED, SAME, World, finished, undisturbed

NAMES = ("run", "torn", "upload", "download", "synced")
Sweep = tuple[list[str], Callable[[int, str], str]]


def killed_run(world: World, worker: int, place: str, torn: bool = False) -> str:
    """Killed at `place` and resumed; `torn`: with all that it left running."""
    home = world.home(worker)
    first = live(home, world.run, place)
    if not first.killed:
        orphans()
        return NOT_REACHED if first.code == 0 else f"failed: {first.said[-600:]}"
    if torn and not kill_orphans():
        return NOT_REACHED
    return finished(world, home, ["resume", "--yes"])


def runs(world: World) -> Sweep:
    return world.places, lambda worker, place: killed_run(world, worker, place)


def torn_runs(world: World) -> Sweep:
    """From the first script on; what is before a call leaves no other process than what is after the one before it."""
    first = next(number for number, place in enumerate(world.places) if place.startswith("before send_fds"))
    places = [place for place in world.places[first:] if not place.startswith("before")]
    return places, lambda worker, place: killed_run(world, worker, place, torn=True)


def sweep(name: str, work: list[str], do: Callable[[int, str], str], workers: int) -> bool:
    """Says how it went; whether all went well. In no order, so that a sweep which is broken off has been everywhere."""
    random.Random(0).shuffle(work)
    began = time.monotonic()
    ends = side_by_side(work, do, workers)
    counts = Counter(end.split(":")[0] for _, end in ends)
    kinds = Counter(" ".join(place.lstrip("+").split()[:2]).strip(",") for place in work)
    print(f"{name}: {len(work)} places in {(time.monotonic() - began) / 60:.0f} min: {dict(counts)}", flush=True)
    print(f"  {', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}", flush=True)
    return not set(counts) - {SAME, NOT_REACHED}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("sweeps", nargs="*", default=[])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    wanted = given.sweeps or NAMES
    adopt()
    well = True
    with tempfile.TemporaryDirectory() as folder:
        # Looked for before a session of openai/zoo goes on; the Hub's client reads its own when it is imported.
        os.environ |= {"OPENAI_API_KEY": "none", "HF_HUB_DISABLE_XET": "1", "HF_HOME": f"{folder}/hf"}
        world = undisturbed(Path(folder))
        for name, made in (("run", runs), ("torn", torn_runs)):
            if name in wanted:
                work, do = made(world)
                well &= sweep(name, work[:: given.every], do, given.workers)
        if {"upload", "download", "synced"} & set(wanted):
            well &= journeys(world, wanted, given.every, given.workers)
    return int(not well)


def journeys(world: World, wanted: list[str], every: int, workers: int) -> bool:
    from tests.soak.journeys import Journeys

    made = Journeys(world, workers)
    well = True
    try:
        for name, places, do in (
            ("upload", made.uploads, made.killed_upload),
            ("download", made.downloads, made.killed_download),
            ("synced", made.requests, made.killed_synced),
        ):
            if name in wanted:
                well &= sweep(name, places()[::every], do, workers)
    finally:
        made.close()
    return well


if __name__ == "__main__":
    sys.exit(main())
