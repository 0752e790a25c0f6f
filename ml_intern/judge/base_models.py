"""Models that training starts from: known by the hash of their tensors, so that one handed in as trained is seen.

Knows nothing of how they came onto this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_intern.errors import InputError
from ml_intern.judge.evidence import Guard
from ml_intern.judge.weights import hash_of, tensor_digests
from ml_intern.plan.plan import StartingModel


@dataclass(frozen=True)
class BaseModel:
    """`tensors` is the hash of all of its tensors, empty where the plan does not know it; `digests` are those of each
    tensor, where the files are at hand."""

    name: str
    tensors: str
    digests: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        """As it stands in the evidence: id, revision, hash."""
        return f"{self.name} tensors:{self.tensors}" if self.tensors else self.name


def find_base_models(models: Sequence[StartingModel]) -> tuple[BaseModel, ...]:
    """The plan's starting models, with hashes of those that lie in a local folder. Raises InputError where there are no
    weights, or other ones than the plan says."""
    return tuple(_find(model) for model in models)


def _find(model: StartingModel) -> BaseModel:
    name = f"{model.id}@{model.revision}"
    if not model.path:
        return BaseModel(name, model.tensors)
    path = Path(model.path).expanduser()
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    found = [tensor_digests(file.resolve()) for file in files]  # caches hold links
    digests = [digest for part in found if part is not None for digest in part]
    if not digests or None in found:
        raise InputError(f"The base model {model.id} has no weights in {path}.", "safetensors are wanted there")
    tensors = hash_of(digests)
    if model.tensors and model.tensors != tensors:
        why = f"its tensors have the hash {tensors[:16]}…, the plan says {model.tensors[:16]}…"
        raise InputError(f"The base model {model.id} in {path} is not the plan's.", why)
    return BaseModel(name, tensors, frozenset(digests))


def untrained(tensors: str, digests: Sequence[str], models: Sequence[BaseModel]) -> list[Guard]:
    """Weights that are a base model's although training was claimed: all of them, or a part of its tensors and no
    other. `tensors` and `digests` are the run's."""
    guards = []
    for model in models:
        if tensors and tensors == model.tensors:
            guards.append(Guard(name="untrained weights", message=f"the weights equal those of {model.name}"))
        elif digests and model.digests.issuperset(digests):
            message = f"every tensor of the weights is one of {model.name}"
            guards.append(Guard(name="untrained weights", message=message))
    return guards
