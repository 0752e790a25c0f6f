"""Tier C: a plain subprocess under limits, with an environment that holds no secret. No isolation beyond that."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.sandbox.kernel import die_with_parent
from ml_intern.run.sandbox.limits import limit
from ml_intern.run.sandbox.short_name import ShortName
from ml_intern.run.spec import Limits, RunSpec


@dataclass
class _PlainCommand(Command):
    limits: Limits = field(default_factory=Limits)
    temporary: ShortName | None = None

    def started(self, pid: int) -> None:
        limit(pid, self.limits)

    def close(self) -> None:
        if self.temporary is not None:
            self.temporary.close()


class PlainSandbox:
    """Limits only. `tier` says so."""

    @property
    def tier(self) -> str:
        return "C (limits only, no isolation)"

    def prepare(self, spec: RunSpec) -> Command:
        argv = [sys.executable, "-s", "-B", str(spec.script), *spec.arguments]
        temporary = ShortName(spec.cwd.absolute())
        environment = clean_environment(spec, temporary.path)
        command = _PlainCommand(argv, environment, before_exec=die_with_parent, limits=spec.limits)
        command.temporary = temporary
        return command
