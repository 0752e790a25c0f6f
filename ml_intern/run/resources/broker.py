"""The broker: the one part of the system that fetches models, data sets and packages, for scripts that cannot.

Everything comes at an exact revision, with size and licence known first, and is handed out read-only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_intern.run.resources import hub, packages
from ml_intern.run.resources.resource import Resource
from ml_intern.run.resources.store import Store

VARIABLE = "ML_INTERN_MODELS"  # where scripts find the folder of models


@dataclass(frozen=True)
class Provided:
    """What an experiment's scripts get. `datasets`, `models`: folders with a link for each, by name; what they lead to
    stands in `dataset_paths`, `model_paths`. `layer`: folder of packages, before all others; `lock`: what is in it;
    `digests`: name to content. Data sets hold the sealed rows and their labels: only `data.py` may see them."""

    datasets: Path | None = None
    models: Path | None = None
    dataset_paths: tuple[Path, ...] = ()
    model_paths: tuple[Path, ...] = ()
    layer: Path | None = None
    lock: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[Path, ...]:
        """What every script of the experiment may see: models and packages."""
        folders = [one for one in (self.models, self.layer) if one]
        return (*folders, *self.model_paths)

    @property
    def data_reads(self) -> tuple[Path, ...]:
        """What `data.py` may see besides."""
        return (*([self.datasets] if self.datasets else []), *self.dataset_paths)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the scripts."""
        out = {VARIABLE: str(self.models)} if self.models else {}
        return out | ({"PYTHONPATH": str(self.layer)} if self.layer else {})

    @property
    def digest(self) -> str:
        """sha256 over all of it; empty where there is nothing."""
        lines = [*(f"{name}={one}" for name, one in sorted(self.digests.items())), *self.lock]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


@dataclass(frozen=True)
class Broker:
    """`store`: what was fetched before. `most_bytes`: of one resource, or of an experiment's packages. `endpoint`: of
    the Hub, if not the public one. `tell(resource, digest)`: once it is there."""

    store: Store
    most_bytes: int
    endpoint: str | None = None
    tell: Callable[[Resource, str], None] = lambda resource, digest: None

    def pin(self, resource: Resource) -> Resource:
        """At its exact commit, with size and licence; one that is pinned stays as it is. Raises ResourceError."""
        return resource if resource.is_pinned else hub.pin(resource, self.most_bytes, self.endpoint)

    def pin_packages(self, requirements: tuple[str, ...]) -> tuple[str, ...]:
        """With hash, size and licence of every wheel that is missing here. Raises ResourceError."""
        return packages.pin(requirements, self.most_bytes) if requirements else ()

    def provide(self, resources: Sequence[Resource], requirements: tuple[str, ...], folder: Path) -> Provided:
        """Fetches what is not at hand. `folder`: made anew, for the links. Raises ResourceError and RunError."""
        if not resources and not requirements:
            return Provided()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        paths: dict[str, list[Path]] = {"dataset": [], "model": []}
        digests: dict[str, str] = {}
        for resource in resources:
            place, digest = self._fetched(resource)
            (folder / resource.kind).mkdir(exist_ok=True)
            (folder / resource.kind / resource.name).symlink_to(place)
            paths[resource.kind].append(place)
            digests[resource.name] = digest
            self.tell(resource, digest)
        layer, lock = self._layer(requirements)
        return Provided(
            datasets=folder / "dataset" if paths["dataset"] else None,
            models=folder / "model" if paths["model"] else None,
            dataset_paths=tuple(paths["dataset"]),
            model_paths=tuple(paths["model"]),
            layer=layer,
            lock=lock,
            digests=digests,
        )

    def _fetched(self, resource: Resource) -> tuple[Path, str]:
        key = f"{resource.kind} {resource.id}@{resource.revision} {json.dumps(resource.files)}"
        return self.store.get(key, lambda place: hub.download(resource, place, self.most_bytes, self.endpoint))

    def _layer(self, requirements: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
        lock = packages.wheels(requirements)
        if not lock:  # everything is installed here already
            return None, ()

        def fill(folder: Path) -> None:
            packages.require_small(requirements, self.most_bytes)
            packages.install(lock, folder)

        place, _ = self.store.get(f"packages {' '.join(lock)}", fill)
        return place, lock
