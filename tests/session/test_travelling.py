"""What travels though nobody has finished with it: unheard words, and the checkpoint of a run that has not ended."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ml_intern.session.disk import write_whole
from ml_intern.session.inbox import Inbox, Told, heard
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync import unfinished
from ml_intern.session.sync.download import give_back
from tests.session.conftest import SECRET, World
from tests.support.session import write_session

KEPT = "checkpoint/state.pt"


def words(folder: SessionFolder) -> list[str]:
    return [told.words for told in folder.inbox.waiting(heard(folder.events()))]


def training(world: World, run: str = "r-long", content: bytes = b"\0step 100") -> SessionFolder:
    """A session with a run that is half-way through its training."""
    folder = write_session(world.here)
    with EventLog(folder.log) as log:
        log.append("run.started", run=run, experiment="zoo", variant="v", seed=8, phase="confirm", metrics="m",
                   inputs="the same")  # fmt: skip
    write_whole(folder.run(run) / "out" / KEPT, content)
    write_whole(folder.run(run) / "out" / "metrics.jsonl", '{"step": 100}\n')
    write_whole(folder.run(run) / "train.run", '{"event": "started", "pid": 1}\n')
    return folder


def test_words_that_nobody_has_heard_travel_without_their_secrets(world: World) -> None:
    folder = write_session(world.here)
    taken = folder.inbox.put(Told(words="heard already"))
    folder.inbox.put(Told(words=f"use the larger model, my key is {SECRET}"))
    with EventLog(folder.log) as log:
        log.append("conversation.told", purpose="build park", text="heard already", inbox=taken)
    world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    came = world.fetch(folder.id)
    (said,) = words(came.folder)
    assert said.startswith("use the larger model, my key is [redacted")
    assert any("1 message" in line for line in came.manifest.along)
    assert not [name for name, data in world.files().items() if SECRET.encode() in data]


def test_words_that_were_heard_meanwhile_are_taken_out_of_the_upload(world: World) -> None:
    folder = write_session(world.here)
    id = folder.inbox.put(Told(words="smaller, please"))
    uploader = world.uploader(folder)
    uploader.upload()
    assert f"{folder.id}/files/inbox/{id}.json" in world.files()
    with EventLog(folder.log) as log:
        log.append("conversation.told", purpose="build park", text="smaller, please", inbox=id)
    uploader.upload()
    assert not [name for name in world.files() if "/inbox/" in name]


@pytest.mark.parametrize("told", [Told(command="stop"), Told(command="pause"), Told(settings={"budget_usd": 900.0})])
def test_what_commands_a_run_stays_on_its_machine_and_that_is_said(world: World, told: Told) -> None:
    folder = write_session(world.here)
    folder.inbox.put(told)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    assert list(came.folder.inbox.waiting()) == []
    assert any("1 message that would pause or stop" in line for line in came.manifest.left_out)


def test_a_command_that_somebody_put_into_an_upload_is_not_followed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program that is not ours could upload it."""
    folder = write_session(world.here)
    folder.inbox.put(Told(words="go on"))
    folder.inbox.put(Told(command="stop", words="and words, too"))
    folder.inbox.put(Told(settings={"model": "openai/expensive"}))
    monkeypatch.setattr(Told, "only_words", True)
    world.uploader(folder).upload()
    assert len([name for name in world.files() if "/inbox/" in name]) == 3
    monkeypatch.undo()
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert [told.words for told in world.fetch(folder.id).folder.inbox.waiting()] == ["go on"]


def test_words_said_to_an_older_copy_are_not_lost_when_it_is_brought_up_to_date(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    older = world.older_copy(folder)
    older.inbox.put(Told(words="said here"))
    assert words(world.fetch(folder.id).folder) == ["said here"]


def test_words_reach_a_copy_that_has_all_the_rest_and_are_not_said_twice(world: World) -> None:
    folder = write_session(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    with EventLog(came.folder.log):
        pass
    came.folder.inbox.put(Told(words="said elsewhere"))
    world.uploader(came.folder).upload(release=True)
    back = world.fetch(folder.id, home=world.here)
    assert words(back.folder) == ["said elsewhere"]
    again = world.fetch(folder.id, home=world.here)
    assert not again.new and not again.words and words(again.folder) == ["said elsewhere"]
    give_back(world.remote(), again)
    give_back(world.remote(), back)
    came.folder.inbox.put(Told(words="said later"))
    world.uploader(came.folder).upload(release=True)
    later = world.fetch(folder.id, home=world.here)
    assert not later.new and [told.words for told in later.words] == ["said later"]
    assert words(later.folder) == ["said elsewhere"], "a person here says whether they are heard"


def test_a_checkpoint_travels_with_what_its_run_has_to_have_in_common_there(world: World) -> None:
    folder = training(world)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    run = came.folder.run("r-long")
    assert (run / "out" / KEPT).read_bytes() == b"\0step 100"
    assert (run / "out" / "metrics.jsonl").exists()
    assert json.loads((run / "came.json").read_text()) == {"inputs": "the same"}
    assert any("r-long" in line and "with its checkpoint (0.0 MB)" in line for line in came.manifest.along)
    assert not any("r-long" in line for line in came.manifest.left_out)


def test_a_large_checkpoint_goes_through_lfs(world: World) -> None:
    folder = training(world, content=b"\0" * 20_000)
    world.hub.most_regular = 10_000
    world.uploader(folder).upload()
    repository = world.hub.repository("dataset", "ada/ml-intern-sessions")
    (kept,) = [file for name, file in repository.commits[repository.head].files.items() if name.endswith(KEPT)]
    assert kept.lfs and kept.size == 20_000


def test_a_checkpoint_over_the_limit_stays_and_that_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "LARGEST", 10)
    folder = training(world)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    assert not came.folder.run("r-long").exists()
    assert any("r-long" in line and "its checkpoint stays behind" in line for line in came.manifest.left_out)


def test_a_checkpoint_with_a_secret_stays_as_a_whole(world: World) -> None:
    folder = training(world, content=b"\0" + SECRET.encode())
    done = world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert not [name for name in world.files() if "r-long" in name]
    assert any("r-long" in line and "secret" in line for line in done.parcel.left_out)
    assert done.parcel.broken == ""


def test_a_secret_in_the_name_of_a_checkpoints_file_is_not_told_either(world: World) -> None:
    folder = training(world)
    write_whole(folder.run("r-long") / "out" / "checkpoint" / f"state-{SECRET}", b"\0x")
    world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    assert not [name for name, data in world.files().items() if SECRET.encode() in data or SECRET in name]
    assert "[redacted" in " ".join(world.manifest(folder.id).changed)


@pytest.mark.parametrize(("outcome", "travels"), [("ok", False), ("failed", False), ("killed", True)])
def test_a_run_that_came_to_an_end_of_its_own_takes_no_checkpoint_along(
    world: World, outcome: str, travels: bool
) -> None:
    folder = training(world)
    with (folder.run("r-long") / "train.run").open("a") as journal:
        journal.write(json.dumps({"event": "finished", "result": {"outcome": outcome}}) + "\n")
    world.uploader(folder).upload()
    assert any("r-long" in name for name in world.files()) is travels


def test_what_is_written_meanwhile_never_leaves_half(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = training(world)
    kept = folder.run("r-long") / "out" / KEPT
    real = unfinished.copy_file

    def copied_while_it_is_written(source: Path, target: Path, beneath: Path) -> None:
        real(source, target, beneath)
        kept.write_bytes(os.urandom(8))
        os.utime(kept, ns=(time.time_ns(), time.time_ns()))

    with monkeypatch.context() as busy:
        busy.setattr(unfinished, "copy_file", copied_while_it_is_written)
        first = world.uploader(folder).upload()
    assert any("r-long" in line and "was being written" in line for line in first.parcel.left_out)
    world.uploader(folder).upload()
    assert (world.fetch(folder.id).folder.run("r-long") / "out" / KEPT).read_bytes() == kept.read_bytes()


def test_a_folder_that_becomes_a_link_while_it_is_copied_brings_nothing_from_outside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = training(world)
    checkpoint = (folder.run("r-long") / "out" / KEPT).parent
    write_whole(world.here / "private" / Path(KEPT).name, b"mine")
    real = unfinished.copy_file

    def copied_from_a_link(*given: Any) -> None:
        checkpoint.rename(checkpoint.with_name("aside"))
        checkpoint.symlink_to(world.here / "private")
        try:
            real(*given)
        finally:
            checkpoint.unlink()
            checkpoint.with_name("aside").rename(checkpoint)

    monkeypatch.setattr(unfinished, "copy_file", copied_from_a_link)
    world.uploader(folder).upload()
    assert b"mine" not in world.files().values()


def test_beside_a_run_a_new_checkpoint_goes_every_half_hour_and_at_its_end(world: World) -> None:
    folder = training(world)
    with EventLog(folder.log):
        uploader = world.uploader(folder)
        uploader.upload(fresh=False)
        kept = folder.run("r-long") / "out" / KEPT
        write_whole(kept, b"\0step 200")
        assert uploader.upload(fresh=False).new == 0
        copy = folder.root / "parcel" / "r-long" / "signature.json"
        os.utime(copy, (time.time() - 3600, time.time() - 3600))
        assert uploader.upload(fresh=False).new == 1
        write_whole(kept, b"\0step 300")
        assert uploader.upload(release=True).new == 1
    assert world.files()[f"{folder.id}/files/runs/r-long/out/{KEPT}"] == b"\0step 300"


def test_a_run_that_has_ended_leaves_no_copy_behind(world: World) -> None:
    folder = training(world)
    world.uploader(folder).upload()
    assert (folder.root / "parcel" / "r-long").exists()
    with EventLog(folder.log) as log:
        log.append("run.finished", run="r-long", outcome="ok")
    world.uploader(folder).upload()
    assert not (folder.root / "parcel" / "r-long").exists()
    assert not [name for name in world.files() if "r-long" in name]


def test_the_words_of_a_session_from_elsewhere_are_an_inbox_like_any_other(world: World) -> None:
    folder = write_session(world.here)
    for number in range(3):
        folder.inbox.put(Told(words=f"{number}"))
    world.uploader(folder).upload()
    came = world.fetch(folder.id).folder
    inbox = Inbox(came.root / "inbox")
    assert [told.words for told in inbox.waiting()] == ["0", "1", "2"]
    assert [told.id for told in inbox.waiting()] == [told.id for told in folder.inbox.waiting()]


def test_a_table_that_data_py_has_not_finished_stays_behind(world: World) -> None:
    folder = write_session(world.here)
    for key, outcome in (("whole", "ok"), ("broken", "failed"), ("before", "ok"), ("cut", "ok")):
        made = folder.data("park") / key
        write_whole(made / "table" / "table.arrow", b"\0rows")
        result = json.dumps({"event": "finished", "result": {"outcome": outcome}})
        write_whole(made / "data.run", f'{{"event": "started", "pid": 1}}\n{result}\n')
    write_whole(folder.data("park") / "whole" / "table.json", json.dumps({"table": "0123456789abcdef" * 4}) + "\n")
    write_whole(folder.data("park") / "cut" / "table.json", json.dumps({"table": ""}) + "\n")
    write_whole(folder.data("park") / "begun" / "table" / "table.arrow", b"\0half")
    write_whole(folder.data("park") / "begun" / "data.run", '{"event": "started", "pid": 1}\n')
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    arrived = {path.parts[-3] for path in came.folder.data("park").glob("*/table/table.arrow")}
    assert {"whole", "before"} <= arrived and not arrived & {"broken", "begun", "cut"}
    mark = "whole/table.json"
    assert (came.folder.data("park") / mark).read_bytes() == (folder.data("park") / mark).read_bytes()
    assert sum("data.py makes it again" in line for line in came.manifest.left_out) == 3


def test_a_table_of_before_that_evidence_may_rest_on_travels_and_one_that_was_begun_later_does_not(
    world: World,
) -> None:
    folder = write_session(world.here)
    for key, age in (("old", 3600), ("new", -3600)):
        write_whole(folder.data("zoo") / key / "table" / "table.arrow", b"\0rows")
        write_whole(folder.data("zoo") / key / "data.run", '{"event": "started", "pid": 1}\n{"torn')
        os.utime(folder.data("zoo") / key / "data.run", (time.time() - age, time.time() - age))
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    assert {path.parts[-3] for path in came.folder.data("zoo").glob("*/table/table.arrow")} == {"abc", "old"}
    assert sum("data.py makes it again" in line for line in came.manifest.left_out) == 1


def test_a_mark_without_a_hash_vouches_for_nothing(world: World) -> None:
    folder = write_session(world.here)
    write_whole(folder.data("park") / "empty" / "table" / "table.arrow", b"\0half")
    write_whole(folder.data("park") / "empty" / "table.json", '{"table": ""}')
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    assert not list(came.folder.data("park").glob("*/table/table.arrow"))
    assert sum("data.py makes it again" in line for line in came.manifest.left_out) == 1
