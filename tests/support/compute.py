"""One compute for each kind of sandbox, shared by the tests of a process: starting one takes a quarter of a second."""

import functools
import tempfile
import threading
from pathlib import Path

import pytest

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import KINDS, Choice
from ml_intern.run.selfcheck import Examined, examine
from ml_intern.run.spec import Limits, RunResult, RunSpec


@functools.cache
def shared_compute(kind: str = "none", slots: int | None = None) -> LocalCompute:
    return LocalCompute(chosen(kind), slots)


@functools.cache
def chosen(kind: str) -> Choice:
    return Choice(kind, Path(tempfile.gettempdir()))


@functools.cache
def examined(kind: str) -> Examined:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        return examine(kind, Path(folder))


def require(kind: str) -> None:
    """Skips the test where this machine, or this user, cannot have the sandbox; says why."""
    if kind != "none" and not examined(kind).works:
        pytest.skip(f"{kind}: {examined(kind).problem}")


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


every_kind = pytest.mark.parametrize("kind", KINDS)
