"""What the sweep of boundaries does with the Hub: uploads, downloads and synced runs are killed at each of theirs.

What is on the Hub is whole after every kill and every life that follows, each file once, and the lease is respected.
"""

import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ml_intern.session.events import Event
from ml_intern.session.inbox import Told
from ml_intern.session.log import EventLog, read_log, scan
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync.manifest import Manifest
from ml_intern.session.sync.remembered import item_of
from tests.soak.lives import Life, live, not_an_orphan, orphans
from tests.soak.world import NOT_REACHED, SAME, World, finished
from tests.support.hub import Repository, User, serve_hub

REPO = "ada/ml-intern-sessions"
_UPLOAD = ["sessions", "upload", "last"]


@dataclass(frozen=True)
class Hub:
    """A stand-in Hub in a process of its own, which keeps what it holds in `folder`."""

    folder: Path
    site: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.site, "HF_TOKEN": "hf_write"}

    def reset(self, kept: Path | None = None) -> None:
        """Holds nothing, or what another one held."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if kept is None:
            self.folder.mkdir()
        else:
            shutil.copytree(kept, self.folder)

    @property
    def repository(self) -> Repository | None:
        place = self.folder / "datasets" / REPO.replace("/", "--")
        return Repository(place) if (place / "repository.json").exists() else None

    def manifest(self) -> Manifest | None:
        """Of the one session."""
        files = self.repository.files() if self.repository and self.repository.branches else {}
        told = [content for name, content in files.items() if name.endswith("/session.json")]
        return Manifest.model_validate_json(told[0]) if told else None


def start_hub(folder: Path) -> Hub:
    folder.mkdir()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with serve_hub(folder, {"hf_write": User("ada")}) as served:
            os.write(writer, served.site.encode())
            os.close(writer)
            while os.getppid() != 1:
                time.sleep(0.5)
        os._exit(0)
    not_an_orphan(pid)
    os.close(writer)
    with os.fdopen(reader) as told:
        return Hub(folder, told.read(), pid)


class Journeys:
    """`late`: the home of a session that was killed when all was judged and nothing published; `sent`: what a Hub holds
    of it. Each worker has a Hub of its own."""

    def __init__(self, world: World, workers: int) -> None:
        self.world = world
        self.hubs = [start_hub(world.folder / f"hub-{number}") for number in range(workers)]
        self.late, self.sent = world.folder / "late", world.folder / "sent"
        places = [place for place in world.places if place.startswith("after fdatasync sessions/SESSION/events.jsonl")]
        assert live(self.late, world.run, places[-5]).killed  # verdicts, phase, asked, replied, published are to come
        orphans()
        hub = self.hubs[0]
        first = live(self._copied(self.late, 0), _UPLOAD, "", hub.environment)
        assert first.code == 0, first.said
        shutil.copytree(hub.folder, self.sent)
        # The machine's name, as the upload has it.
        shutil.copyfile(self.world.folder / "worker-0" / "machine-id", self.late / "machine-id")
        self.session = SessionFolder(next(self.late.glob("sessions/*")))
        hub.reset()

    def close(self) -> None:
        for hub in self.hubs:
            os.kill(hub.pid, signal.SIGTERM)
            os.waitpid(hub.pid, 0)

    def uploads(self) -> list[str]:
        """The boundaries of a first upload, then, behind a `+`, of one of what is new."""
        first = live(self._copied(self.late, 0), _UPLOAD, "", self.hubs[0].environment)
        self.hubs[0].reset(self.sent)
        second = live(self._grown(0), _UPLOAD, "", self.hubs[0].environment)
        assert (first.code, second.code) == (0, 0), first.said + second.said
        return [*first.places, *(f"+{place}" for place in second.places)]

    def killed_upload(self, worker: int, place: str) -> str:
        hub = self.hubs[worker]
        hub.reset(self.sent if place.startswith("+") else None)
        home = self._grown(worker) if place.startswith("+") else self._copied(self.late, worker)
        if not live(home, _UPLOAD, place.removeprefix("+"), hub.environment).killed:
            return NOT_REACHED
        if problem := problem_of(hub):
            return f"after the kill: {problem}"
        again = live(home, _UPLOAD, "", hub.environment)
        if again.code:
            return f"failed: {again.said[-600:]}"
        once_more = live(home, _UPLOAD, "", hub.environment)
        if once_more.code or "holds all of it already" not in once_more.said:
            return f"uploaded twice: {once_more.said[-600:]}"
        return problem_of(hub, whole=_events_of(home)) or SAME

    def downloads(self) -> list[str]:
        """The boundaries of a download, until the session is worked on."""
        self.hubs[0].reset(self.sent)
        life = self._fetched(self.world.home(0), 0)
        assert life.code == 0, life.said
        orphans()
        begun = life.places.index("before write sessions/SESSION/events.jsonl, 1.")
        return life.places[: begun + 1]

    def killed_download(self, worker: int, place: str) -> str:
        hub = self.hubs[worker]
        hub.reset(self.sent)
        home = self.world.home(worker)
        if not self._fetched(home, worker, place).killed:
            return NOT_REACHED
        if problem := problem_of(hub):
            return f"after the kill: {problem}"
        command = ["resume", self._locator, "--yes", "--sandbox", "none"]
        end = finished(self.world, home, command, hub.environment)
        if end != SAME:
            return end
        left = [path.name for path in (home / "sessions").glob(".coming-*")]
        return (f"left: {left}" if left else "") or problem_of(hub, whole=_events_of(home), ended=True) or SAME

    def requests(self) -> list[str]:
        """The boundaries of a synced run that are the Hub's."""
        self.hubs[0].reset()
        life = live(self.world.home(0), [*self.world.run, "--sync"], "", self._busy(0))
        assert life.code == 0, life.said
        orphans()
        return [place for place in life.places if " send " in place or place.startswith("in request")]

    def killed_synced(self, worker: int, place: str) -> str:
        hub, home = self.hubs[worker], self.world.home(worker)
        hub.reset()
        if not live(home, [*self.world.run, "--sync"], place, self._busy(worker)).killed:
            orphans()
            return NOT_REACHED
        if problem := problem_of(hub):
            return f"after the kill: {problem}"
        there = hub.manifest()
        if there and there.lease:
            other = home.with_name(f"{home.name}-other")
            shutil.rmtree(other, ignore_errors=True)
            refused = live(other, ["resume", f"hf://datasets/{REPO}/{there.session}", "--yes"], "", hub.environment)
            if refused.code != 1 or "is being worked on by" not in refused.said:
                return f"not refused elsewhere: {refused.code} {refused.said[-300:]}"
        begin = [*self.world.run, "--sync"]
        end = finished(self.world, home, ["resume", "--yes"], self._busy(worker), begin)
        return end if end != SAME else problem_of(hub, whole=_events_of(home), ended=True) or SAME

    @property
    def _locator(self) -> str:
        return f"hf://datasets/{REPO}/{self.session.id}"

    def _fetched(self, home: Path, worker: int, kill_at: str = "") -> Life:
        command = ["resume", self._locator, "--yes", "--sandbox", "none"]
        return live(home, command, kill_at, self.hubs[worker].environment)

    def _busy(self, worker: int) -> dict[str, str]:
        return {**self.hubs[worker].environment, "ML_INTERN_SYNC_INTERVAL": "0.3"}

    def _copied(self, source: Path, worker: int) -> Path:
        home = self.world.home(worker)
        shutil.copytree(source, home, symlinks=True)
        return home

    def _grown(self, worker: int) -> Path:
        """The session that `sent` was made of, with something new in each place that an upload looks at."""
        home = self._copied(self.late, worker)
        folder = SessionFolder(home / "sessions" / self.session.id)
        with EventLog(folder.log) as log:
            log.append("note", text="more " * 20_000)
        folder.inbox.put(Told(words="and something that nobody has heard"))
        return home


def _events_of(home: Path) -> int:
    (log,) = [log for log in home.glob("sessions/*/events.jsonl") if read_log(log)]
    return len(read_log(log))


def _log_of(held: dict[str, bytes], log: bytes) -> tuple[list[Event], int]:
    """As `scan` reads it, with the long texts that came beside it."""
    with tempfile.TemporaryDirectory() as folder:
        blobs = Path(folder) / "blobs"
        blobs.mkdir()
        for name, content in held.items():
            if name.startswith("files/blobs/"):
                (blobs / Path(name).name).write_bytes(content)
        return scan(Path(folder) / "events.jsonl", log)


def problem_of(hub: Hub, whole: int = 0, ended: bool = False) -> str:
    """What is wrong with what the Hub holds; empty where nothing is. `whole`: as many events have to be there; `ended`:
    and the lease given back."""
    manifest = hub.manifest()
    if manifest is None:
        return "nothing is there" if whole else ""
    repository = hub.repository
    assert repository is not None
    files = repository.files()
    held = {name.removeprefix(f"{manifest.session}/"): content for name, content in files.items()}
    wanted = {*manifest.files, *manifest.segments, "session.json"}
    strange = {name for name in held if name.startswith(("files/", "log/"))} - wanted
    if strange or not wanted <= held.keys():
        return f"too much {sorted(strange)[:3]}, too little {sorted(wanted - held.keys())[:3]}"
    if changed := [name for name, item in manifest.files.items() if item_of(held[name]) != item]:
        return f"not what the manifest says: {changed[:3]}"
    events, good = _log_of(held, log := b"".join(held[name] for name in manifest.segments))
    if len(events) != manifest.events or good != len(log) or events[-1].checksum != manifest.checksum:
        return f"its log has {len(events)} of {manifest.events} events"
    trees = [str(sorted((n, f.sha256) for n, f in one.files.items())) for one in repository.commits.values()]
    if len(set(trees)) != len(trees):
        return "a commit was made twice"
    if whole and manifest.events != whole:
        return f"{manifest.events} events are there, {whole} here"
    if ended and (manifest.lease or manifest.status != "finished"):
        return f"ended, and on the Hub {manifest.status} with lease {manifest.lease}"
    return ""
