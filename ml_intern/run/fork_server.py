"""The process that starts supervisors: one small process beside the harness, from which each of them is forked.

Why not from the harness: it has threads (a fork of it is unsafe), and its supervisors must outlive it. Why not a new
Python for each: that costs more than most sandboxes. When the harness goes, the server goes; the supervisors stay until
their runs have ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from ml_intern.errors import MlInternError, RunError
from ml_intern.run import huge_pages
from ml_intern.run.journal import Journal
from ml_intern.run.sandbox.base import Sandbox
from ml_intern.run.sandbox.kernel import adopt_orphans
from ml_intern.run.sandbox.warm import import_libraries
from ml_intern.run.spec import RunSpec
from ml_intern.run.supervisor import supervise
from ml_intern.run.usage import end_descendants, ended_children

MAX_REQUEST = 1 << 20
READY = b"ready"
_TAKEN = b"t"


def serve(requests: socket.socket, sandbox: Sandbox) -> None:
    """Has a supervisor ready for each request (a RunSpec as JSON, with the descriptor that takes the answer) until the
    other side is closed. To be called in a process without threads."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors need no one to wait for them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import psutil  # noqa: F401  # once here, instead of once in every supervisor

    with contextlib.suppress(OSError):
        requests.send(READY)
    gc.disable()  # a collection would copy what parent and child share
    gc.freeze()
    while True:
        reader, taken = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            _guard_and_exit(requests, sandbox, taken)
        os.close(taken)
        told = os.read(reader, 1)
        os.close(reader)
        if told != _TAKEN and _is_closed(requests):
            return


def _is_closed(requests: socket.socket) -> bool:
    try:
        return requests.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _guard_and_exit(requests: socket.socket, sandbox: Sandbox, taken: int) -> NoReturn:
    """The supervisor's parent, which does nothing but end what a supervisor that was killed leaves behind: the kernel's
    own signal at a parent's death does not reach a process of another user."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(OSError):  # not on Linux
        adopt_orphans()
    supervisor = os.fork()
    if supervisor == 0:
        _wait_and_exit(requests, sandbox, taken)
    requests.close()
    os.close(taken)
    os.waitpid(supervisor, 0)
    end_descendants(lambda: list(ended_children()))
    os._exit(0)


def _wait_and_exit(requests: socket.socket, sandbox: Sandbox, taken: int) -> NoReturn:
    """Becomes the supervisor of the next request; forked before there is one, so that none waits for it."""
    try:
        data, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST, 1)
    except OSError:  # a harness that went without a word
        os._exit(0)
    if data:
        with contextlib.suppress(OSError):  # the server was killed while this waited; the request is as good
            os.write(taken, _TAKEN)
    os.close(taken)
    requests.close()
    if data:
        _supervise_and_exit(RunSpec.model_validate_json(data), sandbox, descriptors[0])
    os._exit(0)


def _supervise_and_exit(spec: RunSpec, sandbox: Sandbox, answer: int) -> NoReturn:
    """The supervisor: SIGTERM stops the run, and so does the end of the harness where nobody may take the run over.
    The answer is a result (`+` and JSON) or an error (`-` and its lines)."""
    os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    stop = _readable_on(signal.SIGTERM)
    if not spec.inputs:
        stop = _or_unread(stop, answer)
    try:
        journal = Journal(spec)
        result = supervise(spec, sandbox, stop)
        journal.finished(result)
        told = b"+" + result.model_dump_json().encode()
    except MlInternError as error:
        told = b"-" + "\x00".join((error.what, error.why, error.next)).encode()
    except BaseException as error:
        told = b"-" + "\x00".join((f"The supervisor of {spec.run_id} failed.", repr(error), "")).encode()
    with contextlib.suppress(OSError):  # a harness that has gone does not read
        while told:
            told = told[os.write(answer, told) :]
        os.close(answer)  # the harness need not wait until this process has been cleared away
    os._exit(0)


def _readable_on(number: signal.Signals) -> int:
    """A descriptor that can be read once the signal has come."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_inheritable(descriptor, False)
    os.set_blocking(writer, False)

    def handle(_number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, b"1")

    signal.signal(number, handle)
    return reader


def _or_unread(stop: int, answer: int) -> int:
    """A descriptor that can be read once `stop` can, or once nobody is left to read what is written to `answer`."""
    if not hasattr(select, "epoll"):
        return stop
    with select.epoll() as both:
        both.register(stop, select.EPOLLIN)
        both.register(answer, 0)  # an error is told without being asked for
        return os.dup(both.fileno())


def main(open_sandbox: Callable[[str], Sandbox]) -> None:
    """`python -m ml_intern.run.fork_server DESCRIPTOR SANDBOX`."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    try:
        sandbox = open_sandbox(sys.argv[2])
    except RunError as error:
        sys.exit(str(error))
    if libraries := getattr(sandbox, "warm", None):
        import_libraries(libraries)
        gc.collect()
        huge_pages.gather()
    serve(requests, sandbox)


if __name__ == "__main__":
    from ml_intern.run.sandbox.choice import open_sandbox

    main(open_sandbox)
