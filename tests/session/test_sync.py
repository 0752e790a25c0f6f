"""Uploads and downloads against a stand-in Hub, through the real client: what travels, and whose turn it is."""

import fcntl
import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from ml_intern.errors import InputError, SessionError
from ml_intern.redaction import Redactor
from ml_intern.session.disk import write_whole
from ml_intern.session.log import EventLog
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync import background
from ml_intern.session.sync.background import BackgroundSync
from ml_intern.session.sync.download import fetch, give_back
from ml_intern.session.sync.manifest import Lease, this_machine
from ml_intern.session.sync.remote import SyncError
from ml_intern.session.sync.upload import GoneElsewhere, Uploaded, Uploader
from ml_intern.session.uploads import note_upload, repositories
from tests.session.conftest import REPO, SECRET, World
from tests.support.hub import Fault
from tests.support.session import FINAL, measure, write_session
from tests.test_redaction import PLANTS


def content(folder: SessionFolder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder.root)): path.read_bytes()
        for path in sorted(folder.root.rglob("*"))
        if path.is_file() and path.name not in ("events.jsonl", "holder.json")
    }


def test_what_was_uploaded_arrives_elsewhere_byte_for_byte_and_can_go_on(world: World) -> None:
    folder = write_session(world.here)
    done = world.uploader(folder).upload()
    assert done.new > 5
    came = world.fetch(folder.id)
    assert came.new and came.folder.root == world.there / "sessions" / folder.id
    assert came.folder.log.read_bytes().startswith(folder.log.read_bytes())
    arrived, sent = content(came.folder), content(folder)
    travels = {name for name in sent if not (name.endswith(".run") or "/views/" in name or "/predict/" in name)}
    assert set(arrived) == travels
    park = "workspace/park/train.py"
    assert {n: c for n, c in arrived.items() if n != park} == {n: sent[n] for n in travels if n != park}
    assert arrived[park] == FINAL.encode(), "as the log knows it, not as it was on disk a moment later"
    state = came.folder.state()
    assert (state.status, state.runs, state.settings["out"]) == ("interrupted", 2, "")
    assert any("r-open" in words for words in came.manifest.left_out)


def test_the_repository_is_private(world: World) -> None:
    world.uploader(write_session(world.here)).upload()
    assert world.hub.repository("dataset", REPO).about["private"] is True


def test_a_public_repository_is_refused_unless_that_is_wanted(world: World) -> None:
    world.hub.create("dataset", REPO, {"x": b"y"})
    with pytest.raises(SyncError, match="is public"):
        world.remote().make(REPO, public=False)
    world.remote().make(REPO, public=True)


def test_only_what_is_new_goes_over_the_network_again(world: World) -> None:
    folder = write_session(world.here)
    uploader = world.uploader(folder)
    uploader.upload()
    assert uploader.upload().new == 0
    commits = len(world.hub.repository("dataset", REPO).commits)
    with EventLog(folder.log) as log:
        measure(folder, log, "r2")
    done = uploader.upload()
    names = sorted(name for name in world.files() if "/log/" in name)
    assert len(names) == 2 and done.new == 5, "a log segment, the ledger, and the run's three files"
    assert len(world.hub.repository("dataset", REPO).commits) == commits + 1
    assert world.uploader(folder).upload().new == 0, "another process knows it too"


def test_large_files_go_through_lfs_and_only_once(world: World) -> None:
    world.hub.most_regular = 1000
    folder = write_session(world.here)
    with EventLog(folder.log) as log:
        measure(folder, log, "big", weights=bytes(range(256)) * 40)
    uploader = world.uploader(folder)
    uploader.upload()
    before = world.hub.received("PUT ")
    assert before > 10_000
    with EventLog(folder.log) as log:
        log.append("note", text="more")
    uploader.upload()
    assert world.hub.received("PUT ") - before < 10_000, "the log's new part, and the manifest"


def test_no_secret_leaves_and_the_audit_says_where_it_was(world: World) -> None:
    folder = write_session(world.here, secret=SECRET)
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert not [name for name, data in world.files().items() if SECRET.encode() in data]
    places = {name for name, _ in done.parcel.found}
    assert "runs/r0/train.log" in places and any(name.startswith("events.jsonl, event ") for name in places)
    assert all(SECRET not in str(found) for found in done.parcel.found)
    came = world.fetch(folder.id)
    assert "[redacted" in (came.folder.root / "workspace" / "park" / "train.py").read_text()
    assert came.folder.events()[-2].data["result"].count("[redacted") == 1


def test_of_all_planted_secrets_none_is_in_the_upload(world: World) -> None:
    """Each in a run's log, in a call's result and in a script; those of one line in a file's name, too."""
    folder = write_session(world.here)
    texts = {name: (text, piece) for name, (text, piece) in PLANTS.items() if piece}
    assert len(texts) >= 30
    with EventLog(folder.log) as log:
        for number, (text, _) in enumerate(texts.values()):
            write_whole(folder.run("r0") / f"{number}.log", f"before\n{text}\nafter\n")
            log.append(
                "tool.result", purpose="p", id="1", name="read_file", result=f"before {text} after", failed=False
            )
        for number, name in enumerate(("file name", "git remote")):
            text = PLANTS[name][0].replace("/", "_")[:200]
            write_whole(folder.run("r0") / "out" / f"{number}-{text}.txt", "x")
    world.uploader(folder).upload()
    everything = b"\n".join([*world.files().values(), *(name.encode() for name in world.files())])
    assert [name for name, (_, piece) in texts.items() if _forms(piece) & _found(everything, piece)] == []
    assert everything.count(b"[redacted") >= 2 * len(texts)


def _forms(piece: str) -> set[bytes]:
    """As it stands, and as it stands inside JSON."""
    return {piece.encode(), json.dumps(piece)[1:-1].encode()}


def _found(content: bytes, piece: str) -> set[bytes]:
    return {form for form in _forms(piece) if form in content}


def test_a_secret_in_what_a_resume_checks_makes_the_copy_one_to_read_only(world: World) -> None:
    folder = write_session(world.here)
    (folder.frozen("zoo") / "train.py").write_text(f"TOKEN = '{SECRET}'\n")
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert "frozen/zoo/train.py was changed" in done.parcel.broken
    with pytest.raises(SessionError, match="cannot go on"):
        world.fetch(folder.id)


def test_a_binary_file_with_a_secret_stays_here(world: World) -> None:
    folder = write_session(world.here)
    (folder.run("r0") / "out" / "model.safetensors").write_bytes(b"\0\1" + SECRET.encode() + b"\0")
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert done.parcel.withheld == ["runs/r0/out/model.safetensors"]
    assert not [name for name, data in world.files().items() if SECRET.encode() in data]


def test_one_byte_that_is_not_utf_8_lets_no_likely_secret_out(world: World) -> None:
    folder = write_session(world.here)
    likely = "Zq8vN3xW0kLr7TyB2mPc"
    for name, text in {"train": f"password = {likely}", "predict": "loss = 0.25"}.items():
        write_whole(folder.run("r0") / f"{name}.log", f"naïve caf\xe9\n{text}\n".encode("latin-1"))
    done = world.uploader(folder).upload()
    assert done.parcel.withheld == ["runs/r0/train.log"]
    assert not [name for name, data in world.files().items() if likely.encode() in data]
    assert f"{folder.id}/files/runs/r0/predict.log" in world.files()


def test_a_compressed_file_with_a_secret_stays_here(world: World) -> None:
    folder = write_session(world.here)
    kept = folder.predictions / "zoo" / "r0-test.jsonl.gz"
    kept.write_bytes(gzip.compress(f'{{"prediction": "{SECRET}"}}\n'.encode()))
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert done.parcel.withheld == ["predictions/zoo/r0-test.jsonl.gz"]


def test_a_lease_from_a_wrong_clock_binds_nobody_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(world.here)
    now = time.time()
    with monkeypatch.context() as wrong, EventLog(folder.log):
        wrong.setattr(time, "time", lambda: now + 10 * 365 * 86400)
        world.uploader(folder).upload()
    with pytest.raises(GoneElsewhere, match="has not been heard of"):
        world.fetch(folder.id)
    assert world.fetch(folder.id, take_over=True).new


def test_a_secret_in_a_file_name_is_taken_out(world: World) -> None:
    folder = write_session(world.here)
    (folder.run("r0") / "out" / f"dump-{SECRET}.txt").write_text("x")
    world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert not [name for name in world.files() if SECRET in name]


def test_a_changed_file_on_the_way_is_noticed_and_nothing_is_left(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    world.hub.lies[f"{folder.id}/files/evidence.jsonl"] = b"x" * folder.ledger.stat().st_size
    with pytest.raises(SessionError, match="damaged"):
        world.fetch(folder.id)
    assert list((world.there / "sessions").iterdir()) == []


def test_a_changed_log_on_the_way_is_noticed(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    (name,) = [name for name in world.files() if "/log/" in name]
    world.hub.lies[name] = world.files()[name].replace(b'"runs"', b'"ruin"').replace(b"Zebras", b"Zobras")
    with pytest.raises(SessionError, match="damaged"):
        world.fetch(folder.id)


def test_while_it_is_worked_on_another_machine_is_refused_and_told_by_whom(world: World) -> None:
    folder = write_session(world.here)
    with EventLog(folder.log):
        world.uploader(folder).upload()
    with pytest.raises(GoneElsewhere, match="is being worked on by"):
        world.fetch(folder.id)
    with pytest.raises(GoneElsewhere, match="is being worked on by"):
        world.fetch(folder.id, take_over=True)


def test_a_lease_that_ran_out_is_taken_over_only_knowingly(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(world.here)
    with EventLog(folder.log):
        world.uploader(folder).upload()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    with pytest.raises(GoneElsewhere, match="has not been heard of"):
        world.fetch(folder.id)
    came = world.fetch(folder.id, take_over=True)
    assert world.manifest(folder.id).lease.machine == this_machine(world.there)  # type: ignore[union-attr]
    with EventLog(folder.log) as log:
        log.append("note", text="the first machine wakes up")
        with pytest.raises(GoneElsewhere):
            world.uploader(folder).upload()
    with EventLog(came.folder.log) as log:
        log.append("note", text="the second goes on")
        world.uploader(came.folder).upload()
    assert world.manifest(folder.id).machine == this_machine(world.there)


def test_a_lease_is_given_back_at_the_end(world: World) -> None:
    folder = write_session(world.here)
    with EventLog(folder.log):
        uploader = world.uploader(folder)
        uploader.upload()
        assert isinstance(world.manifest(folder.id).lease, Lease)
        uploader.upload(release=True)
    assert world.manifest(folder.id).lease is None
    assert world.fetch(folder.id).new


def test_the_first_machine_does_not_overwrite_what_the_second_did(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    with EventLog(came.folder.log) as log:
        log.append("note", text="done elsewhere")
        world.uploader(came.folder).upload(release=True)
    with EventLog(folder.log) as log:
        log.append("note", text="done here")
    with pytest.raises(GoneElsewhere, match="has gone on elsewhere"):
        world.uploader(folder).upload()


def test_two_machines_that_reach_for_it_at_once_do_not_both_get_it(world: World, tmp_path: Path) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    third = tmp_path / "third"
    world.hub.faults.before("POST /api/datasets/ada/ml-intern-sessions/commit/", lambda: world.fetch(folder.id, third))
    with pytest.raises(GoneElsewhere):
        world.fetch(folder.id)
    assert world.manifest(folder.id).lease.machine == this_machine(third)  # type: ignore[union-attr]


def test_a_commit_of_another_session_in_between_does_not_matter(world: World) -> None:
    folder = write_session(world.here)
    uploader = world.uploader(folder)
    repository = world.hub.repository("dataset", REPO)
    world.hub.faults.before("/commit/", lambda: repository.commit_aside({"other/session.json": b"{}"}))
    assert uploader.upload().new > 0
    assert "other/session.json" in world.files()


def test_it_is_brought_up_to_date_where_an_older_copy_lies(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    world.older_copy(folder)
    came = world.fetch(folder.id)
    assert came.new and len(came.folder.events()) == len(folder.events()) + 1
    assert [f.id for f in SessionStore(world.there / "sessions").all()] == [folder.id]


def test_where_an_older_copy_was_uploaded_is_still_known_once_it_is_replaced(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    older = world.older_copy(folder)
    for repo in ("ada/first", "ada/second"):
        note_upload(older, repo)
    came = world.fetch(folder.id)
    assert came.new and repositories(came.folder, came.folder.state())[-2:] == ["ada/second", "ada/first"]


def test_a_copy_that_parted_ways_is_not_overwritten(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    other = SessionFolder(world.there / "sessions" / folder.id)
    other.root.mkdir(parents=True)
    with EventLog(other.log) as log:
        log.append("note", text="something else")
    before = other.log.read_bytes()
    with pytest.raises(SessionError, match="in different ways"):
        world.fetch(folder.id)
    assert other.log.read_bytes() == before


def test_the_same_machine_finds_its_own_session_as_it_is(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    assert not world.fetch(folder.id, home=world.here).new


def test_coming_home_after_a_secret_was_taken_out_is_no_parting(world: World) -> None:
    folder = write_session(world.here, secret=SECRET)
    known = {"HF_TOKEN": SECRET}
    world.uploader(folder, known).upload()
    same = world.fetch(folder.id, world.here, known=known)
    assert not same.new, "nothing has happened elsewhere"
    give_back(world.remote(), same)
    came = world.fetch(folder.id).folder
    with EventLog(came.log) as log:
        log.append("note", text="done elsewhere")
    world.uploader(came).upload(release=True)
    back = world.fetch(folder.id, world.here, known=known)
    assert back.new and back.folder.events()[-2].data == {"text": "done elsewhere"}
    assert sorted(path.name for path in (world.here / "sessions").iterdir()) == [folder.id]


def test_a_copy_whose_run_lives_on_is_not_replaced(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    older = world.older_copy(folder)
    write_whole(older.run("r9") / "train.run", "{}")
    with (older.run("r9") / "train.run").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(SessionError, match="still going on: r9"):
            world.fetch(folder.id)
    assert len(older.events()) == 4
    assert world.fetch(folder.id).new


def test_a_lease_that_came_to_nothing_is_given_back_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(world.here)
    with EventLog(folder.log):
        world.uploader(folder).upload()
    before = world.manifest(folder.id)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    came = world.fetch(folder.id, take_over=True)
    assert world.manifest(folder.id) != before
    give_back(world.remote(), came)
    assert world.manifest(folder.id) == before, "that the first machine may have gone on is still known"
    give_back(world.remote(), came)  # it is nobody's any more: nothing happens
    world.hub.lies[f"{folder.id}/files/evidence.jsonl"] = b"x" * folder.ledger.stat().st_size
    with pytest.raises(SessionError, match="damaged"):
        world.fetch(folder.id, world.here.parent / "third", take_over=True)
    assert world.manifest(folder.id) == before


def test_a_lease_of_somebody_else_is_not_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    with EventLog(came.folder.log) as log:
        log.append("note", text="it went on after all")
        world.uploader(came.folder).upload()
    before = world.manifest(folder.id)
    give_back(world.remote(), came)
    assert world.manifest(folder.id) == before


def test_a_repository_that_one_may_only_read_is_said_with_what_works(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    locator, store = f"hf://datasets/{REPO}/{folder.id}", SessionStore(world.there / "sessions")
    with pytest.raises(SyncError, match="--no-sync") as caught:
        fetch(locator, store, world.remote("hf_read"), world.there, Redactor({}), take_over=False)
    assert "--repo" not in str(caught.value)
    assert fetch(locator, store, world.remote("hf_read"), world.there, Redactor({}), take_over=False, lease=False).new


@pytest.mark.parametrize("locator", ["hf://datasets/x", "hf://models/a/b/c", "hf://datasets/a/b/../c", "hf://"])
def test_a_locator_that_is_none_is_refused(world: World, locator: str) -> None:
    with pytest.raises(InputError, match="is no uploaded session"):
        fetch(locator, SessionStore(world.there), world.remote(), world.there, Redactor({}), take_over=False)


def test_a_session_that_is_not_there_is_said_with_those_that_are(world: World) -> None:
    world.uploader(write_session(world.here)).upload()
    with pytest.raises(InputError, match="20261125-100000-abcd"):
        world.fetch("20200101-000000-0000")


def test_a_token_that_may_not_write_is_said(world: World) -> None:
    folder = write_session(world.here)
    world.remote().make(REPO, public=False)
    with pytest.raises(SyncError, match=r"may not write|write access") as caught:
        world.uploader(folder, token="hf_read").upload()
    assert not caught.value.passing


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_stumbles_is_asked_again_later_and_nothing_is_doubled(world: World, status: int) -> None:
    folder = write_session(world.here)
    uploader = world.uploader(folder)
    world.hub.faults.refuse("/commit/", status)
    with pytest.raises(SyncError) as caught:
        uploader.upload()
    assert caught.value.passing
    assert uploader.upload().new > 0
    assert len([name for name in world.files() if "/log/" in name]) == 1


def test_a_commit_whose_answer_was_lost_is_found_done(world: World) -> None:
    folder = write_session(world.here)
    uploader = world.uploader(folder)
    world.hub.faults.lose_answer("/commit/")
    with pytest.raises(SyncError):
        uploader.upload()
    assert uploader.upload().new == 0
    assert world.fetch(folder.id).new


def test_an_upload_that_was_cut_leaves_the_last_state_whole(world: World) -> None:
    world.hub.most_regular = 10
    folder = write_session(world.here)
    uploader = world.uploader(folder)
    world.hub.faults.order(Fault("/commit/", cut_upload=100))
    with pytest.raises(SyncError):
        uploader.upload()
    assert not any(name.startswith(folder.id) for name in world.files())
    uploader.upload()
    assert world.fetch(folder.id).new


def test_beside_a_run_it_uploads_and_survives_a_network_that_goes_away(world: World) -> None:
    folder = write_session(world.here)
    told: list[str] = []
    with EventLog(folder.log) as log:
        uploader = world.uploader(folder)
        world.hub.stop()
        with BackgroundSync(uploader, 0.05, lambda type, data: told.append(str(data["text"])), lambda: None):
            deadline = time.monotonic() + 20
            while not told and time.monotonic() < deadline:
                os.sched_yield()
            log.append("note", text="the run goes on")
            world.hub.start()
    assert len(told) >= 1 and "tried again" in told[0]
    assert world.manifest(folder.id).events == len(folder.events())
    assert world.manifest(folder.id).lease is None


class Stuck(Uploader):
    """One whose last upload hangs until `go_on`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.go_on, self.first = threading.Event(), threading.Event()

    def upload(self, *, release: bool = False, fresh: bool = True) -> Uploaded:
        if release:
            self.go_on.wait(60)
            raise SyncError("It was stuck.")
        done = super().upload(release=release, fresh=fresh)
        self.first.set()
        return done


def test_a_last_upload_that_takes_too_long_is_told_with_the_command_that_does_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_LAST_TRY", 0.0)
    folder = write_session(world.here)
    told: list[str] = []
    with EventLog(folder.log) as log:
        world.remote().make(REPO, public=False)
        stuck = Stuck(folder, world.remote(), REPO, Redactor({}), world.here)
        with BackgroundSync(stuck, 60, lambda type, data: told.append(str(data["text"])), lambda: None) as sync:
            assert stuck.first.wait(60)
            log.append("session.finished")
        assert sync.rest.endswith(f"ml-intern sessions upload {folder.id} --repo {REPO}")
        assert "the upload takes longer than" in sync.rest
        assert len(told) == 1 and told[0].startswith("Not all of session") and told[0] == sync.rest.replace("\n", " ")
        with pytest.raises(GoneElsewhere, match="has not been heard of"):
            world.fetch(folder.id)
        assert world.fetch(folder.id, take_over=True).new, "nobody waits for a lease that nobody needs"
    stuck.go_on.set()
    sync._thread.join(60)
    assert len(told) == 1, "nothing is logged once the log is closed"


def test_a_last_upload_that_fails_is_told_though_the_problem_is_not_new(world: World) -> None:
    folder = write_session(world.here)
    told: list[str] = []
    with EventLog(folder.log):
        uploader = world.uploader(folder)
        world.hub.stop()
        with BackgroundSync(uploader, 60, lambda type, data: told.append(str(data["text"])), lambda: None) as sync:
            deadline = time.monotonic() + 20
            while not told and time.monotonic() < deadline:
                os.sched_yield()
    assert len(told) == 2 and "tried again" in told[0]
    assert told[1].startswith("Not all of session") and "sessions upload" in sync.rest


def test_the_person_is_told_why_the_last_upload_failed_and_what_to_do_about_it(world: World) -> None:
    folder = write_session(world.here)
    world.remote().make(REPO, public=False)
    uploader = Uploader(folder, world.remote("hf_read"), REPO, Redactor({}), world.here)
    with EventLog(folder.log), BackgroundSync(uploader, 60, lambda type, data: None, lambda: None) as sync:
        pass
    assert "could not be uploaded" in sync.rest and "403" in sync.rest and "one with write access" in sync.rest


def test_the_person_is_told_at_the_end_that_the_session_has_gone_on_elsewhere(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    world.fetch(folder.id)
    with EventLog(folder.log) as log:
        log.append("note", text="this machine does not know yet")
        with BackgroundSync(world.uploader(folder), 60, lambda type, data: None, lambda: None) as sync:
            pass
    assert "being worked on by" in sync.rest and "Stop it there" in sync.rest


def test_a_run_whose_session_was_taken_over_is_told_to_stop(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    lost: list[bool] = []
    with EventLog(folder.log) as log:
        log.append("note", text="this machine does not know yet")
        with BackgroundSync(world.uploader(folder), 60, lambda type, data: None, lambda: lost.append(True)):
            deadline = time.monotonic() + 20
            while not lost and time.monotonic() < deadline:
                os.sched_yield()
    assert lost == [True]
    assert world.manifest(folder.id).machine == this_machine(came.folder.root.parents[1])


def test_the_manifest_says_what_it_is_about_without_the_log(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    told = json.loads(world.files()[f"{folder.id}/session.json"])
    assert (told["title"], told["status"]) == ("Zebras", "running")
    assert told["events"] == len(folder.events()) and fold(folder.events()).title == "Zebras"
    assert b"ml-intern resume" in world.files()["README.md"]


def test_a_secret_beside_an_odd_byte_or_inside_a_gzip_stays_here_and_that_is_told(world: World) -> None:
    folder = write_session(world.here)
    likely = b"password = Zq8vN3xW0kLr7TyB2mPc\n"
    write_whole(folder.run("r0") / "train.log", b"progress\0\n" + likely)
    write_whole(folder.run("r0") / "out" / "metrics.jsonl.gz", gzip.compress(likely))
    parcel = world.uploader(folder).upload().parcel
    held = ["runs/r0/out/metrics.jsonl.gz", "runs/r0/train.log"]
    assert sorted(parcel.withheld) == held == sorted({name for name, _ in parcel.found})
    assert set(world.manifest(folder.id).changed) == set(held)
    assert not [name for name in world.files() if name.endswith(tuple(held))]
