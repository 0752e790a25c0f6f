"""Copies of what a script wrote: holes stay holes, and nothing but a regular file is opened."""

import os
from pathlib import Path

import pytest

from ml_intern.session.copies import copy_file


def test_a_copy_has_the_content_and_the_holes_of_the_file(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(5 << 20)
        file.write(b"middle" * 1000)
        file.truncate(100 << 20)
    copy_file(tmp_path / "sparse", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()
    assert (tmp_path / "copy").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("content", [b"", b"x", b"xy" * 1_000_000])
def test_a_file_without_holes_is_copied_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


def test_a_link_and_a_pipe_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):
            copy_file(tmp_path / name, tmp_path / "copy")
