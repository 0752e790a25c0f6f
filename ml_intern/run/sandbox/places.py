"""Which folders a run reads and writes, made ready for the user that it runs as. The same for every isolating tier."""

from __future__ import annotations

from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run.sandbox.ownership import NOBODY, hand_over, make_readable
from ml_intern.run.sandbox.roots import outermost
from ml_intern.run.spec import RunSpec


def prepared_places(spec: RunSpec, *, as_nobody: bool) -> tuple[list[Path], list[Path]]:
    """(reads, writes) of the run; `as_nobody`: root hands them to that user. Raises RunError where one is missing."""
    writes = outermost([spec.cwd, *spec.writes])
    reads = [path for path in dict.fromkeys((spec.script.parent, *spec.reads)) if path not in writes]
    if missing := [str(path) for path in (*reads, *writes, spec.script) if not path.exists()]:
        raise RunError(f"Run {spec.run_id} names what is not there: {', '.join(missing)}.")
    if as_nobody:
        for folder in writes:
            hand_over(folder, NOBODY, NOBODY, but=reads)
        for path in outermost(reads):
            make_readable(path)
    return reads, writes
