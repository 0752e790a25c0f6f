"""Downloads: politely, under limits, cached on disk once they are understood. Knows arXiv's addresses and nothing of
what a paper holds."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeVar
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict

from ml_intern import __version__
from ml_intern.config import Config
from ml_intern.errors import PaperError

_USER_AGENT = f"ml-intern/{__version__} (reads papers to reproduce them; one request at a time)"
_MAX_BYTES = 200_000_000
_TRIES = 4
DAY = 86_400.0  # seconds
_ATOM = "{http://www.w3.org/2005/Atom}"

Understood = TypeVar("Understood")


class Metadata(BaseModel):
    """What arXiv says of a paper. `id` has its version."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    authors: tuple[str, ...]
    abstract: str


class Downloader:
    """`get` returns what a URL holds, from the cache where it can. `sleep` is replaced in tests. `notes` says what was
    taken from the cache though it is old."""

    def __init__(self, config: Config, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._sleep = sleep
        self.notes: list[str] = []

    def get(
        self,
        url: str,
        what: str,
        understand: Callable[[bytes], Understood],
        interval: float = 0.0,
        keep: float | None = None,
    ) -> Understood:
        """What `understand` makes of the bytes; it raises PaperError where they are not what was asked for, and such an
        answer is never kept. After `keep` seconds (None: never) the server is asked again; where it does not answer,
        the old copy does. Raises PaperError: not found, no network, too large, or no answer after four tries."""
        cached = self._config.cache / "papers" / hashlib.sha256(url.encode()).hexdigest()
        held: Understood | None = None
        if cached.is_file():
            with suppress(PaperError):
                held = understand(cached.read_bytes())
                if keep is None or 0 <= time.time() - cached.stat().st_mtime < keep:
                    return held
        try:
            data = self._download(url, what, interval)
            understood = understand(data)
        except PaperError as error:
            if held is None:
                raise
            self.notes.append(f"an older copy was used, since the server gave no better one: {error.what} {error.why}")
            return held
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_name(f"{cached.name}.{secrets.token_hex(4)}")
        part.write_bytes(data)
        part.replace(cached)
        return understood

    def _download(self, url: str, what: str, interval: float) -> bytes:
        import httpx

        problem = ""
        for attempt in range(_TRIES):
            if interval:
                self._wait_turn(interval)
            try:
                with httpx.stream(
                    "GET", url, headers={"User-Agent": _USER_AGENT}, follow_redirects=True, timeout=60
                ) as response:
                    if response.status_code == 200:
                        return self._body(response, what)
                    problem = f"{url} answered {response.status_code}"
                    if response.status_code not in (429, 500, 502, 503, 504):
                        break
                    wait = _retry_after(response.headers.get("Retry-After"), 2.0**attempt * max(interval, 0.5))
            except httpx.HTTPError as error:
                problem = f"{url}: {type(error).__name__}: {error}"
                wait = 2.0**attempt * 0.5
                if isinstance(error, httpx.ConnectError):
                    attempt = _TRIES  # nobody listens, or there is no network: trying again does not help
                    break
            if attempt + 1 < _TRIES:
                self._sleep(wait)
        raise PaperError(
            f"{what} could not be downloaded.",
            problem,
            "Check the id and the network, or give a file that you have: --paper paper.pdf",
        )

    def _body(self, response: object, what: str) -> bytes:
        chunks, total = [], 0
        for chunk in response.iter_bytes():  # type: ignore[attr-defined]
            chunks.append(chunk)
            total += len(chunk)
            if total > _MAX_BYTES:
                raise PaperError(f"{what} is too large.", f"over {_MAX_BYTES} bytes are not downloaded")
        return b"".join(chunks)

    def _wait_turn(self, interval: float) -> None:
        """At most one request in `interval` seconds, over all processes that share the cache."""
        path = self._config.cache / "arxiv.turn"
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            last = os.read(fd, 64)
            since = time.time() - float(last) if re.fullmatch(rb"[\d.]+", last) else interval
            if 0 <= since < interval:
                self._sleep(interval - since)
            os.lseek(fd, 0, os.SEEK_SET)
            os.ftruncate(fd, 0)
            os.write(fd, f"{time.time():.3f}".encode())
        finally:
            os.close(fd)


def arxiv_metadata(downloader: Downloader, config: Config, arxiv_id: str) -> Metadata:
    """Raises PaperError when there is no such paper. Asked for again after a day: there may be a newer version."""

    def understand(data: bytes) -> Metadata:
        return _metadata(data, arxiv_id)

    url = f"{config.arxiv_api}?id_list={arxiv_id}&max_results=1"
    return downloader.get(url, f"The metadata of arXiv {arxiv_id}", understand, config.arxiv_interval, DAY)


def _metadata(data: bytes, arxiv_id: str) -> Metadata:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise PaperError(f"The metadata of arXiv {arxiv_id} cannot be trusted.", "it declares entities")
    try:
        entry = ElementTree.fromstring(data).find(f"{_ATOM}entry")  # noqa: S314 -- entities are refused above
    except ElementTree.ParseError as error:
        raise PaperError(f"The metadata of arXiv {arxiv_id} cannot be read.", str(error)) from None
    title = _text(entry, "title")
    if entry is None or not title or title == "Error" or "api/errors" in _text(entry, "id"):
        raise PaperError(f"There is no arXiv paper {arxiv_id}.", next="Check the id, like 2401.01234 or cs/0101001.")
    authors = tuple(" ".join((name.text or "").split()) for name in entry.iter(f"{_ATOM}name"))
    full_id = re.sub(r"^.*/abs/", "", _text(entry, "id"))
    return Metadata(id=full_id or arxiv_id, title=title, authors=authors, abstract=_text(entry, "summary"))


def arxiv_file(
    downloader: Downloader,
    config: Config,
    kind: Literal["e-print", "pdf"],
    arxiv_id: str,
    understand: Callable[[bytes], Understood],
) -> Understood:
    """The source or the PDF. One version of a paper never changes; an id without one names another after a while."""
    keep = None if re.search(r"v\d+$", arxiv_id) else DAY
    what = f"The {'source' if kind == 'e-print' else 'PDF'} of arXiv {arxiv_id}"
    return downloader.get(f"{config.arxiv_site}/{kind}/{arxiv_id}", what, understand, config.arxiv_interval, keep)


def _text(entry: ElementTree.Element | None, name: str) -> str:
    element = entry.find(f"{_ATOM}{name}") if entry is not None else None
    return " ".join((element.text or "").split()) if element is not None else ""


def _retry_after(header: str | None, default: float) -> float:
    if header and header.isdigit():
        return min(float(header), 120.0)
    return default
