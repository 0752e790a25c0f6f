"""Reads PDFs in the sandbox: the parser is large, written in C++, and fed by whoever wrote the paper."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import ml_intern
from ml_intern.errors import PaperError
from ml_intern.read import pdf_main
from ml_intern.read.paper import Paper, Source
from ml_intern.read.reader import PdfReader
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import Limits, RunSpec

_LIMITS = Limits(seconds=120, memory_mb=2048, output_mb=1, file_mb=256, disk_mb=512)
_MAX_ANSWER = 200_000_000  # bytes


def pdf_reader(compute: Compute, scratch: Path, stop: threading.Event) -> PdfReader:
    """A reader whose parser sees this package and the one PDF, and writes what it read. `scratch`: a folder for it."""

    def read(data: bytes, source: Source) -> Paper:
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="pdf-", dir=scratch))
        try:
            return _read(compute, folder, stop, data, source)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return read


def _read(compute: Compute, folder: Path, stop: threading.Event, data: bytes, source: Source) -> Paper:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    pdf, out = folder / "in" / "paper.pdf", folder / "out" / "paper.json"
    pdf.write_bytes(data)
    spec = RunSpec(
        run_id="read-pdf",
        script=Path(pdf_main.__file__),
        arguments=(str(pdf), source.model_dump_json(), str(out)),
        cwd=folder / "cwd",
        log=folder / "read.log",
        reads=(Path(ml_intern.__file__).parent, folder / "in"),
        writes=(folder / "out",),
        environment={"PYDANTIC_DISABLE_PLUGINS": "1"},  # or it looks for them in all installed packages
        warm=None,
        limits=_LIMITS,
    )
    result = compute.execute(spec, stop)
    if result.outcome == "killed" and stop.is_set():
        raise KeyboardInterrupt
    if result.outcome != "ok":
        why = f"its parser ended with: {result.outcome}. {result.detail}\n{result.tail[-1000:]}".strip()
        raise PaperError("The PDF cannot be read.", why, "Give the LaTeX source, or another copy.")
    answer = _answer(out)
    if "error" in answer:
        words = answer["error"] if isinstance(answer["error"], list) else [answer["error"]]
        raise PaperError(*([str(word)[:1000] for word in words][:3] or ["The PDF cannot be read."]))
    try:
        # What was asked for is known here, whatever the parser says.
        return Paper.model_validate({**answer["paper"], "source": source})
    except (KeyError, TypeError, ValidationError) as error:
        raise PaperError("The PDF cannot be read.", f"its parser wrote no paper: {error}"[:1000]) from None


def _answer(path: Path) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_ANSWER:
        raise PaperError("The PDF cannot be read.", "its parser wrote nothing that can be taken")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PaperError("The PDF cannot be read.", f"its parser wrote no JSON: {error}") from None
    return found if isinstance(found, dict) else {}
