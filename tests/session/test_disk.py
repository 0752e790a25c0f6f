"""What is written is on disk, name and all, before anything speaks of it."""

import errno
import os
from pathlib import Path

import pytest

from ml_intern.session.disk import write_whole
from ml_intern.session.store import SessionStore


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was flushed and renamed, in order: (`fsync`, path) and (`rename`, path)."""
    made: list[tuple[str, str]] = []
    flush, rename = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        made.append(("fsync", str(Path(f"/proc/self/fd/{fd}").readlink())))
        flush(fd)

    def replace(part: Path, target: Path) -> Path:
        made.append(("rename", str(target)))
        return rename(part, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return made


def test_a_file_is_flushed_before_its_name_and_its_name_before_it_is_spoken_of(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    write_whole(tmp_path / "plan.yaml", "version: 1\n")
    (first, part), (second, name), (third, folder) = calls
    assert (first, second, third) == ("fsync", "rename", "fsync")
    assert part.startswith(f"{tmp_path}/.plan.yaml.") and name == f"{tmp_path}/plan.yaml" and folder == str(tmp_path)


def test_the_names_of_new_folders_are_on_disk_too(tmp_path: Path, calls: list[tuple[str, str]]) -> None:
    write_whole(tmp_path / "a" / "b" / "file", "x")
    flushed = [path for call, path in calls if call == "fsync"]
    assert flushed[:2] == [str(tmp_path), str(tmp_path / "a")] and flushed[-1] == str(tmp_path / "a" / "b")


def test_a_new_session_is_a_name_on_disk(tmp_path: Path, calls: list[tuple[str, str]]) -> None:
    store = SessionStore(tmp_path / "home" / "sessions")
    store.create()
    assert calls[-1] == ("fsync", str(store.root)) and ("fsync", str(tmp_path / "home")) in calls


def test_a_write_that_fails_leaves_what_was_there_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", "before")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "file", "after")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]
