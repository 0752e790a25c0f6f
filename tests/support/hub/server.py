"""The sockets of the stand-in Hub: bodies, faults, the log of requests, stopping and starting again."""

import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.hub.faults import Fault
from tests.support.hub.hub import Asked, StandInHub, User
from tests.support.hub.routes import answer
from tests.support.hub.wire import Request, Response

_PIECE = 65_536


class ServedHub(StandInHub):
    """Can go away and come back on the same port; repositories, faults and log stay."""

    _server: ThreadingHTTPServer | None = None
    _port: int = 0

    def start(self) -> None:
        served = self

        class Handler(_Handler):
            hub = served

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self.site = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Connections are refused from now on. Requests that are being answered still are."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that went away
            super().handle_error(request, client_address)


@contextmanager
def serve_hub(
    folder: Path | None = None, users: Mapping[str, User] | None = None, port: int = 0
) -> Iterator[ServedHub]:
    """What is written is kept under `folder`, if there is one: by other processes and later servers as well."""
    hub = ServedHub(folder or Path(tempfile.mkdtemp(prefix="hub-")), dict(users or {}))
    if folder is None:  # gone with the hub and its repositories, which a test may still read after this context
        weakref.finalize(hub, shutil.rmtree, hub.folder, ignore_errors=True)
    hub._port = port
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub

    def do_GET(self) -> None:
        asked = Asked(self.command, self.path, self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.hub.requests.append(asked)
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        fault = self.hub.faults.strike(asked.line)
        body = self._body(asked, fault.cut_upload)
        time.sleep(fault.delay)
        if fault.before:
            fault.before()
        if body is None or fault.cut_upload is not None:
            return self._close(fault.reset)
        response = fault.response or answer(self.hub, Request(self.command, self.path, self.headers, body))
        if fault.lost:
            return self._close(reset=False)
        self._send(asked, response, fault)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _body(self, asked: Asked, most: int | None) -> bytes | None:
        """None if the client went away before its end: half a commit can look like a whole one."""
        announced = int(self.headers.get("Content-Length", 0))
        pieces = []
        try:
            for piece in self._chunks() if self.headers.get("Transfer-Encoding") else self._pieces(announced, most):
                pieces.append(piece)
                asked.received += len(piece)
                if most is not None and asked.received >= most:
                    break
        except (ValueError, OSError):
            return None
        return b"".join(pieces) if asked.received >= announced else None

    def _pieces(self, announced: int, most: int | None) -> Iterator[bytes]:
        left = announced if most is None else min(most, announced)
        while left and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, asked: Asked, response: Response, fault: Fault) -> None:
        self.send_response(response.status)
        for name, value in {**response.headers, "Content-Length": str(len(response.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        data = b"" if self.command == "HEAD" else response.body[: fault.cut_download]
        asked.status, asked.sent = response.status, len(data)
        self.wfile.write(data)
        if fault.cut_download is not None:
            self._close(fault.reset)

    def _close(self, reset: bool) -> None:
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # nothing between, which would send FIN first
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass
