"""A fork server that imports libraries, as one with a warm start does, and has no sandbox."""

from types import SimpleNamespace
from typing import Any

from ml_intern.run import fork_server

if __name__ == "__main__":
    sandbox: Any = SimpleNamespace(warm="transformers")
    fork_server.main(lambda spelled: sandbox)
