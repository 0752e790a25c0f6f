"""Language models, measured by the harness: which files of a run it takes, and how its own scorer is run on them.

Knows nothing of tokens; those are the business of `text/score_texts.py`, which runs in the sandbox.
"""

from __future__ import annotations

import json
from pathlib import Path

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Guard
from ml_intern.plan.plan import Experiment
from ml_intern.session.copies import copy_file

SCORER = Path(__file__).parent / "text" / "score_texts.py"
# All that is taken of a transformers folder: weights without code, configuration, tokenizer.
MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_OBJECTIVES = {"lm_loss": "causal", "perplexity": "causal", "bits_per_byte": "causal", "masked_lm_loss": "masked"}
_CODE_KEYS = ("auto_map", "custom_pipelines", "quantization_config")
_MAX_CONFIG_BYTES = 5_000_000


class ModelRefused(MlInternError):
    """The harness does not load this model; `guard` says why."""

    def __init__(self, name: str, message: str) -> None:
        self.guard = Guard(name=name, message=message[:1000])
        super().__init__(f"The language model is refused ({name}).", message)


def objectives(experiment: Experiment) -> tuple[str, ...]:
    """`masked`, `causal` or, in a plan that cannot be carried out, both; empty where no model is scored on texts."""
    wanted = {_OBJECTIVES[metric.name] for metric in experiment.all_metrics if metric.name in _OBJECTIVES}
    return tuple(sorted(wanted))


def take_model(out: Path, folder: Path) -> None:
    """Copies a run's transformers folder without anything that could hold code. Raises ModelRefused and OSError."""
    folder.mkdir(parents=True)
    for name in MODEL_FILES:
        source = out / name
        if source.is_file() and not source.is_symlink():
            copy_file(source, folder / name)
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).exists():
            _refuse_code(folder / name)
        elif name == "config.json":
            raise ModelRefused("no language model", "train.py wrote no config.json of transformers")


def arguments(experiment: Experiment, model: Path, inputs: Path, out: Path) -> tuple[str, ...]:
    """Command line of the scorer; where it refuses the model it writes `problem_of(out)` instead of `out`."""
    places = ("--model", str(model), "--inputs", str(inputs), "--out", str(out), "--problem", str(problem_of(out)))
    return (*places, "--column", experiment.data.label, "--objective", (*objectives(experiment), "causal")[0])


def problem_of(out: Path) -> Path:
    return out.with_name("problem.json")


def check_scored(out: Path) -> None:
    """Raises ModelRefused where the scorer refused the model."""
    path = problem_of(out)
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        raise ModelRefused(str(told["guard"]), str(told["message"]))


def _refuse_code(path: Path) -> None:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise ModelRefused("no language model", f"{path.name} is larger than {_MAX_CONFIG_BYTES} bytes")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelRefused("no language model", f"{path.name} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelRefused("no language model", f"{path.name} is no JSON object")
    if asked := [key for key in _CODE_KEYS if key in config]:
        raise ModelRefused("remote code", f"{path.name} asks for code that is not transformers' own: {asked[0]}")
