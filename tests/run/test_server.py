"""What the process is started with that scripts may be forks of."""

import contextlib
import math
import threading
import time
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
        deadline = time.monotonic() + 10
        # Whoever started it goes on a moment before the kernel has laid out what it was given.
        while not (shown := Path(f"/proc/{compute._server._process.pid}/environ").read_bytes()):
            assert time.monotonic() < deadline
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

    def __init__(self, tmp_path: Path, looks: float = 0, *, started: bool = False) -> None:
        super().__init__(Choice("none", tmp_path / "home"))
        self.looks, self.running, self.dead = looks, started, False
        self.sent: list[bytes] = []

    @property
    def is_started(self) -> bool:
        return self.running

    def start(self) -> None:
        self.running, self.began = True, time.monotonic()

    def is_ready(self) -> bool:
        if self.running:
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
    warm = {name: _Warm(tmp_path, started=True) for name in LIBRARIES}
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
        assert (warm.running, warm.looks, warm.sent) == (True, 4, [])
        compute.execute(spec_in(tmp_path), threading.Event())
        assert (warm.looks, len(warm.sent)) == (-1, 1)


def test_what_needs_torch_alone_is_a_fork_of_a_process_that_has_transformers_too_where_that_is_ready(
    tmp_path: Path,
) -> None:
    compute, more = LocalCompute(Choice("none", tmp_path / "home")), _Warm(tmp_path, started=True)
    compute._warm.update(torch=_Warm(tmp_path), transformers=more)
    with contextlib.closing(compute):
        compute.execute(spec_in(tmp_path), threading.Event())
    assert len(more.sent) == 1 and not compute._warm["torch"].is_started


@pytest.mark.parametrize("ready", [True, False])
def test_one_that_dies_is_begun_again_only_if_it_was_ready(tmp_path: Path, ready: bool) -> None:
    with contextlib.closing(Server(Choice("none", tmp_path / "home"))) as server:
        server.start()
        assert server._process is not None
        while ready and not server.is_ready():
            time.sleep(0.01)
        server._process.kill()
        server._process.wait()
        server._ready = ready
        assert not server.is_ready() and server.has_died()
        assert server.is_started == (not ready)


def test_a_request_is_as_good_where_its_server_was_killed_before(tmp_path: Path) -> None:
    """The process that waits for it outlives the server."""
    with contextlib.closing(LocalCompute(Choice("none", tmp_path / "home"))) as compute:
        for _ in range(2):
            for _ in range(2):
                assert compute.execute(spec_in(tmp_path), threading.Event()).outcome == "ok"
            assert compute._server._process is not None
            compute._server._process.kill()
            compute._server._process.wait()


def test_one_that_imports_is_not_waited_for_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "psutil.py").write_text("import time; time.sleep(60)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path / 'slow'}:{Path.cwd()}")
        compute = LocalCompute(Choice("none", tmp_path / "home"))
        compute.warm_up()
    process = compute._server._process
    assert process is not None
    began = time.monotonic()
    compute.close()
    assert time.monotonic() - began < 4 and process.poll() is not None
    compute.close()


def test_a_training_run_that_the_version_before_began_is_known_again(tmp_path: Path) -> None:
    asked = RunSpec(run_id="r", script=Path("/s/x.py"), arguments=("a",), cwd=Path("/c"), log=Path("/l/log.txt"))
    given = {warm: asked.model_copy(update={"warm": warm}).digest() for warm in ("torch", "transformers", None)}
    assert given["torch"] == given["transformers"] == "a8ce80431d1cdd4ee346db6a23bb38a0a6dfbf1fad29f018dd7e5a328450792a"
    assert given[None] == "602c7f2c72bf1da724cd693c289296ad8e0c413103e8d04b31060b3efc2a7cfd"


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
        began = time.monotonic()
        compute.execute(spec_in(tmp_path), stop)
        assert time.monotonic() - began < 10, "nor a second time"
    assert warm.sent == []
