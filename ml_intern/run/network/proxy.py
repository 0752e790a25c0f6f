"""A proxy for runs that truly need the network: it listens on a unix socket, reaches the plan's hosts and no others.

Speaks HTTP/1.1 CONNECT and plain requests with an absolute URL (RFC 9110, 9.3.6; RFC 9112, 3.2.2). What lies behind an
allowed host (another site of the same provider, say) it cannot see.
"""

from __future__ import annotations

import contextlib
import re
import select
import shutil
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ml_intern.run.network.hosts import HostRefused, Resolve, address_of, resolve

_PORTS = (80, 443)
_MAX_HEAD = 16_384
_HEAD_SECONDS = 10.0
_IDLE_SECONDS = 120.0
_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\x00]*")
_AT_ONCE = 64
_CHUNK = 65_536


class Proxy:
    """`path`: its socket, in a folder that is gone after `close`, or with this process. `tell(line)` hears of every
    request. `ports`, `public` and `resolving` are other ones in tests alone."""

    def __init__(
        self,
        allowed: Sequence[str],
        tell: Callable[[str], None] = lambda line: None,
        *,
        resolving: Resolve = resolve,
        public: bool = True,
        ports: Sequence[int] = _PORTS,
    ) -> None:
        self._allowed, self._tell, self._resolving, self._public, self._ports = allowed, tell, resolving, public, ports
        # A short path: a socket's may have 108 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="mi-"))
        self._folder.chmod(0o755)
        self.path = self._folder / "proxy"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o777)
        self._listener.listen(_AT_ONCE)
        self._cleared = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cleared()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(_HEAD_SECONDS)
                try:
                    self._carry(client)
                except HostRefused as error:
                    self._tell(f"refused: {error}")
                    client.sendall(f"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nml-intern: {error}\n".encode())
        except (OSError, ValueError):
            return
        finally:
            self._room.release()

    def _carry(self, client: socket.socket) -> None:
        head, rest = _head(client)
        method, target, host, port = _asked(head)
        if port not in self._ports:
            raise HostRefused(f"port {port} is not open")
        address = address_of(host, self._allowed, self._resolving, self._public)
        self._tell(f"{method} {host}:{port}")
        with socket.create_connection((address, port), timeout=_IDLE_SECONDS) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                server.sendall(rest)
            else:
                server.sendall(_rewritten(head, method, target, host) + rest)
            client.settimeout(None)  # that one was for the head: whoever reads may pause, as to train on a batch
            _exchange(client, server)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """(request line and headers, what came after them)."""
    received, deadline = b"", time.monotonic() + _HEAD_SECONDS
    while b"\r\n\r\n" not in received:
        if time.monotonic() > deadline:
            raise ValueError("no request")
        chunk = client.recv(_MAX_HEAD)
        received += chunk
        if not chunk or (len(received) > _MAX_HEAD and b"\r\n\r\n" not in received):
            raise ValueError("no request")
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _asked(head: bytes) -> tuple[str, str, str, int]:
    """(method, target, host, port) of a request. Raises HostRefused for what is none."""
    words = head.split(b"\r\n")[0].decode("latin-1").split(" ")
    odd = any(not _HEADER.fullmatch(line) for line in head.split(b"\r\n")[1:])
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not _METHOD.fullmatch(words[0]) or odd:
        raise HostRefused("this is no request to a proxy")
    method, target, _ = words
    url = urlsplit(f"//{target}" if method == "CONNECT" else target)
    try:
        port = url.port or (443 if method == "CONNECT" else 80)
    except ValueError:
        raise HostRefused("the port is no number") from None
    if method != "CONNECT" and url.scheme != "http":
        raise HostRefused("only http:// and CONNECT are carried")
    if url.username is not None or "\x00" in target or not url.hostname:
        raise HostRefused(f"{target[:100]!r} names no host")
    return method, target, url.hostname, port


def _rewritten(head: bytes, method: str, target: str, host: str) -> bytes:
    """A request as its server expects it: by path, for the host that was checked, and one for this connection."""
    url = urlsplit(target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    dropped = (b"host:", b"connection:", b"proxy-", b"keep-alive:")
    kept = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(dropped)]
    lines = [f"{method} {path} HTTP/1.1".encode(), f"Host: {url.netloc or host}".encode(), *kept, b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _exchange(client: socket.socket, server: socket.socket) -> None:
    """Both ways, until one side has ended or nobody has said anything for a while."""
    other = {client: server, server: client}
    while True:
        ready, _, _ = select.select([client, server], [], [], _IDLE_SECONDS)
        if not ready:
            return
        for one in ready:
            chunk = one.recv(_CHUNK)
            if not chunk:
                return
            other[one].sendall(chunk)
