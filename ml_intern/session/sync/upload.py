"""Uploads a session, again and again if it is wanted: only what is new since the last time goes over the network."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from ml_intern.errors import SessionError
from ml_intern.redaction import Redactor
from ml_intern.session.events import Event
from ml_intern.session.log import is_held
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync.manifest import LEASE_SECONDS, Lease, Manifest, new_lease, this_machine
from ml_intern.session.sync.outgoing import OutgoingLog
from ml_intern.session.sync.parcel import Parcel, pack
from ml_intern.session.sync.remembered import Search, Signature, signature
from ml_intern.session.sync.remote import Conflict, Remote, SyncError

_TRIES = 5
_PAUSE = 60.0  # seconds between two tries to keep the lease
CARD = """---
tags:
- ml-intern
- agent-traces
---
Sessions of [ml-intern](https://pypi.org/project/ml-intern/), a folder each. `ml-intern resume hf://datasets/{repo}/ID`
goes on with one.
"""


class GoneElsewhere(SessionError):
    """Another machine works on the session, or has gone on with it."""


@dataclass(frozen=True)
class Uploaded:
    """`new`: files that went over the network, of so many `bytes`; `parcel` is what was packed."""

    repo: str
    commit: str
    new: int
    bytes: int
    parcel: Parcel


@dataclass
class Uploader:
    """One session, one repository. `repo` is `NAME/REPO`. Not thread-safe."""

    folder: SessionFolder
    remote: Remote
    repo: str
    redactor: Redactor
    home: Path
    _log: OutgoingLog = field(init=False)
    _search: Search = field(init=False)
    _read: tuple[Signature, tuple[Event, ...]] | None = None
    _lease: Lease | None = None
    _lapsed: bool = False
    _tried: float = 0.0  # when the lease was to be kept last, in seconds of the monotonic clock

    def __post_init__(self) -> None:
        self._log = OutgoingLog(self.redactor, self.folder.blobs)
        self._search = Search(self.redactor, self._keep_lease)

    def upload(self, *, release: bool = False, fresh: bool = True) -> Uploaded:
        """What is new since the last time. While the session is worked on, the lease is taken, or kept; `release` gives
        it back. `fresh`: checkpoints as they are now, not those of a while ago. Raises GoneElsewhere, SyncError,
        SessionError."""
        events = self._events()
        if not events:
            raise SessionError(f"There is nothing of session {self.folder.id} to upload yet.")
        parcel = pack(self.folder, events, self._search, self._log, fresh)
        for _ in range(_TRIES):
            head = self.remote.head(self.repo)
            there = self.remote.manifest(self.repo, self.folder.id, head)
            self._require_ours(there)
            try:
                return self._commit(parcel, head, there, release)
            except Conflict:
                continue  # another session's upload, most likely: look again whether this one is still ours
        raise SessionError(f"{self.repo} changes all the time.", "every commit was overtaken by another", "Try later.")

    def _events(self) -> tuple[Event, ...]:
        """Of the log; it is not read again while nothing has come to it."""
        now = signature(self.folder.log)
        if self._read is None or self._read[0] != now:
            self._read = now, self.folder.events()
        return self._read[1]

    def require_ours(self) -> str:
        """Raises GoneElsewhere. Why the Hub could not be asked, which does not matter; empty where it was."""
        try:
            there = self.remote.manifest(self.repo, self.folder.id, self.remote.head(self.repo))
        except SessionError as error:
            return f"{error.what} {error.why}".strip()
        self._log.advance(self.folder.events())
        self._require_ours(there)
        self._lease = self._own_lease(there)
        return ""

    def _keep_lease(self) -> None:
        """While much is looked through: a lease that runs out meanwhile would let another machine in. Raises
        GoneElsewhere; whatever else goes wrong, the commit that follows will say."""
        due = self._lease is not None and self._lease.until - time.time() < LEASE_SECONDS / 2
        if not due or self._lapsed or time.monotonic() - self._tried < _PAUSE or not is_held(self.folder.log):
            return
        self._tried = time.monotonic()
        with contextlib.suppress(SyncError, Conflict):
            head = self.remote.head(self.repo)
            there = self.remote.manifest(self.repo, self.folder.id, head)
            self._require_ours(there)
            if there is not None and (kept := self._own_lease(there)) is not None:
                self._lease = new_lease(kept.machine, kept.since)
                longer = there.model_copy(update={"lease": self._lease, "written": time.time()})
                self.remote.commit(self.repo, head, self.folder.id, longer, {}, (), "")

    def lapse(self) -> None:
        """Ends the lease though not all is uploaded: whoever takes the session over is told so, and need not wait. May
        be called beside an upload. Nothing is raised: without this, too, the lease runs out."""
        self._lapsed = True
        with contextlib.suppress(SessionError, Conflict):
            head = self.remote.head(self.repo)
            there = self.remote.manifest(self.repo, self.folder.id, head)
            if there is not None and (lease := self._own_lease(there)) is not None and lease.is_live():
                over = there.model_copy(update={"lease": lease.model_copy(update={"until": time.time()})})
                self.remote.commit(self.repo, head, self.folder.id, over, {}, (), "")

    def _own_lease(self, there: Manifest | None) -> Lease | None:
        lease = there.lease if there else None
        return lease if lease is not None and lease.machine == this_machine(self.home) else None

    def _require_ours(self, there: Manifest | None) -> None:
        if there is None:
            return
        if there.machine == this_machine(self.home):
            # A log never becomes shorter: another machine has a copy of this one's folder, and its name with it.
            if there.events > len(self._log.checksums):
                raise self._gone_on(there)
            return
        lease = there.lease
        if lease is not None and lease.machine != this_machine(self.home) and lease.is_live():
            raise GoneElsewhere(
                f"Session {there.session} is being worked on by {lease.host}.",
                f"its lease runs until {_clock(lease.until)}",
                "Stop it there, or wait until the lease has run out.",
            )
        if there.events > len(self._log.checksums) or self._log.checksums[there.events - 1] != there.checksum:
            raise self._gone_on(there)

    def _gone_on(self, there: Manifest) -> GoneElsewhere:
        by = f"; {there.lease.host} works on it" if there.lease and there.lease.machine == there.machine else ""
        return GoneElsewhere(
            f"Session {there.session} has gone on elsewhere.",
            f"{self.repo} holds {there.events} events that are not all in this one's log{by}",
            f"Go on from there: ml-intern resume hf://datasets/{self.repo}/{there.session}",
        )

    def _commit(self, parcel: Parcel, head: str, there: Manifest | None, release: bool) -> Uploaded:
        known, segments = self._known(there)
        lines = self._log.lines[known:]
        files = {f"files/{name}": one for name, one in parcel.files.items()}
        before = there.files if there else {}
        new = {name: one.source for name, one in files.items() if before.get(name) != one.item}
        gone = [name for name in before if name not in files]
        if lines:
            name = f"log/{known:08}-{len(self._log.lines) - 1:08}.jsonl"
            new[name] = b"".join(lines)
            gone += [old for old in (there.segments if there else ()) if old not in segments and old != name]
            segments = (*segments, name)
        lease = self._wanted_lease(there, release)
        if not new and not gone and there is not None and not self._lease_changes(there.lease, lease):
            return Uploaded(self.repo, head, 0, 0, parcel)
        manifest = Manifest(
            session=self.folder.id,
            title=self.redactor.text(parcel.state.title, guess=True)[0],
            status=parcel.state.status,
            machine=this_machine(self.home),
            written=time.time(),
            events=len(self._log.lines),
            checksum=self._log.checksums[-1],
            segments=segments,
            files={name: one.item for name, one in files.items()},
            left_out=tuple(self.redactor.text(words, guess=True)[0] for words in parcel.left_out),
            along=tuple(self.redactor.text(words, guess=True)[0] for words in parcel.along),
            changed=tuple(sorted({name for name, _ in parcel.found} | set(parcel.withheld))),
            broken=parcel.broken,
            lease=lease,
        )
        card = "" if there or self.remote.has_card(self.repo, head) else CARD.format(repo=self.repo)
        commit = self.remote.commit(self.repo, head, self.folder.id, manifest, new, gone, card)
        self._lease = lease
        size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in new.values())
        return Uploaded(self.repo, commit, len(new), size, parcel)

    def _known(self, there: Manifest | None) -> tuple[int, tuple[str, ...]]:
        """(events, segments) of what is there that this log begins with; all is sent again where it begins otherwise,
        as after a change of what counts as secret."""
        if there is None or not 0 < there.events <= len(self._log.checksums):
            return 0, ()
        return (there.events, there.segments) if self._log.checksums[there.events - 1] == there.checksum else (0, ())

    def _wanted_lease(self, there: Manifest | None, release: bool) -> Lease | None:
        if release or not is_held(self.folder.log):
            return None
        kept = self._own_lease(there)
        return new_lease(this_machine(self.home), kept.since if kept else None)

    def _lease_changes(self, before: Lease | None, after: Lease | None) -> bool:
        """Whether a commit is due for the lease alone: it is taken, given back, or half over."""
        if before is None or after is None:
            return before is not after
        return before.machine != after.machine or before.until - time.time() < LEASE_SECONDS / 2


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
