"""The sockets of the stand-in Hub: bodies, faults, the log of requests, stopping and starting again."""

import os
import socket
import struct
import tempfile
import threading
import time
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

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self.site = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Connections are refused from now on. Requests that are being answered still are."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


@contextmanager
def serve_hub(
    folder: Path | None = None, users: Mapping[str, User] | None = None, port: int = 0
) -> Iterator[ServedHub]:
    """What is written is kept under `folder`, if there is one: by other processes and later servers as well."""
    with tempfile.TemporaryDirectory() as passing:
        hub = ServedHub(folder or Path(passing), dict(users or {}))
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
        if fault.cut_upload is not None:
            return self._close(fault.reset)
        time.sleep(fault.delay)
        if fault.before:
            fault.before()
        response = fault.response or answer(self.hub, Request(self.command, self.path, self.headers, body))
        if fault.lost:
            return self._close(reset=False)
        self._send(asked, response, fault)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _body(self, asked: Asked, most: int | None) -> bytes:
        pieces = []
        for piece in self._chunks() if self.headers.get("Transfer-Encoding") else self._pieces(most):
            pieces.append(piece)
            asked.received += len(piece)
            if most is not None and asked.received >= most:
                break
        return b"".join(pieces)

    def _pieces(self, most: int | None) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", 0))
        left = left if most is None else min(most, left)
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
