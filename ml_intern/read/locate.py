"""What a person typed for a paper, understood: an arXiv id, a URL, a file or a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import PaperError

_NEW_ID = r"\d{4}\.\d{4,5}(?:v\d+)?"
_OLD_ID = r"[a-z-]+(?:\.[A-Z]{2})?/\d{7}(?:v\d+)?"
_ID = re.compile(rf"^(?:arxiv:)?\s*({_NEW_ID}|{_OLD_ID})$", re.IGNORECASE)
_IN_PATH = re.compile(rf"/(?:abs|pdf|html|e-print|src|format|papers)/({_NEW_ID}|{_OLD_ID})", re.IGNORECASE)
_FILES = ".pdf, .tex, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip or .gz"
_ALLOWED = f"an arXiv id (2401.01234, cs/0101001), a URL, a {_FILES} file, or a folder"


class Locator(BaseModel):
    """`value` is the arXiv id, the URL or the path; `typed` is what the person typed."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["arxiv", "url", "file", "folder"]
    value: str
    typed: str


def locate(typed: str) -> Locator:
    """Understands `typed`; a file or folder that exists comes first. Raises PaperError that says what is allowed."""
    text = typed.strip()
    if not text:
        raise PaperError("No paper was given.", next=f"Give {_ALLOWED}.")
    path = Path(text).expanduser()
    if "\0" not in text and path.is_dir():
        return Locator(kind="folder", value=str(path), typed=typed)
    if "\0" not in text and path.is_file():
        return Locator(kind="file", value=str(path), typed=typed)
    if match := _ID.match(text):
        return Locator(kind="arxiv", value=match[1], typed=typed)
    if re.match(r"^https?://", text, re.IGNORECASE):
        return _locate_url(text, typed)
    if match := re.match(r"^(?:www\.)?(arxiv\.org|huggingface\.co)/", text):
        return _locate_url(f"https://{text}", typed)
    if path.exists():
        raise PaperError(f"{text} is neither a file nor a folder.", next=f"Give {_ALLOWED}.")
    if "/" in text or "." in text:
        raise PaperError(f"There is no file {text}, and it is no arXiv id.", next=f"Give {_ALLOWED}.")
    raise PaperError(f"{text!r} is no paper.", next=f"Give {_ALLOWED}.")


def _locate_url(url: str, typed: str) -> Locator:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host.endswith(("arxiv.org", "huggingface.co", "hf.co")):
        if match := _IN_PATH.search(parts.path.removesuffix(".pdf")):
            return Locator(kind="arxiv", value=match[1], typed=typed)
        if host.endswith("arxiv.org"):
            raise PaperError(f"No arXiv id stands in {url}.", next="Give the id itself, like 2401.01234.")
    if not host:
        raise PaperError(f"{url} is no URL.", next=f"Give {_ALLOWED}.")
    return Locator(kind="url", value=url, typed=typed)
