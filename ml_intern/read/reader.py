"""From what a person typed to a Paper: dispatches to the source and PDF readers. No language model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml_intern.config import Config
from ml_intern.errors import PaperError
from ml_intern.read.archive import MAX_BYTES, MAX_MEMBERS, is_archive, unpack
from ml_intern.read.fetch import DAY, Downloader, Metadata, arxiv_file, arxiv_metadata
from ml_intern.read.latex import read_latex
from ml_intern.read.latex_inputs import named_inputs
from ml_intern.read.locate import Locator, locate
from ml_intern.read.paper import Paper, Source

_TEXT_SUFFIXES = {".tex", ".ltx", ".bib", ".bbl", ".sty", ".cls", ".txt", ".xxx", ""}


PdfReader = Callable[[bytes, Source], Paper]


def read_paper(typed: str, config: Config, read_pdf: PdfReader) -> Paper:
    """The paper that `typed` names; a PDF is given to `read_pdf`. Raises PaperError with what, why and what to do."""
    locator = locate(typed)
    match locator.kind:
        case "arxiv":
            return _from_arxiv(locator, config, read_pdf)
        case "url":
            return _from_url(locator, config, read_pdf)
        case "folder":
            return _from_folder(Path(locator.value), locator)
        case "file":
            return _from_file(Path(locator.value), locator, read_pdf)


def _from_url(locator: Locator, config: Config, read_pdf: PdfReader) -> Paper:
    downloader = Downloader(config)
    opened = downloader.get(locator.value, locator.value, lambda data: _opened(data, locator), keep=DAY)
    return _warned(_from_opened(opened, locator, read_pdf), downloader.notes)


def _from_arxiv(locator: Locator, config: Config, read_pdf: PdfReader) -> Paper:
    """Metadata, then the e-print, then the PDF where the e-print is none or cannot be read."""
    downloader = Downloader(config)
    metadata = arxiv_metadata(downloader, config, locator.value)

    def read(kind: Literal["e-print", "pdf"]) -> Paper:
        opened = arxiv_file(downloader, config, kind, metadata.id, lambda data: _opened(data, locator))
        return _from_opened(opened, locator, read_pdf, metadata.id)

    try:
        paper = read("e-print")
    except PaperError as source:
        try:
            paper = read("pdf")
        except PaperError as pdf:
            raise PaperError(
                f"Neither the source nor the PDF of arXiv {metadata.id} could be used.",
                f"{_said(source)} {_said(pdf)}",
                pdf.next or source.next,
            ) from None
        paper = _warned(paper, [f"read from the PDF, since the source could not be used: {_said(source)}"])
    return _with_metadata(_warned(paper, downloader.notes), metadata)


def _said(error: PaperError) -> str:
    return " ".join(part.rstrip(".") + "." for part in (error.what, error.why) if part)


def _warned(paper: Paper, warnings: Sequence[str]) -> Paper:
    return paper.model_copy(update={"warnings": (*warnings, *paper.warnings)})


def _with_metadata(paper: Paper, metadata: Metadata) -> Paper:
    return paper.model_copy(
        update={
            "title": metadata.title or paper.title,
            "authors": metadata.authors or paper.authors,
            "abstract": paper.abstract or metadata.abstract,
        }
    )


def _from_file(path: Path, locator: Locator, read_pdf: PdfReader) -> Paper:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PaperError(f"{path} is too large.", f"{size} bytes, {MAX_BYTES} are allowed")
        data = path.read_bytes()
    except OSError as error:
        raise PaperError(f"{path} cannot be read.", error.strerror or str(error)) from None
    if not data:
        raise PaperError(f"{path} is empty.", "it has 0 bytes", "Download it again.")
    if path.suffix.lower() in (".tex", ".ltx"):
        files = _with_inputs(path, data)
        if b"\\documentclass" in data or b"\\begin{document}" in data:
            files["00README.txt"] = path.name.encode()
        return read_latex(files, _source("latex", locator, data))
    return _from_opened(_opened(data, locator), locator, read_pdf)


def _with_inputs(main: Path, data: bytes) -> dict[str, bytes]:
    """A lone .tex with what it inputs, and what that inputs, from beneath its own folder; links are not followed. The
    folder itself may be full of other things."""
    files = {main.name: data}
    wanted = [*named_inputs(data), f"{main.stem}.bbl"]
    while wanted and len(files) < MAX_MEMBERS and sum(map(len, files.values())) < MAX_BYTES:
        name = wanted.pop()
        for path in (main.parent / name, main.parent / f"{name}.tex"):
            inside = not Path(name).is_absolute() and ".." not in Path(name).parts
            linked = any(part.is_symlink() for part in (path, *path.parents) if main.parent in part.parents)
            if inside and not linked and path.is_file() and str(path.relative_to(main.parent)) not in files:
                files[str(path.relative_to(main.parent))] = path.read_bytes()
                wanted += named_inputs(path.read_bytes())
    return files


def _from_folder(folder: Path, locator: Locator) -> Paper:
    files = _text_files(folder)
    if not any(name.endswith((".tex", ".ltx")) for name in files):
        raise PaperError(f"{folder} holds no .tex file.", next="Give the folder of the LaTeX source.")
    joined = b"".join(name.encode() + b"\0" + files[name] for name in sorted(files))
    return read_latex(files, _source("latex", locator, joined))


def _text_files(folder: Path) -> dict[str, bytes]:
    """The text files beneath a folder; links are not followed."""
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix.lower() not in _TEXT_SUFFIXES:
            continue
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        total += path.stat().st_size
        if len(files) >= MAX_MEMBERS or total > MAX_BYTES:
            raise PaperError(f"{folder} holds too much to be a paper.", "give the folder of the LaTeX source alone")
        files[str(path.relative_to(folder))] = path.read_bytes()
    return files


@dataclass(frozen=True)
class _Opened:
    """What was given or downloaded, and the files in it; None where it is a PDF."""

    data: bytes
    files: dict[str, bytes] | None


def _opened(data: bytes, locator: Locator) -> _Opened:
    """Raises PaperError for what is neither a PDF nor LaTeX, and for an archive that does not unpack."""
    name = Path(locator.value).name or locator.value
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return _Opened(data, None)
    if name.lower().endswith(".pdf") and not is_archive(data):
        raise PaperError(f"{name} is not a PDF.", "it does not begin with %PDF-", "Download it again.")
    if data[:1024].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise PaperError(f"{name} is a web page, not a paper.", next="Give the URL of the PDF or of the source.")
    files = unpack(data, name)
    if not is_archive(data) and b"\\" not in data:
        raise PaperError(f"{name} is no paper.", "it is neither a PDF nor an archive, and holds no LaTeX")
    return _Opened(data, files)


def _from_opened(opened: _Opened, locator: Locator, read_pdf: PdfReader, arxiv_id: str = "") -> Paper:
    if opened.files is None:
        return read_pdf(opened.data, _source("pdf", locator, opened.data, arxiv_id))
    return read_latex(opened.files, _source("latex", locator, opened.data, arxiv_id))


def _source(kind: str, locator: Locator, data: bytes, arxiv_id: str = "") -> Source:
    return Source.model_validate(
        {"kind": kind, "locator": locator.typed, "sha256": hashlib.sha256(data).hexdigest(), "arxiv_id": arxiv_id}
    )
