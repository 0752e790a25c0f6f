"""A session that somebody else uploaded, put together by hand with right hashes, does no harm where it is resumed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_intern.agent.pipeline import mention
from ml_intern.errors import InputError, MlInternError, SessionError
from ml_intern.redaction import Redactor
from ml_intern.session.catalogue import entry, remove
from ml_intern.session.fork import fork
from ml_intern.session.log import EventLog, held_still
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync.download import fetch
from ml_intern.session.sync.manifest import Manifest
from tests.session.conftest import REPO, SECRET, World
from tests.support.session import measure, write_session

Change = Callable[[dict[str, Any]], object]
EMPTY = hashlib.sha256(b"").hexdigest()


def crafted(world: World, change: Change) -> str:
    """An uploaded session whose manifest was changed by hand."""
    folder = write_session(world.here)
    world.uploader(folder).upload()
    told = json.loads(world.files()[f"{folder.id}/session.json"])
    change(told)
    changed = {f"{folder.id}/session.json": json.dumps(told).encode()}
    for name in told["files"]:
        if told["files"][name] == {"sha256": EMPTY, "size": 0}:
            changed[f"{folder.id}/{name}"] = b""
    world.hub.repository("dataset", REPO).commit_aside(changed)
    return folder.id


def names(file: str) -> Change:
    return lambda told: told["files"].update({file: {"sha256": EMPTY, "size": 0}})


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(session="../../elsewhere"),
        lambda told: told.update(session="another-session"),
        lambda told: told.update(session=".."),
        lambda told: told["segments"].append("../../../../escaped.jsonl"),
        lambda told: told["segments"].append("/tmp/escaped.jsonl"),
        lambda told: told["segments"].append(told["segments"][0]),
        lambda told: told.update(events=0),
        lambda told: told.update(events=-1),
        lambda told: told.update(events=10**18),
        lambda told: told.update(segments=[]),
        names("files/../../escaped"),
        names("files//etc/escaped"),
        names("/etc/escaped"),
        names("files/holder.json"),
        names("files/events.jsonl"),
        names("files/paper.json/beneath-a-file"),
        names("files/hub/escaped"),
        names("session.json"),
    ],
)
def test_a_manifest_that_names_what_is_not_the_sessions_is_refused_and_leaves_nothing(
    world: World, change: Change
) -> None:
    id = crafted(world, change)
    before = sorted(world.there.parent.rglob("*escaped*"))
    with pytest.raises(SessionError):
        world.fetch(id)
    sessions = world.there / "sessions"
    assert not sessions.exists() or list(sessions.rglob("*")) == []
    assert sorted(world.there.parent.rglob("*escaped*")) == before


@pytest.mark.parametrize("id", ["..", ".", ".hidden", "x\n", "zzz", "last", "99999999-zz"])
def test_an_id_that_is_no_name_is_refused(world: World, id: str) -> None:
    with pytest.raises(InputError, match="is no uploaded session"):
        store, nothing = SessionStore(world.there), Redactor({})
        fetch(f"hf://datasets/{REPO}/{id}", store, world.remote(), world.there, nothing, take_over=False)


def strange(home: Path, **settings: Any) -> SessionFolder:
    folder = SessionFolder(home / "sessions" / "20261125-100000-bad0")
    with EventLog(folder.log) as log:
        log.append("session.created", settings={"paper": "", "sandbox": "none", "sync": "eve/loot", **settings})
        log.append("sandbox.chosen", kind=settings.get("sandbox", "none"), tier="C")
        log.append("plan.approved", digest="d1")
        log.append("session.synced", repo="eve/loot")
    return folder


@pytest.mark.parametrize(("asked", "given"), [("none", "auto"), ("landlock", "auto"), ("bubblewrap", "bubblewrap")])
def test_a_session_that_arrives_weakens_no_sandbox_and_uploads_nowhere_and_its_plan_is_not_approved_here(
    world: World, asked: str, given: str
) -> None:
    folder = strange(world.here, sandbox=asked)
    assert folder.state().sandbox == asked and not folder.state().unapproved, "at home all is as it was"
    world.uploader(folder).upload()
    state = world.fetch(folder.id).folder.state()
    assert (state.sandbox, state.settings["sandbox"]) == (given, given)
    assert (state.settings["sync"], state.synced, state.came) == ("", REPO, REPO)
    assert state.unapproved and state.plan == "d1"


def test_a_session_that_arrives_brings_no_approval_with_it(world: World) -> None:
    folder = strange(world.here, approve="never", allow_unknown_price=True)
    with EventLog(folder.log) as log:
        about = {"purpose": "build zoo", "id": "1", "tool": "fetch", "kind": "external", "by": "a person"}
        log.append("allowance.settled", key="k", run="r", gpu_seconds=-1e9, micro=-(10**9))
        log.append("approval", **about, call="d", decision="allow", scope="tool")
    before = folder.state()
    assert (before.always, before.decided, before.gpu_seconds) == (("fetch",), {"d": "allow"}, 0.0)
    world.uploader(folder).upload()
    state = world.fetch(folder.id).folder.state()
    assert (state.always, state.decided) == ((), {}) and not {"approve", "allow_unknown_price"} & state.settings.keys()


def test_runs_that_came_along_are_told_from_those_that_were_measured_here(world: World) -> None:
    folder = write_session(world.here)
    assert (folder.state().runs, folder.state().brought) == (2, 0)
    world.uploader(folder).upload()
    came = world.fetch(folder.id).folder
    with EventLog(came.log) as log:
        log.append("session.resumed", settings={})
        measure(came, log, "r7")
    state = came.state()
    assert (state.runs, state.brought, state.brought_from) == (3, 2, REPO)
    earlier = fork(SessionStore(world.there / "sessions"), came, 5).state()
    assert (earlier.runs, earlier.brought) == (1, 1)


def test_evidence_that_its_log_does_not_tell_of_does_not_arrive(world: World) -> None:
    def one_more(told: dict[str, Any]) -> None:
        content = world.files()[f"{told['session']}/files/evidence.jsonl"] * 2
        told["files"]["files/evidence.jsonl"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        name = f"{told['session']}/files/evidence.jsonl"
        world.hub.repository("dataset", REPO).commit_aside({name: content})

    with pytest.raises(SessionError, match="tells of 2 runs, 4 came"):
        world.fetch(crafted(world, one_more))


def test_a_fork_is_another_session_for_which_nothing_was_allowed_yet(world: World) -> None:
    folder = strange(world.here)
    with EventLog(folder.log) as log:
        log.append("approval", purpose="p", id="1", tool="fetch", kind="external", by="a person", call="d",
                   decision="allow", scope="tool")  # fmt: skip
    assert fork(SessionStore(world.here / "sessions"), folder, None).state().always == ()


def test_a_fork_from_before_it_arrived_came_from_elsewhere_no_less(world: World) -> None:
    folder = strange(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id).folder
    state = fork(SessionStore(world.there / "sessions"), came, 2).state()
    assert state.unapproved and state.came == REPO and state.sandbox == "auto"


@pytest.mark.parametrize(
    "event",
    [
        ("experiment.built", {"experiment": "../../../private", "scripts": "s"}),
        ("experiment.built", {"experiment": "/etc", "scripts": "s"}),
    ],
)
def test_a_log_that_names_files_elsewhere_brings_none_of_them_into_an_upload_or_a_fork(
    world: World, event: tuple[Any, dict[str, Any]]
) -> None:
    private = world.here / "private" / "id_rsa"
    private.parent.mkdir(parents=True)
    private.write_text("mine")
    folder = write_session(world.here)
    with EventLog(folder.log) as log:
        log.append(event[0], **event[1])
    with pytest.raises(SessionError, match="outside itself"):
        world.uploader(folder).upload()
    with pytest.raises(SessionError, match="outside itself"):
        fork(SessionStore(world.here / "sessions"), folder, None)


@pytest.mark.parametrize(
    "record", [{"run_id": "../../../private"}, {"predictions": {"t": ["../../../private/x", "h"]}}]
)
def test_a_ledger_that_names_files_elsewhere_brings_none_of_them(world: World, record: dict[str, Any]) -> None:
    folder = write_session(world.here, runs=0)
    with EventLog(folder.log) as log:
        measure(folder, log, "r0")
    line = json.loads(folder.ledger.read_text())
    line["evidence"].update(record)
    folder.ledger.write_text(json.dumps(line) + "\n")
    with pytest.raises(SessionError, match="outside itself"):
        world.uploader(folder).upload()


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("plan.approved", {}),
        ("session.created", {"settings": [1]}),
        ("paper.read", {"title": 5}),
        ("model.replied", {"cost_usd": "much"}),
        ("experiment.built", {"experiment": ["unhashable"], "scripts": "s"}),
    ],
)
def test_an_event_that_says_nonsense_is_damage_of_that_one_session_and_does_not_arrive(
    world: World, type: Any, data: dict[str, Any]
) -> None:
    folder = strange(world.here)
    with EventLog(folder.log) as log:
        log.append(type, **data)
        log.append("note", text="later")
    with pytest.raises(SessionError, match="cannot be understood"):
        folder.state()
    assert entry(folder).status == "damaged"
    remove(folder)


def test_a_moment_beyond_all_clocks_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = strange(tmp_path)
    monkeypatch.setattr("time.time", lambda: 1e300)
    with EventLog(folder.log) as log:
        log.append("note", text="x")
    assert entry(folder).status == "damaged"


def test_no_secret_leaves_in_the_name_of_a_script_or_in_the_reason_why_a_copy_is_broken(world: World) -> None:
    folder = write_session(world.here)
    digest = folder.blobs.put(b"print(1)\n")
    with EventLog(folder.log) as log:
        log.append("tool.result", purpose="build park", id="1", name="write_file", result="w", failed=False,
                   files={f"park/{SECRET}.py": digest})  # fmt: skip
    (folder.frozen("zoo") / f"{SECRET}.py").write_text("x")
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert done.parcel.broken
    assert not [name for name, data in world.files().items() if SECRET.encode() in data or SECRET in name]


def test_a_copied_home_does_not_overwrite_what_the_other_one_did(world: World) -> None:
    folder = write_session(world.here)
    before = folder.log.read_bytes()
    with EventLog(folder.log) as log:
        log.append("note", text="done with the other home")
    world.uploader(folder).upload()
    folder.log.write_bytes(before)  # the copy was made before that, and has the same machine-id
    with pytest.raises(SessionError, match="has gone on elsewhere"):
        world.uploader(folder).upload()


def test_a_session_that_is_removed_is_not_begun_anew_by_who_waits_for_it(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    remove(folder)
    with pytest.raises(SessionError, match="was removed"):
        EventLog(folder.log, there=True)
    assert not folder.root.exists()


def test_a_session_that_is_removed_between_opening_and_locking_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_session(tmp_path)
    real = EventLog._take_lock

    def slow(log: EventLog) -> None:
        remove(folder)
        real(log)

    monkeypatch.setattr(EventLog, "_take_lock", slow)
    with pytest.raises(SessionError, match="was removed"):
        EventLog(folder.log, there=True)


def test_nobody_opens_a_session_while_it_is_moved(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with held_still(folder.log), pytest.raises(SessionError, match="another process"):
        EventLog(folder.log, there=True)


def test_what_goes_on_here_during_a_download_is_not_replaced(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    older = world.older_copy(folder)
    opened: list[EventLog] = []
    world.hub.faults.before("/evidence.jsonl", lambda: opened.append(EventLog(older.log)))
    with pytest.raises(SessionError, match="being worked on"):
        world.fetch(folder.id)
    assert older.log.exists() and len(opened) == 1
    opened[0].__exit__()


def test_two_downloads_at_once_do_not_mix(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    other = world.there / "sessions" / f".coming-{folder.id}-{os.getppid()}"
    other.mkdir(parents=True)
    (other / "half").write_text("a living process is at it")
    dead = world.there / "sessions" / f".coming-{folder.id}-4194399"
    dead.mkdir()
    assert world.fetch(folder.id).new
    assert (other / "half").exists() and not dead.exists()


def test_a_session_without_an_event_has_nothing_to_upload(world: World) -> None:
    folder = SessionFolder(world.here / "sessions" / "20261125-100000-0000")
    folder.root.mkdir(parents=True)
    folder.log.touch()
    with pytest.raises(SessionError, match="nothing"):
        world.uploader(folder).upload()


def test_a_manifest_takes_every_name_that_an_upload_gives(world: World) -> None:
    folder = write_session(world.here)
    parcel = world.uploader(folder).upload().parcel
    manifest = world.manifest(folder.id)
    assert set(manifest.files) == {f"files/{name}" for name in parcel.files}
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert fold(folder.events()).came == ""


@pytest.mark.parametrize("reference", [5, ["x"], hashlib.sha256(b"\xff").hexdigest(), "../../events.jsonl", "..", ""])
def test_a_reference_to_a_long_text_that_is_none_is_told_in_words(tmp_path: Path, reference: Any) -> None:
    folder = strange(tmp_path)
    folder.blobs.put(b"\xff")
    with EventLog(folder.log) as log:
        log.append("note", text={"$blob": reference})
    assert entry(folder).status == "damaged"


def test_evidence_that_the_log_tells_of_and_the_ledger_lost_is_reported(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    held = [SimpleNamespace(run_id="r0")]
    context: Any = SimpleNamespace(log=SimpleNamespace(events=folder.events()))
    ledger: Any = SimpleNamespace(path=folder.ledger, evidence=held)
    with pytest.raises(MlInternError, match="not what its log tells of"):
        mention(context, ledger)
