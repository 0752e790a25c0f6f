"""Processes of the command line that are forks of one that has imported it: each is spared the seconds of importing.

They are processes of their own, with an environment, a folder and an exit code, and can be killed; tests of how the
program starts begin a new Python. `python -m tests.support.zygote DESCRIPTOR` is the process that is forked.
"""

import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
_LOCK = threading.Lock()
_MODULES = (
    "ml_intern.cli.main",
    "ml_intern.cli.run",
    "ml_intern.cli.resume",
    "ml_intern.agent.pipeline",
    "ml_intern.judge.laboratory",
    "ml_intern.publish.bundle",
    "ml_intern.ui.show",
    "openai.resources",
    "pyarrow.ipc",
    "scipy.special",
    "tests.support.crashing",
)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout: float,
    kill_at: int | str | None = None,
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """`ml-intern ARGUMENTS`, with nothing on its standard input. Raises TimeoutExpired, and kills it then.

    With `kill_at` as `crashing.py` runs it. It begins in `folder`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader, told = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as answers:
            asked = json.dumps([list(arguments), dict(environment), kill_at, str(folder)]).encode()
            with _LOCK:
                socket.send_fds(_zygote(), [asked], [out.fileno(), err.fileno(), told])
            os.close(told)
            pid = int(answers.readline())
            waiting = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            waiting.start()
            code = int(answers.readline())
            late = not waiting.is_alive()
            waiting.cancel()
        said = [_text(one.fileno()) for one in (out, err)]
    if late:
        raise subprocess.TimeoutExpired(list(arguments), timeout, *said)
    return subprocess.CompletedProcess(list(arguments), code, *said)


def _text(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")


@functools.cache
def _zygote() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    command = [sys.executable, "-m", "tests.support.zygote", str(theirs.fileno())]
    subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True)
    theirs.close()
    return ours


def _serve(requests: socket.socket) -> None:
    """Until the other side is closed. This process has no threads and reads no data."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        data, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not data:
            return
        if os.fork() == 0:
            requests.close()
            _wait_for(*json.loads(data), *files)
        for file in files:
            os.close(file)


def _wait_for(
    arguments: list[str],
    environment: dict[str, str],
    kill_at: int | str | None,
    folder: str,
    out: int,
    err: int,
    told: int,
) -> NoReturn:
    """The parent of one process of the command line: says its number, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.set_inheritable(told, False)
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(arguments, environment, kill_at, folder, out, err)
    os.write(told, b"%d\n" % pid)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _become(
    arguments: list[str], environment: dict[str, str], kill_at: int | str | None, folder: str, out: int, err: int
) -> NoReturn:
    code = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for file, number in ((out, 1), (err, 2)):
            os.dup2(file, number)
            os.close(file)
        sys.argv = ["ml-intern", *arguments]
        if kill_at is None:
            from ml_intern.cli.main import main

            main()
        else:
            from tests.support.crashing import crash_at

            crash_at(kill_at, arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _import_all() -> None:
    """What a run imports, but for what reads the environment while it is imported (the Hub's client)."""
    for name in _MODULES:
        importlib.import_module(name)
    importlib.import_module("ml_intern.llm.gateway")._litellm()
    assert "huggingface_hub" not in sys.modules
    assert threading.active_count() == 1


if __name__ == "__main__":
    _import_all()
    _serve(socket.socket(fileno=int(sys.argv[1])))
