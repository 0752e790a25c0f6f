"""Which repositories a session may lie in, in a file beside its log: an event would change the very log that was just
uploaded, and a second upload would never find all of it there already."""

from __future__ import annotations

import json

from ml_intern.session.disk import write_whole
from ml_intern.session.state import State
from ml_intern.session.store import SessionFolder

_NAME = "uploads.json"


def note_upload(folder: SessionFolder, repo: str) -> None:
    """That the session is about to go to `NAME/REPO`; on disk when it returns."""
    known = _noted(folder)
    if known[:1] != [repo]:
        write_whole(folder.root / _NAME, json.dumps([repo, *(one for one in known if one != repo)]))


def keep_uploads(here: SessionFolder, coming: SessionFolder) -> None:
    """What is noted of a copy that `coming` takes the place of: it lies there still."""
    for repo in reversed(_noted(here)):
        note_upload(coming, repo)


def repositories(folder: SessionFolder, state: State) -> list[str]:
    """`NAME/REPO` of all that it may lie in: what its log says, then those of `note_upload`, the latest first."""
    return list(dict.fromkeys([*([state.synced] if state.synced else []), *_noted(folder)]))


def _noted(folder: SessionFolder) -> list[str]:
    try:
        found = json.loads((folder.root / _NAME).read_bytes())
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
