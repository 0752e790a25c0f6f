"""Brings an uploaded session onto this machine, checks every hash, and takes its lease."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ml_intern.errors import InputError, SessionError
from ml_intern.redaction import Redactor
from ml_intern.session.catalogue import require_no_run
from ml_intern.session.disk import sync, sync_tree
from ml_intern.session.events import Event
from ml_intern.session.inbox import Inbox, Told, heard
from ml_intern.session.log import EventLog, held_by, held_still, is_held, read_log
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync.coming import bring_files, coming_place, require_same
from ml_intern.session.sync.manifest import SESSION_ID, Manifest, new_lease, this_machine
from ml_intern.session.sync.outgoing import OutgoingLog
from ml_intern.session.sync.remote import Conflict, Remote, SyncError
from ml_intern.session.sync.upload import GoneElsewhere
from ml_intern.session.uploads import keep_uploads

_LOCATOR = re.compile(rf"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<session>{SESSION_ID}))?/?")


@dataclass(frozen=True)
class Fetched:
    """`new`: False where this machine had it already, and is as far or further; `words` are then what was said to it
    elsewhere and is not in its inbox yet: it is for a person to say that it goes there. `before`: the manifest without
    the lease that was taken; None where none was."""

    folder: SessionFolder
    manifest: Manifest
    repo: str
    new: bool
    words: tuple[Told, ...] = ()
    before: Manifest | None = None


def is_locator(text: str) -> bool:
    return text.startswith("hf://")


def parse_locator(text: str) -> tuple[str, str]:
    """(repository, session id; empty where none is named). Raises InputError."""
    match = _LOCATOR.fullmatch(text)
    if not match:
        raise InputError(f"{text!r} is no uploaded session.", next="Give hf://datasets/NAME/REPO/ID.")
    return match["repo"], match["session"] or ""


def fetch(
    locator: str,
    store: SessionStore,
    remote: Remote,
    home: Path,
    redactor: Redactor,
    *,
    take_over: bool,
    lease: bool = True,
) -> Fetched:
    """The session in the store of this machine, ready to go on; its lease is taken, if wanted and if there is something
    left to do. `redactor`: as for an upload of what is here. Raises InputError, SessionError."""
    repo, session = parse_locator(locator)
    head = remote.head(repo)
    if not session:
        session = _only(repo, remote.sessions(repo))
    manifest = remote.manifest(repo, session, head)
    if manifest is None:
        there = ", ".join(remote.sessions(repo)[-5:]) or "none"
        raise InputError(f"{repo} holds no session {session}.", f"it holds: {there}")
    _require_usable(manifest, home, take_over)
    before = manifest if lease and manifest.status != "finished" else None
    if before is not None:
        remote.require_private(repo)  # whoever goes on with it uploads to there
        manifest = _leased(remote, repo, manifest, head, home)
    folder = SessionFolder(store.root / session)
    try:
        if folder.log.exists() and _is_as_far(folder, manifest, redactor):
            words = _words(remote, repo, manifest, head, folder)
            return Fetched(folder, manifest, repo, new=False, words=words, before=before)
        _bring(remote, repo, manifest, head, store, folder, redactor)
    except BaseException:
        give_back(remote, Fetched(folder, manifest, repo, new=False, before=before))
        raise
    return Fetched(folder, manifest, repo, new=True, before=before)


def give_back(remote: Remote, fetched: Fetched) -> None:
    """The lease, where nothing was done with the session; as it was before, so that whoever had it last is still named.
    A Hub that cannot be reached, or where it has changed hands since, does not matter: a lease runs out."""
    if fetched.before is None:
        return
    with contextlib.suppress(SessionError, Conflict):
        head = remote.head(fetched.repo)
        if remote.manifest(fetched.repo, fetched.manifest.session, head) == fetched.manifest:
            remote.commit(fetched.repo, head, fetched.manifest.session, fetched.before, {}, (), "")


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
    except SyncError as error:
        if error.passing:
            raise
        why = f"{error.what} {error.why}".strip()
        refused = SyncError(
            f"It cannot be written into {repo} that this machine goes on with session {manifest.session}.",
            why,
            "Use a token that may write there; or resume with --no-sync: what is done then stays on this machine.",
        )
        refused.passing = False
        raise refused from None
    return leased


def _is_as_far(folder: SessionFolder, manifest: Manifest, redactor: Redactor) -> bool:
    """Whether this machine's log holds all that is there. Raises SessionError where the two have parted."""
    if is_held(folder.log):
        raise SessionError(f"Session {folder.id} is being worked on here{held_by(folder.log)}.")
    here = read_log(folder.log)
    if len(here) < manifest.events:
        return False  # whether what comes begins with this is seen once it has come
    place = manifest.events - 1
    if manifest.checksum not in (here[place].checksum, _outgoing(folder, here, redactor)[place]):
        raise _parted(folder)
    return True


def _outgoing(folder: SessionFolder, events: Sequence[Event], redactor: Redactor) -> list[str]:
    """Checksums of the log as it leaves this machine: what is secret in it is not there, and its chain is another."""
    log = OutgoingLog(redactor, folder.blobs)
    log.advance(events)
    return log.checksums


def _words(remote: Remote, repo: str, manifest: Manifest, head: str, folder: SessionFolder) -> tuple[Told, ...]:
    """What was said to the session elsewhere and not heard there, for a copy that needs nothing else."""
    known = heard(folder.events()) | {told.id for told in folder.inbox.waiting()}
    names = [name for name in manifest.files if name.startswith("files/inbox/")]
    if not (new := [name for name in names if PurePosixPath(name).stem not in known]):
        return ()
    with tempfile.TemporaryDirectory() as place:
        part = Path(place)
        remote.fetch(repo, manifest.session, head, {name: manifest.files[name].size for name in new}, part)
        for name in new:
            require_same(part, name, manifest)
        came = Inbox(part / "files" / "inbox")
        came.keep_words()
        return tuple(came.waiting())


def _parted(folder: SessionFolder) -> SessionError:
    return SessionError(
        f"Session {folder.id} has gone on here and elsewhere in different ways.",
        next=f"Keep this one under another name (ml-intern fork {folder.id}), remove it, then resume from the Hub.",
    )


def _bring(
    remote: Remote,
    repo: str,
    manifest: Manifest,
    head: str,
    store: SessionStore,
    folder: SessionFolder,
    redactor: Redactor,
) -> None:
    """Into a folder beside it first: what is wrong leaves nothing behind, and replaces nothing."""
    store.root.mkdir(parents=True, exist_ok=True)
    part = coming_place(store.root, manifest)
    kept = False
    try:
        bring_files(remote, repo, manifest, head, part)
        _put_in_place(part, manifest)
        _require_prefix(folder, part, redactor)
        SessionFolder(part).inbox.keep_words()
        with EventLog(part / "events.jsonl") as log:
            log.append("session.fetched", repo=repo, left_out=list(manifest.left_out), changed=list(manifest.changed))
        (part / "holder.json").unlink(missing_ok=True)
        sync_tree(part)
        with held_still(folder.log) if folder.log.exists() else contextlib.nullcontext():
            _require_prefix(folder, part, redactor)  # somebody may have gone on with it here meanwhile
            aside = store.root / f".replaced-{folder.id}-{time.time_ns()}"
            if folder.root.exists():
                require_no_run(folder)
                _keep_unheard(folder, SessionFolder(part))
                keep_uploads(folder, SessionFolder(part))
                folder.root.rename(aside)
            part.rename(folder.root)
            sync(store.root)
        shutil.rmtree(aside, ignore_errors=True)
    except (SyncError, KeyboardInterrupt):
        kept = True  # what came is right: the next try goes on from it
        raise
    except OSError as error:
        why = f"{error.filename or store.root}: {error.strerror or error}"
        raise SessionError(f"Session {manifest.session} could not be brought here.", why) from None
    finally:
        if not kept:
            shutil.rmtree(part, ignore_errors=True)


def _keep_unheard(here: SessionFolder, coming: SessionFolder) -> None:
    """What was said to the copy on this machine, and neither heard nor uploaded, is not lost with it."""
    known = heard(coming.events()) | {told.id for told in coming.inbox.waiting()}
    coming.inbox.add(here.inbox.waiting(known))


def _put_in_place(part: Path, manifest: Manifest) -> None:
    """Checks what came, and gives it the places that a session has. Raises SessionError."""
    for name in manifest.files:
        require_same(part, name, manifest)
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
    state = SessionFolder(part).state()  # raises where it says what no session says
    ledger = SessionFolder(part).ledger
    held = len(ledger.read_bytes().splitlines()) if ledger.exists() else 0
    if held > state.runs:  # they would be taken for runs of this machine's
        raise SessionError("The uploaded session is damaged.", f"its log tells of {state.runs} runs, {held} came")


def _require_prefix(folder: SessionFolder, part: Path, redactor: Redactor) -> None:
    if not folder.log.exists():
        return
    here = read_log(folder.log)
    there = [event.checksum for event in read_log(part / "events.jsonl")[: len(here)]]
    if there != [event.checksum for event in here] and there != _outgoing(folder, here, redactor):
        raise _parted(folder)
