"""Uploads again and again beside a run: what stays as it is is not opened again, and the lease lasts through a pass."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ml_intern.redaction import Redactor
from ml_intern.session.disk import write_whole
from ml_intern.session.log import EventLog
from ml_intern.session.sync import remembered
from ml_intern.session.sync.manifest import LEASE_SECONDS, this_machine
from ml_intern.session.sync.remembered import Search
from ml_intern.session.sync.upload import GoneElsewhere
from tests.session.conftest import SECRET, World
from tests.support.session import measure, write_session


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that are opened, in order. What was changed a moment ago counts as settled."""
    paths: list[Path] = []
    true = Path.open

    def recorded(self: Path, *args: Any, **kwargs: Any) -> Any:
        paths.append(self)
        return true(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", recorded)
    monkeypatch.setattr(remembered, "_SETTLED", -1e9)
    return paths


def test_a_second_upload_opens_only_what_is_new(world: World, opened: list[Path]) -> None:
    folder = write_session(world.here, secret=SECRET, runs=5)
    uploader = world.uploader(folder, {"HF_TOKEN": SECRET})
    first = uploader.upload().parcel
    opened.clear()
    second = uploader.upload().parcel
    inside = {str(path.relative_to(folder.root)) for path in opened if path.is_relative_to(folder.root)}
    assert inside <= {"evidence.jsonl", "holder.json", "data/zoo/abc/table.json"}
    assert (second.files, second.found) == (first.files, first.found)
    with EventLog(folder.log) as log:
        measure(folder, log, "r9")
    opened.clear()
    assert uploader.upload().new == 5
    assert {path.parent.name for path in opened if "runs" in path.parts} <= {"r9", "out"}
    assert not [path for path in opened if "r0" in path.parts]


def test_a_file_that_changed_is_looked_at_again_though_size_and_time_are_the_same(
    tmp_path: Path, opened: list[Path]
) -> None:
    path, search = tmp_path / "train.log", Search(Redactor({}))
    path.write_text("x" * len(SECRET))
    told = path.stat()
    assert search.look("train.log", path).inside.found == ()
    path.write_text(SECRET)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert search.look("train.log", path).inside.found


def test_what_was_written_a_moment_ago_is_looked_at_again(tmp_path: Path) -> None:
    path, search = tmp_path / "train.log", Search(Redactor({}))
    path.write_text("loss 0.2\n")
    assert search.look("train.log", path) is not search.look("train.log", path)


def test_with_other_known_values_everything_is_looked_through_again(world: World) -> None:
    folder = write_session(world.here)
    write_whole(folder.run("r0") / "train.log", "the word is Zebrafinch\n")
    world.uploader(folder).upload()
    assert world.uploader(folder, {"WORD": "Zebrafinch"}).upload().new
    assert not [name for name, content in world.files().items() if b"Zebrafinch" in content]


def test_the_lease_is_kept_while_a_long_pass_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(world.here)
    with EventLog(folder.log) as log:
        uploader = world.uploader(folder)
        uploader.upload()
        since = world.manifest(folder.id).lease.since  # type: ignore[union-attr]
        now, true = time.time() + LEASE_SECONDS * 0.7, Search.look
        log.append("note", text="more")
        during: list[float] = []

        def slow(self: Search, *args: Any) -> Any:
            monkeypatch.setattr(time, "time", lambda: now)
            looked = true(self, *args)
            during.append(world.manifest(folder.id).lease.until - now)  # type: ignore[union-attr]
            return looked

        monkeypatch.setattr(Search, "look", slow)
        uploader.upload()
        assert min(during) == LEASE_SECONDS and world.manifest(folder.id).lease.since == since  # type: ignore[union-attr]
        with pytest.raises(GoneElsewhere, match="is being worked on"):
            world.fetch(folder.id)
    assert world.manifest(folder.id).machine == this_machine(world.here)
