"""The Sandbox seam: turns a RunSpec into the command and environment to start. Tiers are told apart by `tier`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ml_intern.run.spec import RunSpec


class Sandbox(Protocol):
    """`tier` stands in every record. `prepare` gives (argv, environment)."""

    @property
    def tier(self) -> str: ...

    def prepare(self, spec: RunSpec) -> tuple[list[str], Mapping[str, str]]: ...
