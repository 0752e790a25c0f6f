"""The ledger: one JSON line a run, each with the hash of the one before. Verdicts, card and report are views of it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.tables import file_hash

GENESIS = "0" * 64


def canonical_hash(value: Any) -> str:
    """sha256 in hex of a JSON value, independent of key order and layout."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """Append-only and thread-safe. Opening checks the chain; a torn last line is moved aside. `clean` takes secrets out
    of what a script had to say."""

    def __init__(self, path: Path, clean: Callable[[str], str] = lambda text: text) -> None:
        self.path, self._clean = path, clean
        self._lock = threading.Lock()
        self._drop_torn_tail()
        self.evidence = read_ledger(path) if path.exists() else ()
        self._last = _last_hash(path)

    def append(self, evidence: Evidence) -> None:
        """Durable when it returns. Raises MlInternError on a full disk; the ledger then ends as it did before."""
        with self._lock:
            evidence = evidence.model_copy(update={"detail": self._clean(evidence.detail)})
            body = evidence.model_dump(mode="json")
            digest = canonical_hash({"evidence": body, "previous": self._last})
            record = {"evidence": body, "previous": self._last, "hash": digest}
            line = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
            _append_durably(self.path, line)
            self._last = digest
            self.evidence = (*self.evidence, evidence)

    def _drop_torn_tail(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            self.path.with_suffix(".torn").write_bytes(content[end:])
            os.truncate(self.path, end)


def read_ledger(path: Path) -> tuple[Evidence, ...]:
    """Evidence in the order it was recorded. Raises MlInternError that names the line where the chain breaks."""
    return parse_ledger(path.read_bytes(), path.name)


def parse_ledger(data: bytes, name: str) -> tuple[Evidence, ...]:
    """As `read_ledger`, from bytes; `name` stands in the errors."""
    out: list[Evidence] = []
    previous = GENESIS
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            record = json.loads(line)
            body, stated = record["evidence"], record["hash"]
            right = record["previous"] == previous and stated == canonical_hash(
                {"evidence": body, "previous": previous}
            )
            evidence = Evidence.model_validate(body)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise _broken(name, number, str(error)) from None
        if not right:
            raise _broken(name, number, "its hash does not match its content and the line before")
        out.append(evidence)
        previous = stated
    return tuple(out)


def lost_files(records: Iterable[Evidence], predictions: Path) -> Iterator[tuple[str, str]]:
    """(run, name beneath `predictions`) of the files that are gone, or are not what they were when they were named."""
    known: dict[tuple[str, str], bool] = {}  # runs of one split share their labels
    for evidence in records:
        for named in (*evidence.predictions.values(), *evidence.labels.values()):
            if named not in known:
                path = predictions / named[0]
                known[named] = path.is_file() and file_hash(path) == named[1]
            if not known[named]:
                yield evidence.run_id, named[0]


def _broken(name: str, number: int, why: str) -> MlInternError:
    return MlInternError(f"The evidence in {name} is broken at line {number}.", why[:500])


def _last_hash(path: Path) -> str:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return str(json.loads(lines[-1])["hash"]) if lines else GENESIS


def _append_durably(path: Path, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        end = os.fstat(fd).st_size
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(fd, view) :]
            os.fdatasync(fd)
        except OSError as error:
            os.ftruncate(fd, end)
            raise MlInternError(
                "The evidence could not be written.", f"{path}: {error.strerror}", "Free disk space and resume."
            ) from None
    finally:
        os.close(fd)
