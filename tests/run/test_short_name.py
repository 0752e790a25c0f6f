"""Sockets of worker processes fit into their names, however deep the run's folder lies."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.run.sandbox import short_name
from ml_intern.run.sandbox.short_name import ShortName
from tests.support.compute import every_kind, run_script

# What a DataLoader's worker does to hand tensors over.
LISTEN = """
import os, tempfile
from multiprocessing.connection import Listener, arbitrary_address
Listener(arbitrary_address("AF_UNIX"))
print(tempfile.gettempdir())
"""


@every_kind
def test_workers_find_each_other_below_a_long_path(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20)
    result = run_script(kind, folder, LISTEN)
    assert result.outcome == "ok", result.tail
    used = Path(result.tail.strip())
    assert used == Path("/tmp") or not used.is_symlink()  # a link that was made for it is gone


def test_a_short_folder_keeps_its_name_and_a_long_one_gets_a_link(tmp_path: Path) -> None:
    assert ShortName(Path("/a/b")).path == Path("/a/b")
    folder = tmp_path / ("deep" * 20)
    folder.mkdir()
    (folder / "there").touch()
    short = ShortName(folder)
    assert len(str(short.path)) < 40
    assert (short.path / "there").exists()
    short.close()
    assert not short.path.is_symlink()
    assert (folder / "there").exists()


def test_what_a_killed_supervisor_left_is_swept_by_the_next_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "tmp"
    folder = tmp_path / ("deep" * 20)
    for made in (places, folder):
        made.mkdir()
    monkeypatch.setattr(short_name, "_SHORTEST", str(places))
    (places / "mi-notes").symlink_to(tmp_path / "nowhere")
    (places / "mi-0123456789abcdef").symlink_to(tmp_path / "nowhere")
    mine = ShortName(folder)
    leave = (
        "import os, sys; from pathlib import Path; from ml_intern.run.sandbox import short_name\n"
        "short_name._SHORTEST = sys.argv[1]; print(short_name.ShortName(Path(sys.argv[2])).path); os._exit(9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", leave, places, folder], capture_output=True, text=True, timeout=60)
    assert Path(killed.stdout.strip()).is_symlink()
    again = ShortName(folder)
    assert {path.name for path in places.iterdir()} == {"mi-notes", mine.path.name, again.path.name}


def test_a_process_of_another_pid_namespace_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers that share /tmp: neither sees the other's processes."""
    places = tmp_path / "tmp"
    folder = tmp_path / ("deep" * 20)
    for made in (places, folder):
        made.mkdir()
    monkeypatch.setattr(short_name, "_SHORTEST", str(places))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(short_name, "_namespace", lambda: "f0000123")
        elsewhere.setattr("os.getpid", lambda: 4_000_000)
        theirs = ShortName(folder)
    (places / "mi-4000000-01234567").symlink_to(folder)  # as they were named before
    ours = ShortName(folder)
    assert {path.name for path in places.iterdir()} == {theirs.path.name, "mi-4000000-01234567", ours.path.name}
