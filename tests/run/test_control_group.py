"""A run's own control group, on a made-up cgroup v2 tree: files where the kernel would show them, nothing enforced.

What the kernel does with the limits is not seen here: the machines that these tests were written on have cgroup v1.
"""

import os
import time
from pathlib import Path

import pytest

from ml_intern.run import control_group as module
from ml_intern.run.control_group import ControlGroup, control_group
from ml_intern.run.spec import Limits

LIMITS = Limits(memory_mb=100, processes=50)


def group_at(folder: Path, controllers: str, enabled: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text(enabled)
    (folder / "cgroup.procs").write_text("")
    return folder


def made(root: Path, own: str) -> ControlGroup:
    (root.parent / "own").write_text(own)
    return control_group(LIMITS, root, root.parent / "own")


def leaves(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("ml-intern-*"))


def test_a_leaf_below_its_own_group_gets_the_limits(tmp_path: Path) -> None:
    root = group_at(tmp_path / "root", "cpu memory pids", "memory pids")
    home = group_at(root / "job", "memory pids", "memory pids")
    group = made(root, "0::/job\n")
    assert group.leaf is not None and group.leaf.parent == home
    assert (group.leaf / "memory.max").read_text() == str(100 << 20)
    assert int((group.leaf / "pids.max").read_text()) >= 50
    with group.joined():
        assert (group.leaf / "cgroup.procs").read_text() == "0"
        assert (home / "cgroup.procs").read_text() == ""
    assert (home / "cgroup.procs").read_text() == "0"  # this process has gone back
    group.kill()
    assert (group.leaf / "cgroup.kill").read_text() == "1"


def test_a_group_that_has_processes_and_no_controllers_gets_a_leaf_beside_it(tmp_path: Path) -> None:
    """A scope of systemd: the kernel enables nothing in a group that has processes."""
    root = group_at(tmp_path / "root", "memory pids", "memory pids")
    app = group_at(root / "app.slice", "memory pids", "memory pids")
    scope = group_at(app / "run.scope", "memory pids", "")
    (scope / "cgroup.subtree_control").unlink()
    (scope / "cgroup.subtree_control").mkdir()  # writing into it fails, as EBUSY would
    group = made(root, "0::/app.slice/run.scope\n")
    assert group.leaf is not None and group.leaf.parent == app
    assert group.home == scope


@pytest.mark.parametrize(
    ("controllers", "enabled", "own"),
    [
        ("cpu io", "cpu io", "0::/job\n"),  # no memory
        ("memory pids", "", "0::/gone\n"),
        ("memory pids", "memory pids", "9:name=systemd:/\n4:memory:/x\n"),  # version 1
        ("memory pids", "memory pids", "0::/../other\n"),  # outside of this container's view
    ],
)
def test_where_there_is_none_nothing_is_said_and_nothing_done(
    controllers: str, enabled: str, own: str, tmp_path: Path
) -> None:
    root = group_at(tmp_path / "root", controllers, enabled)
    group = made(root, own)
    assert group.leaf is None
    with group.joined():
        group.kill()
    assert not group.was_out_of_memory()
    group.remove()
    assert leaves(root) == []


def test_without_any_tree_there_is_none(tmp_path: Path) -> None:
    assert made(tmp_path / "nowhere", "0::/\n").leaf is None


def test_a_leaf_that_takes_no_limit_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = group_at(tmp_path / "root", "memory pids", "memory pids")
    write = module._write

    def refuse(path: Path, text: str) -> None:
        if path.name == "pids.max":
            raise PermissionError(path)
        write(path, text)

    monkeypatch.setattr(module, "_write", refuse)
    assert made(root, "0::/\n").leaf is None


def test_out_of_memory_is_read_from_the_kernels_events(tmp_path: Path) -> None:
    group = ControlGroup(tmp_path, tmp_path)
    (tmp_path / "memory.events").write_text("low 0\nhigh 3\nmax 9\noom 1\noom_kill 0\n")
    assert not group.was_out_of_memory()
    (tmp_path / "memory.events").write_text("oom 1\noom_kill 2\n")
    assert group.was_out_of_memory()


def test_what_a_killed_supervisor_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    root = group_at(tmp_path / "root", "memory pids", "memory pids")
    old, young = root / "ml-intern-1-1", root / "ml-intern-2-2"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    made(root, "0::/\n")
    assert not old.exists()
    assert young.exists()
