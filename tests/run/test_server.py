"""What the process is started with that scripts may be forks of."""

import contextlib
import math
import threading
from pathlib import Path

import pytest

from ml_intern.run.compute import local
from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.compute.server import Server
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.sandbox.warm import LIBRARIES, libraries_of
from ml_intern.run.spec import RunSpec


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows what a process was started with")
def test_the_persons_folders_and_services_are_not_among_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fork keeps showing its parent's first environment in /proc/self/environ, however it was cleared since."""
    for name in ("HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR", "HF_TOKEN", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / f"planted-{name}"))
    with contextlib.closing(LocalCompute(Choice("none", tmp_path / "home"))) as compute:
        compute.warm_up()
        assert compute._server._process is not None
        shown = Path(f"/proc/{compute._server._process.pid}/environ").read_bytes()
    assert b"planted-" not in shown
    assert b"PATH=" in shown


@pytest.mark.parametrize("how", ["raise RuntimeError('numpy.dtype size changed')", "import os; os._exit(3)"])
def test_a_broken_library_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    for name in LIBRARIES["transformers"]:
        package = tmp_path / "broken" / name.split(".")[0]
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(how)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'broken'}:{Path.cwd()}")
    compute = LocalCompute(Choice("none", tmp_path / "home"))
    compute._warm["torch"] = server = Server(Choice("none", tmp_path / "home"), "tests.support.importing")
    with contextlib.closing(compute):
        waiting = threading.Thread(target=lambda: compute.warm_up("torch"), daemon=True)
        waiting.start()
        waiting.join(30)
        assert not waiting.is_alive()
        assert server.is_ready() == ("raise" in how)


class _Warm(Server):
    """Is ready after so many looks, and notes what it is sent; runs nothing."""

    def __init__(self, tmp_path: Path, looks: float = 0) -> None:
        super().__init__(Choice("none", tmp_path / "home"))
        self.looks, self.dead = looks, False
        self.sent: list[bytes] = []

    @property
    def is_started(self) -> bool:
        return self._ready

    def is_ready(self) -> bool:
        self._ready = True  # it is started now
        self.looks -= 1
        return self.looks < 0

    def has_died(self) -> bool:
        return self.dead

    def send(self, request: bytes, answer: int) -> None:
        self.sent.append(request)


@pytest.mark.parametrize(
    ("scripts", "forked_with"),
    [
        ({"train.py": "import torch\n"}, ["torch"]),
        (
            {"data.py": "import json\n", "train.py": "import torch, transformers\n"},
            ["transformers"],
        ),
        ({"train.py": "import sklearn\n"}, []),
        ({"notes.txt": "import torch\n"}, []),
    ],
)
def test_a_script_is_a_fork_of_a_process_with_what_its_folder_imports_and_no_more(
    tmp_path: Path, scripts: dict[str, str], forked_with: list[str]
) -> None:
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    spec = spec_in(tmp_path).model_copy(update={"warm": libraries_of(tmp_path)})
    compute = LocalCompute(Choice("none", tmp_path / "home"))
    warm = {name: _Warm(tmp_path) for name in LIBRARIES}
    compute._warm.update(warm)
    with contextlib.closing(compute):
        outcome = compute.execute(spec, threading.Event()).outcome
    assert [name for name, server in warm.items() if server.sent] == forked_with
    assert (outcome == "ok") == (not forked_with), "else a process of its own runs it"


def spec_in(folder: Path) -> RunSpec:
    (folder / "x.py").write_text("print('ran')\n")
    return RunSpec(run_id="r", script=folder / "x.py", arguments=(), cwd=folder, log=folder / "log.txt")


def test_the_first_script_does_not_wait_for_imports_that_it_began_and_the_next_ones_do(tmp_path: Path) -> None:
    compute, warm = LocalCompute(Choice("none", tmp_path / "home")), _Warm(tmp_path, looks=4)
    compute._warm["torch"] = warm
    with contextlib.closing(compute):
        assert compute.execute(spec_in(tmp_path), threading.Event()).outcome == "ok"
        assert (warm.looks, warm.sent) == (3, [])
        compute.execute(spec_in(tmp_path), threading.Event())
        assert (warm.looks, len(warm.sent)) == (-1, 1)


@pytest.mark.parametrize("why", ["it died", "a person stops the run", "it takes too long"])
def test_nobody_waits_for_imports_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    compute, warm, stop = LocalCompute(Choice("none", tmp_path / "home")), _Warm(tmp_path, math.inf), threading.Event()
    compute._warm["torch"] = warm
    with contextlib.closing(compute):
        compute.execute(spec_in(tmp_path), stop)
        if why == "it takes too long":
            monkeypatch.setattr(local, "_WARM_SECONDS", 0.2)
        elif why == "it died":
            warm.dead = True
        else:
            threading.Timer(0.2, stop.set).start()
        outcome = compute.execute(spec_in(tmp_path), stop).outcome
    assert outcome in (("ok", "killed") if stop.is_set() else ("ok",))
    assert warm.sent == []
