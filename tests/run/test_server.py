"""What the process is started with that scripts may be forks of."""

import contextlib
import threading
from pathlib import Path

import pytest

from ml_intern.run.compute.local import LocalCompute
from ml_intern.run.compute.server import Server
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.sandbox.warm import LIBRARIES


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
    for name in LIBRARIES:
        package = tmp_path / "broken" / name.split(".")[0]
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(how)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'broken'}:{Path.cwd()}")
    compute = LocalCompute(Choice("none", tmp_path / "home", warm=True))
    compute._warm = server = Server(Choice("none", tmp_path / "home", warm=True), "tests.support.importing")
    with contextlib.closing(compute):
        waiting = threading.Thread(target=lambda: compute.warm_up(wait=True), daemon=True)
        waiting.start()
        waiting.join(30)
        assert not waiting.is_alive()
        assert server.is_ready() == ("raise" in how)
