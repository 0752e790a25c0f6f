"""One process tree under limits: how each end is told apart, and that nothing outlives it."""

import contextlib
import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support.compute import WARM, every_kind, run_script
from tests.support.marks import mark_of


@every_kind
def test_a_clean_end_is_ok_and_its_output_is_kept(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "print('hello')")
    assert (result.outcome, result.exit_code, result.tail) == ("ok", 0, "hello\n")


@every_kind
def test_what_a_script_begins_is_tidied_up_at_its_end(kind: str, tmp_path: Path) -> None:
    code = (
        "import atexit, tempfile, weakref\n"
        "class Kept: pass\n"
        "kept = Kept()\n"
        "weakref.finalize(kept, print, 'finalized')\n"
        "atexit.register(print, 'at exit')\n"
        "folder = tempfile.TemporaryDirectory(dir='.')\n"
    )
    result = run_script(kind, tmp_path, code)
    assert "finalized" in result.tail and "at exit" in result.tail, result
    assert list((tmp_path / "cwd").iterdir()) == []


def test_what_libraries_began_before_a_fork_is_not_tidied_up_in_it(tmp_path: Path) -> None:
    code = "import torch, weakref\nprint(sum(one.atexit for one in weakref.finalize._registry), 'to be finalized')\n"
    assert run_script(WARM, tmp_path, code).tail.startswith("0 to be")


@every_kind
def test_a_failure_keeps_exit_code_and_traceback(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "raise SystemExit('no data here') if False else ValueError('shape 3 != 4')")
    assert result.outcome == "failed"
    assert result.exit_code == 1
    assert "shape 3 != 4" in result.tail


@every_kind
def test_a_signal_is_named(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert result.outcome == "failed"
    assert "SIGSEGV" in result.detail


@every_kind
def test_the_wall_clock_stops_a_run_that_ignores_sigterm(kind: str, tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    started = time.monotonic()
    assert run_script(kind, tmp_path, code, seconds=0.5).outcome == "timeout"
    assert time.monotonic() - started < 5


@every_kind
def test_memory_of_the_whole_tree_is_watched(kind: str, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; x = bytearray(300 << 20); time.sleep(30)'])\n"
        "time.sleep(30)\n"
    )
    result = run_script(kind, tmp_path, code, memory_mb=200, seconds=20)
    assert result.outcome == "memory"
    assert result.peak_memory_mb > 200


@every_kind
def test_endless_output_is_cut_and_stopped(kind: str, tmp_path: Path) -> None:
    result = run_script(kind, tmp_path, "while True: print('x' * 10000)", output_mb=1, seconds=30)
    assert result.outcome == "output"
    assert (tmp_path / "log.txt").stat().st_size <= 1024 * 1024


@every_kind
def test_children_do_not_outlive_the_run_and_do_not_hold_it_up(kind: str, tmp_path: Path) -> None:
    mark = f"child-of-{mark_of(tmp_path)}-{kind}"
    sleeper = f"[sys.executable, '-c', 'import time; time.sleep(60)', {mark!r}]"
    code = f"import subprocess, sys, time; subprocess.Popen({sleeper}); time.sleep(1)"
    seen = threading.Event()

    def look() -> None:
        for _ in range(100):
            if processes_with(mark):
                return seen.set()
            time.sleep(0.05)

    threading.Thread(target=look, daemon=True).start()
    started = time.monotonic()
    run_script(kind, tmp_path, code)
    assert time.monotonic() - started < 10
    assert seen.is_set()
    assert processes_with(mark) == []


def processes_with(mark: str) -> list[int]:
    """Living processes with `mark` as an argument of their own."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@every_kind
def test_a_stop_from_outside_ends_the_run(kind: str, tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    assert run_script(kind, tmp_path, "import time; time.sleep(60)", stop).outcome == "killed"


@every_kind
def test_no_secret_of_the_environment_reaches_a_script(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    result = run_script(kind, tmp_path, "import os; print(sorted(os.environ.items()))")
    assert "planted" not in result.tail
    assert str(Path(os.environ.get("HOME", "/nonexistent"))) + "'" not in result.tail
