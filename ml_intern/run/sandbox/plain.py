"""Tier C: a plain subprocess under limits, with an environment that holds no secret. No isolation beyond that."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from ml_intern.run.sandbox.base import Command
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.sandbox.kernel import die_with_parent
from ml_intern.run.sandbox.limits import limit
from ml_intern.run.spec import Limits, RunSpec


@dataclass
class _PlainCommand(Command):
    limits: Limits = field(default_factory=Limits)

    def started(self, pid: int) -> None:
        limit(pid, self.limits)


class PlainSandbox:
    """Limits only. `tier` says so."""

    @property
    def tier(self) -> str:
        return "C (limits only, no isolation)"

    def prepare(self, spec: RunSpec) -> Command:
        argv = [sys.executable, "-s", "-B", str(spec.script), *spec.arguments]
        return _PlainCommand(argv, clean_environment(spec), before_exec=die_with_parent, limits=spec.limits)
