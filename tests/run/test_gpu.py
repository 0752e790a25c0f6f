"""GPUs pass into a sandbox where there are any and they are asked for. Without one only bubblewrap's words are seen."""

import itertools
from pathlib import Path

import pytest

from ml_intern.run.sandbox import bubblewrap, roots, warm
from ml_intern.run.sandbox.bubblewrap import BubblewrapSandbox, find_bubblewrap
from ml_intern.run.spec import RunSpec


def words(folder: Path, gpu: bool) -> list[str]:
    binary = find_bubblewrap()
    if binary is None:
        pytest.skip("there is no bubblewrap here")
    roots.shown_folders.cache_clear()
    bubblewrap._system_view.cache_clear()
    (folder / "cwd").mkdir(exist_ok=True)
    (folder / "s.py").write_text("")
    spec = RunSpec(run_id="r", script=folder / "s.py", arguments=(), cwd=folder / "cwd", log=folder / "l.log", gpu=gpu)
    return BubblewrapSandbox(binary).argv(spec, [folder], [folder / "cwd"], 3, 4, 5)


def bound(argv: list[str]) -> list[str]:
    return [path for word, path in itertools.pairwise(argv) if word == "--dev-bind" and path != "/dev"]


def test_devices_pass_only_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [Path("/dev/null"), Path("/dev/zero")]  # they stand in for /dev/nvidia0 and /dev/nvidiactl
    monkeypatch.setattr(roots, "gpu_devices", lambda: devices)
    assert bound(words(tmp_path, gpu=True)) == ["/dev/null", "/dev/zero"]
    assert bound(words(tmp_path, gpu=False)) == []


def test_without_a_gpu_asking_for_it_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "gpu_devices", lambda: [])
    assert words(tmp_path, gpu=True) == words(tmp_path, gpu=False)


def test_a_warm_start_is_not_for_runs_that_use_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA that was looked for before a fork does not work after it."""
    spec = RunSpec(run_id="r", script=tmp_path, arguments=(), cwd=tmp_path, log=tmp_path, gpu=True)
    monkeypatch.setattr(warm, "gpu_devices", lambda: [Path("/dev/null")])
    assert not warm.is_fit(spec)
    monkeypatch.setattr(warm, "gpu_devices", lambda: [])
    assert warm.is_fit(spec)
