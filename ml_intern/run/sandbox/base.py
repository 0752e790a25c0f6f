"""The Sandbox seam: turns a RunSpec into a command to start. Tiers are told apart by `tier`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from ml_intern.run.spec import RunSpec


@dataclass
class Command:
    """One command to start, and what its sandbox does on the way. The plain one does nothing.

    argv, environment: for the new process; `fds`: what it inherits beside stdin, stdout and stderr; `cwd`: where it
    starts, if that is not the spec's; `before_exec`: called in the new process before it becomes the command;
    `measures`: whether the started process's tree is the script's, so that its memory and CPU time can be seen;
    `offence`: after `ended`, what the script did that its sandbox cannot prevent, in words: it has failed then.
    `started`, `enter`, `ended`, `close` are called in this order from the thread that starts it; `kill` from the same
    thread.
    """

    argv: list[str]
    environment: Mapping[str, str]
    fds: tuple[int, ...] = ()
    cwd: Path | None = None
    before_exec: Callable[[], None] | None = None
    measures: bool = True
    offence: str = ""

    def started(self, pid: int) -> None:
        """The process `pid` exists: set its limits, let it go."""

    def enter(self, stream: IO[bytes]) -> tuple[int, IO[bytes]] | None:
        """For a command that only builds the walls: starts the script inside. Returns the process to wait for instead,
        and its output; None where the started process, whose output is `stream`, is the script (or failed)."""
        return None

    def own_files(self) -> int:
        """Files in file systems of the run's own, which end with it; looked at while it runs."""
        return 0

    def kill(self) -> None:
        """End everything inside at once. The caller kills the process tree as well."""

    def ended(self) -> str:
        """The process has ended: waits until nothing inside lives, and takes back what was handed over.

        Returns why the sandbox itself could not be set up; empty when the script was started.
        """
        return ""

    def exit_code(self, code: int) -> int:
        """The script's exit code (negative: ended by that signal), from the started process's."""
        return code

    def close(self) -> None:
        """Closes what is open; safe to call twice, and at any time."""


class Sandbox(Protocol):
    """`tier` stands in every record. `prepare` may change owners and modes of what the spec names."""

    @property
    def tier(self) -> str: ...

    def prepare(self, spec: RunSpec) -> Command: ...
