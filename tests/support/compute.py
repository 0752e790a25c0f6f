"""One compute for each kind of sandbox, shared by the tests of a process: starting one takes a quarter of a second."""

import functools
import tempfile
from pathlib import Path

import pytest

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.sandbox.choice import KINDS, Choice
from ml_intern.run.selfcheck import Examined, examine


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


every_kind = pytest.mark.parametrize("kind", KINDS)
