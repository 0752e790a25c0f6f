"""The harness's side of a fork server: starts it, knows whether it is ready, sends it what is to be run."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time

from ml_intern.run.fork_server import MAX_REQUEST, READY
from ml_intern.run.sandbox.choice import CONTAINER, Choice
from ml_intern.run.sandbox.environment import CLIENT, import_environment, passed_environment


class Server:
    """Not started until `start` or `send`; started again by `send` once it was killed. Not thread-safe. `program`: the
    module that it runs."""

    def __init__(self, sandbox: Choice, program: str = "ml_intern.run.fork_server") -> None:
        self._sandbox, self._program = sandbox, program
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._ready = False
        self.began = 0.0  # on the monotonic clock

    def start(self) -> None:
        if self._requests is None:
            self._requests, self.began = self._started(), time.monotonic()

    @property
    def is_started(self) -> bool:
        """Not once it is known to have been killed."""
        return self._requests is not None

    def is_ready(self) -> bool:
        """Whether it has said so, and lives. One that died before is not started again: it would die again."""
        with contextlib.suppress(BlockingIOError, OSError):
            if self._requests is not None and not self._ready:
                self._ready = self._requests.recv(len(READY), socket.MSG_DONTWAIT) == READY
        if self._ready and self.has_died():
            self._forget()
        return self._ready

    def has_died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def send(self, request: bytes, answer: int) -> None:
        """Raises OSError where it was killed; the next `send` starts another one."""
        self.start()
        try:
            if self._requests is not None:
                socket.send_fds(self._requests, [request], [answer])
        except OSError:
            self._forget()
            raise

    def hang_up(self) -> None:
        """Has it end, not what it forked; does not wait for it."""
        if self._requests is None:  # done before, or it was killed
            return
        if self._process is not None and not self.is_ready():
            self._process.kill()  # it imports, and would not listen; it has forked nothing yet
        self._forget()

    def close(self) -> None:
        """Ends it, not what it forked."""
        self.hang_up()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self._process = None

    def __del__(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.poll()

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST)
        # A script that is a fork of this process can read in /proc what it was started with.
        more = CLIENT if self._sandbox.kind == CONTAINER else ()
        environment = passed_environment("PYTHONPATH", *more)
        module = ["-m", self._program, str(theirs.fileno()), self._sandbox.spelled]
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-B", *module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            env=environment | ({} if self._sandbox.warm is None else import_environment()),
        )
        theirs.close()
        return ours

    def _forget(self) -> None:
        if self._requests is not None:
            self._requests.close()
        self._requests, self._ready = None, False
