"""Kills a run at one boundary after another and resumes it; not part of the tests, it takes up to two hours.

`python -m tests.soak.boundaries [EVERY [OFFSET]]`: at each EVERY-th boundary, from OFFSET. Exit code 1 where a resumed
run ended in another way than the undisturbed one.
"""

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.support.zoo import finish, live, outcome, processes_of


def main() -> int:
    every, offset = (int(one) for one in [*sys.argv[1:], *("1", "1")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = live(Path(folder) / "undisturbed")
        wanted = outcome(Path(folder) / "undisturbed")
        ends: Counter[str] = Counter()
        for kill_at in range(offset, undisturbed.boundaries + 1, every):
            end = _end(Path(folder) / "killed", kill_at, wanted)
            ends[end.split(":")[0]] += 1
            if end not in ("same", "not reached"):
                print(f"boundary {kill_at}: {end}", flush=True)
            shutil.rmtree(Path(folder) / "killed")
    print(f"{undisturbed.boundaries} boundaries, every {every}.: {dict(ends)}")
    return int(bool(set(ends) - {"same", "not reached"}))


def _end(home: Path, kill_at: int, wanted: dict[str, object]) -> str:
    if not live(home, kill_at).killed:
        return "not reached"  # threads: the count differs a little from run to run
    last = finish(home)
    if last.code:
        return f"failed: {last.said[-600:]}"
    got = outcome(home)
    if left := processes_of(home):
        return f"orphans: {left}"
    different = [key for key in wanted if got[key] != wanted[key]]
    return f"different: {', '.join(different)}" if different else "same"


if __name__ == "__main__":
    sys.exit(main())
