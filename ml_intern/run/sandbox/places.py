"""Which folders a run reads and writes, made ready for the user that it runs as. The same for every isolating tier."""

from __future__ import annotations

from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run.sandbox.ownership import NOBODY, hand_over, make_readable
from ml_intern.run.sandbox.roots import outermost
from ml_intern.run.spec import RunSpec


def prepared_places(spec: RunSpec, *, as_nobody: bool) -> tuple[list[Path], list[Path]]:
    """(reads, writes) of the run; `as_nobody`: root hands them to that user. Raises RunError where one is missing, or
    that user may not read it."""
    writes = outermost([spec.cwd, *spec.writes])
    reads = [path for path in dict.fromkeys((spec.script.parent, *spec.reads)) if path not in writes]
    if missing := [str(path) for path in (*reads, *writes, spec.script) if not path.exists()]:
        raise RunError(f"Run {spec.run_id} names what is not there: {', '.join(missing)}.")
    if as_nobody:
        try:
            for folder in writes:
                hand_over(folder, NOBODY, NOBODY, but=reads)
        except OSError as error:
            what = f"Root cannot give the folders of run {spec.run_id} to the user that it runs as."
            raise RunError(what, f"{error}: this user namespace does not know the user nobody.") from None
        for path in outermost(reads):
            if path.is_dir():
                make_readable(path)
            else:
                _require_readable(path)
    return reads, writes


def _require_readable(path: Path) -> None:
    """A file that is named alone is a person's own: its mode is not this program's to change."""
    if not path.stat().st_mode & 0o004:
        why = f"{path} is for its owner alone, and as root scripts run as another user"
        raise RunError("A file that the plan names cannot be read by its scripts.", why, f"chmod o+r {path}")
