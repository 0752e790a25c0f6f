"""Run inside a sandbox as `relay.py SOCKET PORT COMMAND…`: lets the command reach the proxy's unix socket by TCP.

The sandbox has a network of its own with nothing in it but this, on 127.0.0.1. Standard library alone.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, path: str) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:
            near.close()
            continue
        for pair in ((near, far), (far, near)):
            threading.Thread(target=copy, args=pair, daemon=True).start()


def main() -> None:
    path, port, *command = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(port)))
    threading.Thread(target=serve, args=(listener, path), daemon=True).start()
    code = subprocess.run(command).returncode
    if code < 0:  # the same end as the command's
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
