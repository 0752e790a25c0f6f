"""File tools never leave the workspace, never hang, and answer every failure in words."""

import contextlib
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from ml_intern.llm.protocol import ToolCall
from ml_intern.tools.files import file_tools
from ml_intern.tools.registry import Tool, Toolbox, bounded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def said(root: Path, name: str, **arguments: object) -> str:
    return Toolbox(file_tools(root)).carry_out(ToolCall(id="1", name=name, arguments=json.dumps(arguments)))


def test_what_was_written_is_read_and_listed(root: Path) -> None:
    assert "written" in said(root, "write_file", path="sub/a.py", content="é = 1\n")
    assert said(root, "read_file", path="sub/a.py") == "é = 1\n"
    assert said(root, "list_files") == "sub/a.py"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "", ".", "..", "a\0b", "x" * 300]
)
def test_a_path_that_is_outside_or_none_is_refused(root: Path, path: str) -> None:
    assert said(root, "write_file", path=path, content="x").startswith("FAILED")
    assert said(root, "read_file", path=path).startswith("FAILED")
    assert (root.parent / "secret.txt").read_text() == "secret"


@pytest.mark.parametrize("kind", ["file", "folder", "dangling", "loop"])
def test_a_link_is_neither_read_nor_written_through(root: Path, kind: str) -> None:
    target = {"file": "../secret.txt", "folder": "..", "dangling": "../new.txt", "loop": "link"}[kind]
    (root / "link").symlink_to(target)
    path = "link/secret.txt" if kind == "folder" else "link"
    assert said(root, "read_file", path=path).startswith("FAILED")
    assert said(root, "write_file", path=path, content="x").startswith("FAILED")
    assert (root.parent / "secret.txt").read_text() == "secret" and not (root.parent / "new.txt").exists()
    assert "secret" not in said(root, "list_files")


def test_a_hard_link_to_a_file_outside_is_not_written_through(root: Path) -> None:
    os.link(root.parent / "secret.txt", root / "inside.txt")
    said(root, "write_file", path="inside.txt", content="changed")
    assert (root.parent / "secret.txt").read_text() == "secret"


def test_a_pipe_does_not_hang_and_a_folder_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder"):
        assert said(root, "read_file", path=name).startswith("FAILED")
        assert said(root, "write_file", path=name, content="x").startswith("FAILED")


def test_a_sparse_giant_is_read_in_part_only(root: Path) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(1 << 40)
    assert len(said(root, "read_file", path="big")) < 20_000


def test_binary_content_and_a_file_where_a_folder_should_be_are_answered_in_words(root: Path) -> None:
    (root / "data.bin").write_bytes(b"\xff\xfe\x00")
    assert not said(root, "read_file", path="data.bin").startswith("FAILED")
    assert said(root, "write_file", path="data.bin/below.txt", content="x").startswith("FAILED")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_a_failure_in_words(root: Path) -> None:
    root.chmod(0o500)
    assert said(root, "write_file", path="a", content="x").startswith("FAILED")
    root.chmod(0o700)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("write_file", "{", "not valid"),
        ("write_file", "[]", "not valid"),
        ("write_file", '{"path": "a"}', "content"),
        ("write_file", '{"path": 3, "content": "x"}', "path"),
        ("remove", "{}", "there is no tool 'remove'"),
        ("read_file", "", "path"),
    ],
)
def test_a_malformed_call_is_answered_with_what_is_wrong(root: Path, name: str, arguments: str, words: str) -> None:
    answer = Toolbox(file_tools(root)).carry_out(ToolCall(id="1", name=name, arguments=arguments))
    assert answer.startswith("FAILED") and words in answer


def test_a_tool_that_meets_the_operating_system_fails_in_words(root: Path) -> None:
    def full(_: object) -> str:
        raise OSError(28, "No space left on device")

    tool = Tool("full", "d", "workspace", file_tools(root)[-1].arguments, full)
    answer = Toolbox([tool]).carry_out(ToolCall(id="1", name="full", arguments="{}"))
    assert answer == "FAILED: No space left on device"


def test_a_long_result_keeps_its_head_and_tail_and_says_what_is_gone() -> None:
    text = bounded("a" * 9_000 + "b" * 9_000)
    assert text.startswith("aaa") and text.endswith("bbb") and "6000 characters left out" in text
    assert bounded("short") == "short"


def test_an_edit_replaces_one_place_and_refuses_none_or_several(root: Path) -> None:
    said(root, "write_file", path="a.py", content="x = 1\ny = 1\n")
    assert said(root, "edit_file", path="a.py", old="x = 1", new="x = 2") == "a.py: changed"
    assert said(root, "read_file", path="a.py") == "x = 2\ny = 1\n"
    assert "stands 0 times" in said(root, "edit_file", path="a.py", old="z", new="")
    said(root, "write_file", path="b.py", content="1\n1\n")
    assert "stands 2 times" in said(root, "edit_file", path="b.py", old="1", new="2")
    assert "no file" in said(root, "edit_file", path="c.py", old="1", new="2")


def test_a_long_file_is_read_by_lines(root: Path) -> None:
    said(root, "write_file", path="a.txt", content="".join(f"{n}\n" for n in range(1, 1001)))
    assert said(root, "read_file", path="a.txt", first_line=3, lines=2).startswith(
        "3\n4\n\n… 996 more lines, from line 5"
    )
    assert said(root, "read_file", path="a.txt", first_line=1000) == "1000\n"


def test_a_search_names_file_and_line(root: Path) -> None:
    said(root, "write_file", path="sub/a.py", content="x = 1\nrate = 0.1\n")
    assert said(root, "search_files", words="rate") == "sub/a.py:2: rate = 0.1"
    assert said(root, "search_files", words="nothing of the kind") == "found nowhere"


def test_a_write_that_fails_leaves_the_file_as_it_was(root: Path) -> None:
    said(root, "write_file", path="a.py", content="good")
    assert said(root, "write_file", path="a.py", content="\ud800").startswith("FAILED")
    assert said(root, "read_file", path="a.py") == "good"
    assert said(root, "list_files") == "a.py"


def test_a_folder_that_is_swapped_for_a_link_again_and_again_leads_nowhere(root: Path) -> None:
    """What a script that runs beside the tools could do in a workspace that it may write to."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("secret")
    (root / "kept").mkdir()
    (root / "kept" / "a.txt").write_text("own")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                (root / "kept").rename(root / "aside")
                (root / "kept").symlink_to(outside)
                (root / "kept").unlink()
            if (root / "aside").exists():  # a write may have made the folder anew meanwhile
                shutil.rmtree(root / "kept", ignore_errors=True)
                with contextlib.suppress(OSError):
                    (root / "aside").rename(root / "kept")
            time.sleep(0.0005)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        answers = [said(root, "read_file", path="kept/a.txt") for _ in range(400)]
        for number in range(400):
            said(root, "write_file", path="kept/b.txt", content=str(number))
    finally:
        stop.set()
        swapper.join()
    assert "own" in answers  # it was not always refused
    assert not [answer for answer in answers if "secret" in answer]
    assert [path.name for path in outside.iterdir()] == ["a.txt"]
