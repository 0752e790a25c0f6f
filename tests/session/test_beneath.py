"""Files beneath a folder that a script may change meanwhile: no link is followed, and what goes is passed over."""

import os
import shutil
from pathlib import Path

import pytest

from ml_intern.session.beneath import files_in, folder_beneath, open_beneath
from ml_intern.session.copies import copy_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("private/file", "root/a/file", "root/b/c/file", "root/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "root"


def found(root: Path) -> list[str]:
    with folder_beneath(root, ()) as folder:
        return [name for name, _ in files_in(folder)]


def test_all_files_are_found_and_no_link_or_pipe(root: Path) -> None:
    (root / "link").symlink_to("d")
    (root / "folder").symlink_to("../private")
    os.mkfifo(root / "pipe")
    assert found(root) == ["a/file", "b/c/file", "d"]


def test_a_folder_that_vanishes_meanwhile_is_passed_over(root: Path) -> None:
    with folder_beneath(root, ()) as folder:
        names = files_in(folder)
        assert next(names)[0] == "a/file"
        shutil.rmtree(root / "b")
        assert [name for name, _ in names] == ["d"]


@pytest.mark.parametrize("other", ["link", "pipe"])
def test_what_takes_the_place_of_a_folder_meanwhile_is_not_entered(
    root: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = os.stat

    def swapped(name: str, **given: object) -> os.stat_result:
        result = told(name, **given)  # type: ignore[arg-type]
        if name == "b":
            shutil.rmtree(root / "b")
            (root / "b").symlink_to("../private") if other == "link" else os.mkfifo(root / "b")
        return result

    monkeypatch.setattr(os, "stat", swapped)
    assert found(root) == ["a/file", "d"]


@pytest.mark.parametrize("link", ["a", "a/file", "."])
def test_nothing_is_opened_or_copied_through_a_link(root: Path, link: str) -> None:
    target = root.parent / "private" / ("file" if link == "a/file" else ".")
    place = root / link
    place.rename(root.parent / "aside")
    place.symlink_to(target)
    with pytest.raises(OSError):
        open_beneath(root, ("a", "file"))
    if link != ".":  # how a person came to the folder itself is their own business
        with pytest.raises(OSError):
            copy_file(root / "a" / "file", root / "copy", root)


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe")
    os.close(open_beneath(root, ("a", "pipe")))
    with pytest.raises(OSError):
        copy_file(root / "a" / "pipe", root / "copy", root)
