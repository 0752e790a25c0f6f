"""How a reader of the card gets the published model to work: which code the card shows. Runs nothing of it."""

from __future__ import annotations

import ast
from pathlib import Path

from ml_intern.plan.plan import Experiment
from ml_intern.publish.escape import code

_LANGUAGE_MODEL = """\
from transformers import AutoTokenizer, {kind}

tokenizer = AutoTokenizer.from_pretrained(".")
model = {kind}.from_pretrained(".").eval()
print(model.num_parameters(), "parameters")
"""
_BUILT = """\
import json, sys
sys.path.insert(0, "experiments/{experiment}")
sys.dont_write_bytecode = True  # `ml-intern verify` names every file that was not published
from safetensors.torch import load_file
from train import build_model

model = build_model(json.load(open("config.json")))
model.load_state_dict(load_file("model.safetensors"))
model.eval()
print(sum(p.numel() for p in model.parameters()), "parameters")
"""
_PREDICTED = """\
# INPUTS: a folder with data-00000-of-00001.arrow, an Arrow IPC stream with the columns {columns}
python -B experiments/{experiment}/predict.py --model . --inputs INPUTS --out predictions.jsonl
"""


def loading_code(experiment: Experiment, builds: bool) -> tuple[str, str]:
    """(language, code) that works in the published folder; `builds`: what `builds_the_model` has found."""
    if experiment.data.task == "language-model":
        masked = any(metric.name == "masked_lm_loss" for metric in experiment.all_metrics)
        return "python", _LANGUAGE_MODEL.format(kind="AutoModelForMaskedLM" if masked else "AutoModelForCausalLM")
    if builds:
        return "python", _BUILT.format(experiment=experiment.id)
    columns = code(", ".join(experiment.data.inputs))  # a column's name could end the comment, and the block
    return "sh", _PREDICTED.format(experiment=experiment.id, columns=columns)


def builds_the_model(scripts: Path) -> bool:
    """Whether train.py's `build_model(config)` makes the network that the weights fit, as far as syntax tells:
    predict.py, which has worked, gets it from there with one argument, and loads no weights that fit in part only."""
    train, predict = _tree(scripts / "train.py"), _tree(scripts / "predict.py")
    if train is None or predict is None:
        return False
    defined = [node for node in train.body if isinstance(node, ast.FunctionDef) and node.name == "build_model"]
    imported = any(
        isinstance(node, ast.ImportFrom) and node.module == "train"
        and any((alias.name, alias.asname) == ("build_model", None) for alias in node.names)
        for node in ast.walk(predict)
    )  # fmt: skip
    calls = [node for node in ast.walk(predict) if isinstance(node, ast.Call)]
    built = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "build_model"]
    plain = [call for call in built if len(call.args) == 1 and not call.keywords and not _is_part(call.args[0])]
    strict = not any(keyword.arg == "strict" for call in calls for keyword in call.keywords)
    return len(defined) == 1 and imported and bool(built) and plain == built and strict


def _is_part(argument: ast.expr) -> bool:
    """`build_model(config["model"])`: not all of config.json."""
    return isinstance(argument, ast.Subscript | ast.Starred)


def _tree(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
