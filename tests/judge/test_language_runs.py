"""Experiments on language models end to end: no predict.py, scores that can be checked again, refused models."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml_intern.agent.plan_checks import check_metrics
from ml_intern.errors import MlInternError, PlanError
from ml_intern.judge.environment import environment_lock
from ml_intern.plan.plan import DataSpec
from ml_intern.publish.bundle import PublishInput, publish
from ml_intern.publish.verify import rescored, verify
from tests.judge.synthetic import criterion, experiment, plan_of
from tests.judge.texts import byte_level, gpt2, word_level
from tests.judge.workshop import Found, Workshop
from tests.support.compute import FORKED_WARM

DATA = """
import argparse
from pathlib import Path
import pyarrow as pa

parser = argparse.ArgumentParser()
parser.add_argument("--raw", type=Path)
parser.add_argument("--out", type=Path)
args = parser.parse_args()
words = ["the", "cat", "sat", "on", "mat", "dog", "ran", "far"]
texts = [" ".join([words[k % 8], words[k // 8], words[(3 * k + k // 8) % 8]]) for k in range(64)]
table = pa.table({"text": texts})
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
"""

# In place of training: the tiny model of a folder, blown up by the variant, with a little noise by the seed.
TRAIN = """
import argparse, json, shutil
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file, save_file

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--variant")
parser.add_argument("--seed", type=int)
parser.add_argument("--smoke", action="store_true")
args = parser.parse_args()
settings = json.loads((Path(__file__).parent / "settings.json").read_text())["variants"][args.variant]
shutil.copytree(settings["folder"], args.out, dirs_exist_ok=True)
generator = np.random.default_rng(args.seed)
weights = load_file(args.out / "model.safetensors")
noisy = {n: (w * settings["factor"] + generator.normal(0, 1e-3, w.shape)).astype(w.dtype) for n, w in weights.items()}
save_file(noisy, args.out / "model.safetensors", {"format": "pt"})
"""


def shop(folder: Path, zebra: Path, okapi: Path, metric: str = "lm_loss") -> Workshop:
    test = criterion(
        contrast={"zebra": 1.0, "okapi": -1.0}, metric={"name": metric}, higher_is_better=False, minimal_effect=0.01
    )
    changes: dict[str, Any] = {
        "data": {"name": "n", "revision": "r", "inputs": ["text"], "label": "text", "task": "language-model"},
        "tests": [test.model_dump()],
        "metrics": [{"name": name} for name in dict.fromkeys([metric, "perplexity", "bits_per_byte"])],
        "select": {"name": "lm_loss", "rows": "validation"},
        "select_higher_is_better": False,
        "variants": [
            {"name": "zebra", "settings": {"folder": str(zebra), "factor": 0.0}},
            {"name": "okapi", "settings": {"folder": str(okapi), "factor": 30.0}},
        ],
    }
    made = Workshop(folder, {"data.py": DATA, "train.py": TRAIN}, changes, sandbox=FORKED_WARM)
    (made.places.scripts / "predict.py").unlink()
    return made


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workshop, Found]:
    folder = tmp_path_factory.mktemp("texts")
    base = gpt2(folder / "base")
    made = shop(folder / "shop", base, base)
    return made, made.confirmed()


def test_a_claim_about_a_language_model_is_judged_without_a_predict_py(measured: tuple[Workshop, Found]) -> None:
    _, found = measured
    # Its runs start from one model that the plan does not declare, and hardly move it: that is said, and stops nothing.
    assert (found.outcomes, found.guards) == ({"ok"}, {"nearly the same weights"}), found.details
    assert (found.verdict.outcome, found.verdict.trust) == ("reproduced", "harness"), found.verdict.reason
    assert found.verdict.means["zebra"] == pytest.approx(5.549, abs=0.01), "the logarithm of 257"


def test_what_was_counted_stands_beside_each_number(measured: tuple[Workshop, Found]) -> None:
    made, found = measured
    for record in found.evidence:
        labels = record.labels["test"][0]
        assert record.metrics["lm_loss@test"].n == record.metrics["bits_per_byte@test"].n > 100, "one token a byte"
        assert (made.places.predictions / labels).exists()


def test_the_scores_follow_from_the_saved_likelihoods(measured: tuple[Workshop, Found], tmp_path: Path) -> None:
    made, found = measured
    (tmp_path / "predictions").symlink_to(made.places.predictions)
    assert list(rescored(tmp_path, made.plan, tuple(found.evidence))) == []
    record = found.evidence[0]
    wrong = record.metrics["perplexity@test"].model_copy(update={"value": 1.5})
    changed = record.model_copy(update={"metrics": {**record.metrics, "perplexity@test": wrong}})
    (problem,) = rescored(tmp_path, made.plan, (changed,))
    assert "perplexity@test: recorded 1.5" in problem


def test_variants_whose_tokenizers_cut_differently_are_not_compared_by_tokens(tmp_path: Path) -> None:
    bytewise, wordwise = gpt2(tmp_path / "bytes", byte_level()), gpt2(tmp_path / "words", word_level())
    found = shop(tmp_path / "shop", bytewise, wordwise).confirmed(1)
    assert found.is_caught_by("different n")
    assert "lm_loss@validation" in found.verdict.reason or "lm_loss@test" in found.verdict.reason


def test_the_smoke_run_says_why_a_tokenizer_is_refused(tmp_path: Path) -> None:
    base = gpt2(tmp_path / "base", word_level(words=["the", "cat"]))
    with pytest.raises(MlInternError, match="loses text") as error:
        shop(tmp_path / "shop", base, base).laboratory().smoke()
    assert "[UNK]" in str(error.value)


def test_a_refused_model_proves_nothing(tmp_path: Path) -> None:
    base, other = gpt2(tmp_path / "base"), gpt2(tmp_path / "other")
    config = other / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModelForCausalLM": "m.M"}}))
    found = shop(tmp_path / "shop", base, other).confirmed(1)
    assert found.is_caught_by("remote code")
    assert {record.variant for record in found.evidence if record.outcome == "invalid"} == {"okapi"}


def test_plans_that_cannot_be_measured_are_refused() -> None:
    masked = criterion(metric={"name": "masked_lm_loss"}, higher_is_better=False)
    data = {"name": "n", "revision": "r", "inputs": ["text"], "label": "text", "task": "language-model"}
    select = {"name": "lm_loss", "rows": "validation"}
    with pytest.raises(PlanError, match="causal and as masked"):
        check_metrics(plan_of(experiment(masked, data=data, select=select)))
    with pytest.raises(PlanError, match="harness lacks: lm_loss"):
        check_metrics(plan_of(experiment(select=select)))
    with pytest.raises(ValueError, match="which is input and label"):
        DataSpec.model_validate(data | {"label": "next"})
    with pytest.raises(ValueError, match=r"evaluate\.py could read"):
        experiment(masked, data=data, audited=[{"name": "x", "higher_is_better": True, "best": 1.0}])


def test_a_published_language_model_loads_as_one(measured: tuple[Workshop, Found], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made, found = measured
    given = PublishInput(
        plan=made.plan, evidence=tuple(found.evidence), ledger=made.ledger.path, verdicts=(found.verdict,),
        experiments={made.experiment.id: made.places.scripts}, runs=made.places.runs,
        predictions=made.places.predictions, environment_lock=environment_lock(), session="s", model="m",
    )  # fmt: skip
    folder = publish(given, tmp_path / "published")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert model.num_parameters() == found.evidence[0].parameters
    assert AutoTokenizer.from_pretrained(folder).decode(byte_level().encode("the cat")) == "the cat"
    assert [check.name for check in verify(folder) if not check.ok] == []
