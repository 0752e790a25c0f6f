"""AGENTS.md: read where it is a plain file of the folder, and else passed over with a word why."""

import os
from pathlib import Path

from ml_intern.cli.instructions import read_instructions


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Use numpy.\n")
    text, said = read_instructions(tmp_path)
    assert text == "Use numpy." and "--no-instructions" in said


def test_without_a_file_or_words_nothing_is_said(tmp_path: Path) -> None:
    assert read_instructions(tmp_path) == ("", "")
    (tmp_path / "AGENTS.md").write_text(" \n")
    assert read_instructions(tmp_path) == ("", "")


def test_a_link_out_of_the_folder_is_not_followed_one_inside_is(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "secret").write_text("private")
    (folder / "AGENTS.md").symlink_to(tmp_path / "secret")
    text, said = read_instructions(folder)
    assert text == "" and "leads out of the folder" in said
    (folder / "AGENTS.md").unlink()
    (folder / "own.md").write_text("Mine.")
    (folder / "AGENTS.md").symlink_to("own.md")
    assert read_instructions(folder)[0] == "Mine."


def test_what_is_no_file_is_passed_over_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "AGENTS.md")
    assert "no regular file" in read_instructions(tmp_path)[1]
    (tmp_path / "AGENTS.md").unlink()
    (tmp_path / "AGENTS.md").mkdir()
    assert read_instructions(tmp_path)[0] == ""
    (tmp_path / "AGENTS.md").rmdir()
    (tmp_path / "AGENTS.md").symlink_to(tmp_path / "missing")
    assert read_instructions(tmp_path)[0] == ""


def test_what_is_long_or_no_text_is_cut_and_mended(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_bytes(b"x\xff" * 20_000)
    text, said = read_instructions(tmp_path)
    assert len(text) == 20_000 and "first 20000 bytes" in said
