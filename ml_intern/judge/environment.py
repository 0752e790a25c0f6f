"""Which packages the runs of this machine use, as text whose hash stands in the evidence, and whether they changed."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from importlib import metadata

from ml_intern.judge.evidence import Evidence, Guard
from ml_intern.run.resources.broker import Provided

_FIELD = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)


def environment_lock() -> str:
    """Every installed distribution as `name==version`, sorted: what the runs of this machine use."""
    found = dict(_name_and_version(each) for each in metadata.distributions())
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name)


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Without `metadata`, which parses all of a package's description: half a second for those that are installed."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    said = dict(reversed(_FIELD.findall(text)))  # the first counts: a description comes later
    return said.get("Name", "").lower().replace("_", "-"), said.get("Version", "")


def layer_lock(provided: Provided) -> str:
    """The packages beyond the environment, as they stand in its lock."""
    return "".join(f"{line.split()[0]}\n" for line in provided.lock)


def environment_hash(lock: str, layer: str) -> str:
    """As it stands in the evidence."""
    return hashlib.sha256((lock + layer).encode()).hexdigest()


def different_packages(records: Sequence[Evidence]) -> list[Guard]:
    """Runs of an experiment that were made with other packages than others, as after an update or on another machine.
    Between seeds it is told; within one it is fatal, for then variants differ in more than the plan says."""
    by_seed: dict[int, set[str]] = defaultdict(set)
    for record in records:
        by_seed[record.seed].add(record.environment)
    if mixed := sorted(seed for seed, found in by_seed.items() if len(found) > 1):
        message = f"the variants of seed {mixed[0]} were trained with different versions of the packages"
        return [Guard(name="different packages", message=message)]
    if (count := len({record.environment for record in records})) > 1:
        message = f"the seeds were run with {count} versions of the packages, those of a seed with the same"
        return [Guard(name="different packages", message=message, fatal=False)]
    return []
