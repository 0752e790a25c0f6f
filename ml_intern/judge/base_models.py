"""Models that training starts from: known by the hash of their tensors, so that one handed in as trained is seen.

Knows nothing of how they came onto this machine.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ml_intern.errors import InputError
from ml_intern.judge.evidence import Guard
from ml_intern.judge.sketch import TensorSketch, sketch
from ml_intern.judge.weights import hash_of, tensor_digests
from ml_intern.plan.plan import Experiment, StartingModel
from ml_intern.run.resources.broker import Provided

_OF_A_MODEL = (
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "preprocessor_config.json",
    "processor_config.json", "adapter_config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.*", "vocab.json", "vocab.txt", "vocab.bpe", "merges.txt", "bpe.codes", "dict.txt", "normalizer.json",
    "tekken.json", "tokenizer.model", "spiece.model", "spm.model", "sentencepiece*.model", "*.spm", "modules.json",
    "sentence_bert_config.json", "config_sentence_transformers.json",
)  # fmt: skip
_PARTS = "[0-9]*_*/config.json"  # of a pipeline that modules.json names; parts with weights are not looked into
_ROUNDING = 1e-7  # less than the last bit of a float32, relative to a whole tensor
_HARDLY, _ONE_TENSOR = 5e-5, 1e-3  # relative to the whole model, and to any tensor of it: as a little noise moves them


@dataclass(frozen=True)
class BaseModel:
    """`tensors` is the hash of all of its tensors, empty where the plan does not know it; `digests` are those of each
    tensor, where the files (`files`) are at hand."""

    name: str
    tensors: str
    digests: frozenset[str] = frozenset()
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """As it stands in the evidence: id, revision, hash."""
        return f"{self.name} tensors:{self.tensors}" if self.tensors else self.name


def with_fetched(experiment: Experiment, provided: Provided) -> list[StartingModel]:
    """The plan's starting models; those that were fetched as a resource lie where they were put."""
    fetched = {resource.id: resource.name for resource in experiment.resources if resource.kind == "model"}
    return [
        model.model_copy(update={"path": str((provided.models / fetched[model.id]).resolve())})
        if provided.models is not None and not model.path and model.id in fetched
        else model
        for model in experiment.base_models
    ]


def all_at_hand(experiment: Experiment, models: Sequence[BaseModel]) -> bool:
    """Whether every model that training may start from can be looked at."""
    declared = {model.id for model in experiment.base_models}
    fetched = {resource.id for resource in experiment.resources if resource.kind == "model"}
    return fetched <= declared and all(model.files for model in models)


def own_files(experiment: Experiment) -> list[Path]:
    """Files of this machine that training starts from. Whatever else lies beside them is no script's business: of a
    folder only what belongs to a model is among them, by its name, and nothing hidden."""
    files = [path for model in experiment.base_models if (path := _own(model)) and path.is_file()]
    return [*files, *(shown for folder in own_folders(experiment) for shown in _shown(folder))]


def own_folders(experiment: Experiment) -> list[Path]:
    """Folders of this machine that training starts from: libraries list them."""
    return [path for model in experiment.base_models if (path := _own(model)) and path.is_dir()]


def withheld(model: StartingModel) -> list[str]:
    """What lies in the model's own folder, not hidden, and no script sees; a folder ends with a slash."""
    folder = _own(model)
    if folder is None or not os.access(folder, os.R_OK) or not folder.is_dir():
        return []
    shown = set(_shown(folder))
    parts = {path.parent for path in shown} - {folder}
    found = [path for place in (folder, *sorted(parts)) for path in sorted(place.glob("[!.]*"))]
    left = [path for path in found if path not in shown | parts]
    return [f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}" for path in left]


def _own(model: StartingModel) -> Path | None:
    return Path(model.path).expanduser().absolute() if model.path else None


def _shown(folder: Path) -> list[Path]:
    named = [path for path in sorted(folder.iterdir()) if _is_of_a_model(path.name)]
    return [path for path in (*named, *sorted(folder.glob(_PARTS))) if path.is_file()]


def _is_of_a_model(name: str) -> bool:
    return not name.startswith(".") and any(fnmatchcase(name, pattern) for pattern in _OF_A_MODEL)


def find_base_models(models: Sequence[StartingModel]) -> tuple[BaseModel, ...]:
    """The plan's starting models, with hashes of those that lie in a local folder. Raises InputError where there are no
    weights, or other ones than the plan says."""
    return tuple(_find(model) for model in models)


def _find(model: StartingModel) -> BaseModel:
    name = f"{model.id}@{model.revision}"
    if not model.path:
        return BaseModel(name, model.tensors)
    path = Path(model.path).expanduser()
    files = [path] if path.is_file() else sorted(path.glob("[!.]*.safetensors"))
    files = [file.resolve() for file in files]  # caches hold links
    found = [tensor_digests(file) for file in files]
    digests = [digest for part in found if part is not None for digest in part]
    if not digests or None in found:
        raise InputError(f"The base model {model.id} has no weights in {path}.", "safetensors are wanted there")
    tensors = hash_of(digests)
    if model.tensors and model.tensors != tensors:
        why = f"its tensors have the hash {tensors[:16]}…, the plan says {model.tensors[:16]}…"
        raise InputError(f"The base model {model.id} in {path} is not the plan's.", why)
    return BaseModel(name, tensors, frozenset(digests), tuple(files))


def sketched(models: Sequence[BaseModel], key: str) -> tuple[TensorSketch, ...]:
    """Sketches of all their tensors, to hold against those of a run."""
    return tuple(one for model in models for file in model.files for one in sketch(file, key) or ())


def untrained(
    tensors: str, digests: Sequence[str], models: Sequence[BaseModel], sketches: Sequence[TensorSketch] = ()
) -> list[Guard]:
    """Weights that are a base model's although training was claimed: all of them, a part of its tensors and no other,
    or its tensors but for rounding; and, as a word, those that are hardly further away than that. `tensors`, `digests`
    and `sketches` are the run's."""
    guards = []
    for model in models:
        if tensors and tensors == model.tensors:
            guards.append(Guard(name="untrained weights", message=f"the weights equal those of {model.name}"))
        elif digests and model.digests.issuperset(digests):
            message = f"every tensor of the weights is one of {model.name}"
            guards.append(Guard(name="untrained weights", message=message))
    if guards or not (changed := _moved(digests, models, sketches)):
        return guards
    names = ", ".join(model.name for model in models)
    furthest = max(distance for distance, _ in changed)
    whole = math.sqrt(sum(size * distance**2 for distance, size in changed) / sum(map(_size, digests)))
    if furthest < _ROUNDING:
        message = f"the weights are those of {names} but for rounding"
        guards.append(Guard(name="untrained weights", message=message))
    elif whole < _HARDLY and furthest < _ONE_TENSOR:
        message = (
            f"the weights are only {whole:.1g} of their size away from those of {names}: a little noise moves as far"
        )
        guards.append(Guard(name="hardly trained", message=message, fatal=False))
    return guards


def _moved(
    digests: Sequence[str], models: Sequence[BaseModel], sketches: Sequence[TensorSketch]
) -> list[tuple[float, int]]:
    """How far each tensor that is none of a starting model's has moved from one of them, and its size; empty where one
    is like none of them."""
    moved = {one.digest: one.moved for one in sketches}
    known = frozenset[str]().union(*(model.digests for model in models))
    found: list[tuple[float, int]] = []
    for digest in digests:
        if digest not in known:
            distance = moved.get(digest.rsplit(" ", 1)[1][:12])
            if distance is None:
                return []
            found.append((distance, _size(digest)))
    return found


def _size(digest: str) -> int:
    """Numbers in the tensor of one of `judge.weights.tensor_digests`: type, shape, hash."""
    return math.prod(json.loads(digest[digest.index("[") : digest.index("]") + 1]))
