"""One compute for each kind of sandbox, shared by the tests of a process: starting one takes a quarter of a second."""

import functools
import tempfile
import threading
from pathlib import Path

import pytest

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.compute.server import Server
from ml_intern.run.sandbox.choice import KINDS, Choice
from ml_intern.run.selfcheck import ISOLATING, Examined, examine
from ml_intern.run.spec import Limits, RunResult, RunSpec

WARM = "warm"  # bubblewrap, with scripts that are forks of a process that has imported torch
FORKED = "forked"  # no sandbox, with scripts that are forks of a process that has imported numpy (forked.py)
FORKED_WARM = "forked, warm"  # the same with torch and transformers


class Shared(LocalCompute):
    """Uses the processes of another one; may have another number of slots."""

    def __init__(self, kind: str, slots: int | None = None) -> None:
        super().__init__(chosen(kind), slots, warm=kind == WARM)
        started = _started(kind)
        self._server, self._warm, self._lock = started._server, started._warm, started._lock


def shared_compute(kind: str = FORKED, slots: int | None = None) -> LocalCompute:
    return Shared(kind, slots)


@functools.cache
def _started(kind: str) -> LocalCompute:
    made = LocalCompute(chosen(kind), warm=kind == WARM)
    if kind in (FORKED, FORKED_WARM):
        made._server = Server(chosen(kind), "tests.support.forked")
    if kind == WARM:
        made.warm_up("torch")
    return made


@functools.cache
def chosen(kind: str) -> Choice:
    real = {WARM: "bubblewrap", FORKED: "none", FORKED_WARM: "none"}.get(kind, kind)
    return Choice(real, Path(tempfile.gettempdir()), warm="transformers" if kind == FORKED_WARM else None)


@functools.cache
def examined(kind: str) -> Examined:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        return examine(kind, Path(folder))


def require(kind: str) -> None:
    """Skips the test where this machine, or this user, cannot have the sandbox; says why."""
    kind = chosen(kind).kind
    if kind != "none" and not examined(kind).works:
        pytest.skip(f"{kind}: {examined(kind).problem}")


@functools.cache
def strongest() -> str:
    """The kind that a person's run would get here, with a warm start where there is one."""
    return next((kind for kind in (WARM, *ISOLATING) if examined(chosen(kind).kind).works), "none")


def run_script(kind: str, folder: Path, code: str, stop: threading.Event | None = None, **limits: float) -> RunResult:
    """`code` as a script of its own, in the sandbox of this kind; skips where there is none."""
    require(kind)
    script = folder / "script" / "script.py"
    script.parent.mkdir(parents=True)
    script.write_text(code)
    spec = RunSpec(
        run_id="r1",
        script=script,
        arguments=(),
        cwd=folder / "cwd",
        log=folder / "log.txt",
        limits=Limits.model_validate(limits),
    )
    return shared_compute(kind).execute(spec, stop or threading.Event())


ISOLATED = [*ISOLATING, WARM]
every_kind = pytest.mark.parametrize("kind", [*KINDS, WARM])
