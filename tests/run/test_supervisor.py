"""One process tree under limits: how each end is told apart, and that nothing outlives it."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from ml_intern.run.sandbox.plain import PlainSandbox
from ml_intern.run.spec import Limits, RunResult, RunSpec
from ml_intern.run.supervisor import supervise


def run(folder: Path, code: str, stop: threading.Event | None = None, **limits: float) -> RunResult:
    script = folder / "script.py"
    script.write_text(code)
    spec = RunSpec(
        run_id="r1",
        script=script,
        arguments=(),
        cwd=folder / "cwd",
        log=folder / "log.txt",
        limits=Limits.model_validate(limits),
    )
    return supervise(spec, PlainSandbox(), stop)


def test_a_clean_end_is_ok_and_its_output_is_kept(tmp_path: Path) -> None:
    result = run(tmp_path, "print('hello')")
    assert (result.outcome, result.exit_code, result.tail) == ("ok", 0, "hello\n")


def test_a_failure_keeps_exit_code_and_traceback(tmp_path: Path) -> None:
    result = run(tmp_path, "raise SystemExit('no data here') if False else ValueError('shape 3 != 4')")
    assert result.outcome == "failed"
    assert result.exit_code == 1
    assert "shape 3 != 4" in result.tail


def test_a_signal_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert result.outcome == "failed"
    assert "SIGSEGV" in result.detail


def test_the_wall_clock_stops_a_run_that_ignores_sigterm(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    started = time.monotonic()
    assert run(tmp_path, code, seconds=0.5).outcome == "timeout"
    assert time.monotonic() - started < 5


def test_memory_of_the_whole_tree_is_watched(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; x = bytearray(300 << 20); time.sleep(30)'])\n"
        "time.sleep(30)\n"
    )
    result = run(tmp_path, code, memory_mb=200, seconds=20)
    assert result.outcome == "memory"
    assert result.peak_memory_mb > 200


def test_endless_output_is_cut_and_stopped(tmp_path: Path) -> None:
    result = run(tmp_path, "while True: print('x' * 10000)", output_mb=1, seconds=30)
    assert result.outcome == "output"
    assert (tmp_path / "log.txt").stat().st_size <= 1024 * 1024


def test_children_do_not_outlive_the_run_and_do_not_hold_it_up(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\n"
    )
    started = time.monotonic()
    result = run(tmp_path, code)
    assert time.monotonic() - started < 10
    pid = int(result.tail)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stop_from_outside_ends_the_run(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    assert run(tmp_path, "import time; time.sleep(60)", stop).outcome == "killed"


def test_no_secret_of_the_environment_reaches_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    result = run(tmp_path, "import os; print(sorted(os.environ.items()))")
    assert "planted" not in result.tail
    assert str(Path(os.environ.get("HOME", "/nonexistent"))) + "'" not in result.tail
