"""Files of an uploaded session on their way to this machine, in a folder beside the sessions.

What came whole outlives a fault: the next try takes it over by its content, whatever name and revision it came under.
Knows nothing of what a session is made of.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from ml_intern.errors import SessionError
from ml_intern.session.sync.manifest import Item, Manifest
from ml_intern.session.sync.remembered import item_of
from ml_intern.session.sync.remote import HALF, Remote


def coming_place(root: Path, manifest: Manifest) -> Path:
    """A new folder of this process's own, with what earlier tries of nobody's have left that fits the manifest."""
    root.mkdir(parents=True, exist_ok=True)
    part = root / f".coming-{manifest.session}-{os.getpid()}"
    if part.exists():
        part.rename(part.with_name(f"{part.name}.{time.time_ns()}"))
    left = [one for one in root.glob(f".coming-{manifest.session}-*") if not _is_alive(one)]
    part.mkdir()
    wanted = _names(manifest)
    for one in left:
        _take_over(one, part, wanted)
        shutil.rmtree(one, ignore_errors=True)
    return part


def bring_files(remote: Remote, repo: str, manifest: Manifest, head: str, part: Path) -> None:
    """All files and segments of the log that are not there yet; the same content comes once. Raises SyncError."""
    names = _names(manifest)
    missing = {same[0]: item.size for item, same in names.items() if not (part / same[0]).exists()}
    remote.fetch(repo, manifest.session, head, {**missing, **dict.fromkeys(manifest.segments, 0)}, part)
    for first, *others in names.values():
        for name in others:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part / first, part / name)


def require_same(part: Path, name: str, manifest: Manifest) -> None:
    """Raises SessionError."""
    if item_of(part / name) != manifest.files[name]:
        raise SessionError("The uploaded session is damaged.", f"{name} is not what its manifest says")


def _names(manifest: Manifest) -> dict[Item, list[str]]:
    names: dict[Item, list[str]] = {}
    for name, item in manifest.files.items():
        names.setdefault(item, []).append(name)
    return names


def _take_over(left: Path, part: Path, wanted: dict[Item, list[str]]) -> None:
    sizes = {item.size for item in wanted}
    with contextlib.suppress(FileNotFoundError):  # another process may be at it, too
        for path in [path for path in left.rglob("*") if path.is_file() and not path.is_symlink()]:
            if path.stat().st_size not in sizes or not (names := wanted.get(item_of(path))):
                continue
            target = part / names[0]
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        if not (part / HALF).exists():
            (left / HALF).rename(part / HALF)


def _is_alive(part: Path) -> bool:
    """Whether the process that fetches into this folder is still there."""
    number = part.name.rpartition("-")[2]
    try:
        os.kill(int(number), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True
    return int(number) != os.getpid()
