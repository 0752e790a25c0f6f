"""Reads the files of a published folder, which may be a stranger's: only regular files, and no more of one than anybody
needs. Judges nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from ml_intern.errors import InputError
from ml_intern.judge.arrow_messages import MOST_ROWS
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.ledger import parse_ledger
from ml_intern.judge.lines import MOST_PREDICTED
from ml_intern.plan.plan import Plan
from ml_intern.plan.plan_file import parse_plan

_MOST_BYTES = 256 << 20  # of any file that is read whole
# Of predictions, a few bytes may unpack to any number: to no more than a run may write, of four bytes a character.
_MOST_UNPACKED = 4 * MOST_PREDICTED


def content(path: Path) -> bytes:
    """All of a file. Raises InputError where it is no regular one, or larger than any such file is, and OSError."""
    # A pipe without a writer would keep an ordinary open waiting.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        _require_regular(path.name, os.fstat(file.fileno()).st_mode)
        data = file.read(_MOST_BYTES + 1) if os.fstat(file.fileno()).st_size <= _MOST_BYTES else None
    if data is None or len(data) > _MOST_BYTES:
        raise InputError(f"{path.name} is not read.", f"it has more than {_MOST_BYTES >> 20} MiB")
    return data


def regular(path: Path) -> Path:
    """The path of a file that may have any size. Raises InputError where it is no regular one, and OSError."""
    _require_regular(path.name, path.stat().st_mode)
    return path


def plan_in(folder: Path) -> Plan:
    """Raises PlanError that names the line."""
    return parse_plan(content(folder / "plan.yaml").decode())


def evidence_in(folder: Path) -> tuple[Evidence, ...]:
    """In the order it was recorded. Raises MlInternError that names the line where the chain breaks."""
    return parse_ledger(content(folder / "evidence.jsonl"), "evidence.jsonl")


def saved_lines(folder: Path, place: tuple[str, str]) -> list[Any]:
    """The rows of a file under predictions/. Raises InputError where its hash is not the evidence's."""
    name, digest = place
    data = content(folder / "predictions" / name)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"predictions/{name} is not the file that the evidence names")
    rows: list[Any] = []
    left = _MOST_UNPACKED
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while line := file.readline(left + 1):
            left -= len(line)
            if left < 0 or len(rows) == MOST_ROWS:
                most = f"{_MOST_UNPACKED >> 20} MiB" if left < 0 else f"{MOST_ROWS:,} rows"
                why = f"{len(data) >> 10} KiB would unpack to more than {most}"
                raise InputError(f"predictions/{name} is not unpacked.", why)
            rows.append(json.loads(line.decode()))
    return rows


def _require_regular(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is no regular file.", "a link to a device, a pipe or a folder is not read")
