"""Brings an uploaded session onto this machine, checks every hash, and takes its lease."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ml_intern.errors import InputError, SessionError
from ml_intern.session.disk import sync, sync_tree
from ml_intern.session.log import EventLog, held_by, held_still, is_held, read_log
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync.manifest import SESSION_ID, Manifest, new_lease, this_machine
from ml_intern.session.sync.parcel import item_of
from ml_intern.session.sync.remote import Conflict, Remote
from ml_intern.session.sync.upload import GoneElsewhere

_LOCATOR = re.compile(rf"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<session>{SESSION_ID}))?/?")


@dataclass(frozen=True)
class Fetched:
    """`new`: False where this machine had it already, and is as far or further."""

    folder: SessionFolder
    manifest: Manifest
    repo: str
    new: bool


def is_locator(text: str) -> bool:
    return text.startswith("hf://")


def parse_locator(text: str) -> tuple[str, str]:
    """(repository, session id; empty where none is named). Raises InputError."""
    match = _LOCATOR.fullmatch(text)
    if not match:
        raise InputError(f"{text!r} is no uploaded session.", next="Give hf://datasets/NAME/REPO/ID.")
    return match["repo"], match["session"] or ""


def fetch(
    locator: str, store: SessionStore, remote: Remote, home: Path, *, take_over: bool, lease: bool = True
) -> Fetched:
    """The session in the store of this machine, ready to go on; its lease is taken, if wanted and if there is something
    left to do. Raises InputError, SessionError."""
    repo, session = parse_locator(locator)
    head = remote.head(repo)
    if not session:
        session = _only(repo, remote.sessions(repo))
    manifest = remote.manifest(repo, session, head)
    if manifest is None:
        there = ", ".join(remote.sessions(repo)[-5:]) or "none"
        raise InputError(f"{repo} holds no session {session}.", f"it holds: {there}")
    _require_usable(manifest, home, take_over)
    if lease and manifest.status != "finished":
        manifest = _leased(remote, repo, manifest, head, home)
    folder = SessionFolder(store.root / session)
    if folder.log.exists() and _is_as_far(folder, manifest):
        return Fetched(folder, manifest, repo, new=False)
    _bring(remote, repo, manifest, head, store, folder)
    return Fetched(folder, manifest, repo, new=True)


def _only(repo: str, sessions: list[str]) -> str:
    if len(sessions) == 1:
        return sessions[0]
    raise InputError(f"{repo} holds {len(sessions)} sessions.", ", ".join(sessions[-10:]), "Name one: hf://…/ID.")


def _require_usable(manifest: Manifest, home: Path, take_over: bool) -> None:
    if manifest.version != 1:
        raise SessionError("This session was uploaded by a newer ml-intern.", next="pip install -U ml-intern")
    if manifest.broken:
        raise SessionError(
            f"The uploaded copy of session {manifest.session} cannot go on.",
            manifest.broken,
            "Go on with it on the machine that it came from.",
        )
    lease = manifest.lease
    if lease is None or lease.machine == this_machine(home):
        return
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(lease.until))
    if lease.is_live():
        raise GoneElsewhere(
            f"Session {manifest.session} is being worked on by {lease.host}.",
            f"its lease runs until {until}",
            "Stop it there, or wait until the lease has run out.",
        )
    if not take_over:
        raise GoneElsewhere(
            f"Session {manifest.session} was being worked on by {lease.host}, which has not been heard of since.",
            f"its lease ran out at {until}; it may have gone on without the network",
            "Take it over with --take-over: what that machine has done since then is then lost.",
        )


def _leased(remote: Remote, repo: str, manifest: Manifest, head: str, home: Path) -> Manifest:
    machine = this_machine(home)
    leased = manifest.model_copy(update={"lease": new_lease(machine), "machine": machine, "written": time.time()})
    try:
        remote.commit(repo, head, manifest.session, leased, {}, (), "")
    except Conflict:
        raise GoneElsewhere(
            f"Somebody else has changed {repo} at this very moment.",
            next="Try again: it may be another session's upload.",
        ) from None
    return leased


def _is_as_far(folder: SessionFolder, manifest: Manifest) -> bool:
    """Whether this machine's log holds all that is there. Raises SessionError where the two have parted."""
    if is_held(folder.log):
        raise SessionError(f"Session {folder.id} is being worked on here{held_by(folder.log)}.")
    checksums = [event.checksum for event in read_log(folder.log)]
    if len(checksums) < manifest.events:
        return False  # whether what comes begins with this is seen once it has come
    if checksums[manifest.events - 1] != manifest.checksum:
        raise _parted(folder)
    return True


def _parted(folder: SessionFolder) -> SessionError:
    return SessionError(
        f"Session {folder.id} has gone on here and elsewhere in different ways.",
        next=f"Keep this one under another name (ml-intern fork {folder.id}), remove it, then resume from the Hub.",
    )


def _bring(
    remote: Remote, repo: str, manifest: Manifest, head: str, store: SessionStore, folder: SessionFolder
) -> None:
    """Into a folder beside it first: what is wrong leaves nothing behind, and replaces nothing."""
    store.root.mkdir(parents=True, exist_ok=True)
    for left in store.root.glob(f".coming-{manifest.session}-*"):
        if not _is_alive(left):
            shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: somebody else on this machine may be fetching the same session.
    part = store.root / f".coming-{manifest.session}-{os.getpid()}"
    part.mkdir()
    try:
        remote.fetch(repo, manifest.session, head, [*manifest.files, *manifest.segments], part)
        _put_in_place(part, manifest)
        _require_prefix(folder, part)
        with EventLog(part / "events.jsonl") as log:
            log.append("session.fetched", repo=repo, left_out=list(manifest.left_out), changed=list(manifest.changed))
        (part / "holder.json").unlink(missing_ok=True)
        sync_tree(part)
        with held_still(folder.log) if folder.log.exists() else contextlib.nullcontext():
            _require_prefix(folder, part)  # somebody may have gone on with it here meanwhile
            if folder.root.exists():
                folder.root.rename(store.root / f".replaced-{folder.id}-{time.time_ns()}")
            part.rename(folder.root)
            sync(store.root)
    except OSError as error:
        why = f"{error.filename or store.root}: {error.strerror or error}"
        raise SessionError(f"Session {manifest.session} could not be brought here.", why) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


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


def _put_in_place(part: Path, manifest: Manifest) -> None:
    """Checks what came, and gives it the places that a session has. Raises SessionError."""
    for name, item in manifest.files.items():
        if item_of(part / name) != item:
            raise SessionError("The uploaded session is damaged.", f"{name} is not what its manifest says")
    for name in manifest.files:
        target = part / PurePosixPath(name).relative_to("files")
        target.parent.mkdir(parents=True, exist_ok=True)
        (part / name).rename(target)
    log = part / "events.jsonl"
    with log.open("wb") as file:
        for segment in manifest.segments:
            file.write((part / segment).read_bytes())
    shutil.rmtree(part / "files", ignore_errors=True)
    shutil.rmtree(part / "log", ignore_errors=True)
    events = read_log(log)
    if not events or len(events) != manifest.events or events[-1].checksum != manifest.checksum:
        raise SessionError("The uploaded session is damaged.", f"its log has {len(events)} of {manifest.events} events")
    SessionFolder(part).state()  # raises where it says what no session says


def _require_prefix(folder: SessionFolder, part: Path) -> None:
    if not folder.log.exists():
        return
    here, there = read_log(folder.log), read_log(part / "events.jsonl")
    if [event.checksum for event in here] != [event.checksum for event in there[: len(here)]]:
        raise _parted(folder)
