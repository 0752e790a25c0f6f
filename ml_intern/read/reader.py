"""From what a person typed to a Paper: dispatches to the source and PDF readers. No language model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ml_intern.config import Config
from ml_intern.errors import PaperError
from ml_intern.read.archive import MAX_BYTES, MAX_MEMBERS, is_archive, unpack
from ml_intern.read.fetch import Downloader, Metadata, arxiv_metadata, arxiv_pdf, arxiv_source
from ml_intern.read.latex import read_latex
from ml_intern.read.latex_source import named_inputs
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
            return _from_bytes(Downloader(config).get(locator.value, locator.value), locator, read_pdf)
        case "folder":
            return _from_folder(Path(locator.value), locator)
        case "file":
            return _from_file(Path(locator.value), locator, read_pdf)


def _from_arxiv(locator: Locator, config: Config, read_pdf: PdfReader) -> Paper:
    """Metadata, then the e-print, then the PDF where the e-print is none or cannot be read."""
    downloader = Downloader(config)
    metadata = arxiv_metadata(downloader, config, locator.value)
    try:
        paper = _from_bytes(arxiv_source(downloader, config, locator.value), locator, read_pdf, metadata.id)
    except PaperError as error:
        paper = _from_bytes(arxiv_pdf(downloader, config, locator.value), locator, read_pdf, metadata.id)
        warning = f"read from the PDF, since the source could not be used: {error.what} {error.why}".strip()
        paper = paper.model_copy(update={"warnings": (warning, *paper.warnings)})
    return _with_metadata(paper, metadata)


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
    return _from_bytes(data, locator, read_pdf)


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


def _from_bytes(data: bytes, locator: Locator, read_pdf: PdfReader, arxiv_id: str = "") -> Paper:
    name = Path(locator.value).name or locator.value
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return read_pdf(data, _source("pdf", locator, data, arxiv_id))
    if name.lower().endswith(".pdf") and not is_archive(data):
        raise PaperError(f"{name} is not a PDF.", "it does not begin with %PDF-", "Download it again.")
    if data[:15].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise PaperError(f"{name} is a web page, not a paper.", next="Give the URL of the PDF or of the source.")
    return read_latex(unpack(data, name), _source("latex", locator, data, arxiv_id))


def _source(kind: str, locator: Locator, data: bytes, arxiv_id: str = "") -> Source:
    return Source.model_validate(
        {"kind": kind, "locator": locator.typed, "sha256": hashlib.sha256(data).hexdigest(), "arxiv_id": arxiv_id}
    )
