"""The command line inside the test's own process: a whole run without the seconds that starting Python takes."""

import contextlib
import functools
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from ml_intern.cli.main import main
from ml_intern.run.selfcheck import choose


@dataclass(frozen=True)
class Said:
    """What a command gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def inside(home: Path, *arguments: str) -> Said:
    """`ml-intern ARGUMENTS` with `home` as its home."""
    with_known_sandbox(home)
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.dict(os.environ, {"ML_INTERN_HOME": str(home), "HF_TOKEN": "hf_plantedsecret"}),
        mock.patch.object(sys, "argv", ["ml-intern", *arguments]),
        mock.patch.object(sys, "stdin", io.StringIO()),  # nobody is there
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def with_known_sandbox(home: Path) -> None:
    """Puts what the self-check of the sandboxes found where a home keeps it: it is the same in every home."""
    place = home / "cache" / "sandbox.json"
    if not place.exists() and (found := _found()) is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, place)


@functools.cache
def _found() -> Path | None:
    home = Path(tempfile.mkdtemp(prefix="selfcheck-"))
    home.chmod(0o755)
    with contextlib.suppress(Exception):  # whoever needs a sandbox is told so by the run itself
        choose("auto", home)
    place = home / "cache" / "sandbox.json"
    return place if place.exists() else None


@contextlib.contextmanager
def keys_for(base: str) -> Iterator[None]:
    """The environment in which `openai/…` is the server at `base`."""
    known = {"OPENAI_API_KEY": "sk-planted-secret", "OPENAI_BASE_URL": base, "OPENAI_API_BASE": base}
    with mock.patch.dict(os.environ, {**known, "NO_PROXY": "127.0.0.1"}):
        yield
