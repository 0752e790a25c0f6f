"""The code on the card, run in the published folder as whoever downloads it would."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from ml_intern.judge.environment import environment_lock
from ml_intern.judge.tables import write_table
from ml_intern.plan.plan import Experiment
from ml_intern.publish.beside import copy_beside
from ml_intern.publish.bundle import PublishInput, publish
from ml_intern.publish.facts import RunInfo
from ml_intern.publish.loading import builds_the_model, loading_code
from ml_intern.publish.verify import verify
from ml_intern.recipes.book import load_book
from tests.judge.workshop import PREDICT, TRAIN, Workshop, at_the_end, changed
from tests.recipes.bench import as_a_person_gets_it, laboratory

BOOK = {recipe.id: recipe for recipe in load_book()}
SMALL_STEPS = Path(__file__).parents[2] / "ml_intern" / "recipes" / "small_steps"
TABLE = """
import numpy as np

def load():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 6))
    return {"x": x, "y": (x.sum(1) > 0).astype(int)}
"""
MODEL = """
import numpy as np

def fit(train, config, seed, log):
    generator = np.random.default_rng(seed)
    x, y = train["x"][:, : config["features"]], train["y"]
    weights = generator.normal(0, 0.1, x.shape[1])
    for step in range(1, 101):
        rows = generator.integers(0, len(x), 32)
        error = 1 / (1 + np.exp(-x[rows] @ weights)) - y[rows]
        weights = weights - 0.5 * x[rows].T @ error / 32
        log(step, 100, float(abs(error).mean()))
    return {"weights": weights}

def predict(model, inputs, config):
    p = 1 / (1 + np.exp(-inputs["x"][:, : config["features"]] @ model["weights"]))
    return np.stack([1 - p, p], 1)
"""


def published(shop: Workshop, folder: Path) -> Path:
    found = shop.confirmed(3)
    assert found.outcomes == {"ok"}, found.details
    given = PublishInput(
        plan=shop.plan, evidence=tuple(found.evidence), ledger=shop.ledger.path, verdicts=(found.verdict,),
        experiments={shop.experiment.id: shop.places.scripts}, runs=shop.places.runs,
        predictions=shop.places.predictions, environment_lock=environment_lock(), session="s", model="m",
    )  # fmt: skip
    folder = publish(given, folder)
    shutil.rmtree(shop.places.runs)
    return folder


def predicts_by_the_cards_command(folder: Path, scratch: Path) -> int:
    """Runs the command of the card on two rows; how many predictions came."""
    code = re.search(r"```sh\n(#.*\n)(python .*)\n```", (folder / "README.md").read_text())
    assert code and code[1].endswith("the columns x\n") and "build_model" not in (folder / "README.md").read_text()
    write_table(pa.table({"x": [[1.0] * 6, [-1.0] * 6]}), scratch / "inputs")
    command = code[2].replace("INPUTS", str(scratch / "inputs")).replace("predictions.jsonl", str(scratch / "p.jsonl"))
    command = command.replace("python", sys.executable, 1)
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return len((scratch / "p.jsonl").read_text().splitlines())


def test_scripts_in_small_steps_predict_by_the_cards_command(tmp_path: Path) -> None:
    scripts = {name: (SMALL_STEPS / name).read_text() for name in ("data.py", "train.py", "predict.py")}
    shop = Workshop(tmp_path / "shop", scripts | {"table.py": TABLE, "model.py": MODEL})
    folder = published(shop, tmp_path / "published")
    assert predicts_by_the_cards_command(folder, tmp_path) == 2


def test_what_training_left_beside_the_weights_is_published_with_them(tmp_path: Path) -> None:
    left = """
(args.out / "scaler").mkdir()
(args.out / "scaler" / "means.json").write_text("[0, 0, 0, 0, 0, 0]")
(args.out / "vocabulary.txt").write_text("yes no")
(args.out / "README.md").write_text("a card of its own")
(args.out / "checkpoint").mkdir()
(args.out / "checkpoint" / "state.bin").write_text("long")
(args.out / "link.txt").symlink_to("/etc/hostname")
(args.out / "json.py").write_text("raise SystemExit('code from beside the weights')")
"""
    reads = 'means = json.loads((args.model / "scaler" / "means.json").read_text())'
    predict = changed(PREDICT, "(weights,) = ", f"{reads}\n(args.model / 'vocabulary.txt').read_text()\n(weights,) = ")
    shop = Workshop(tmp_path / "shop", {"train.py": at_the_end(TRAIN, left), "predict.py": predict})
    folder = published(shop, tmp_path / "published")
    assert (folder / "scaler" / "means.json").is_file() and (folder / "vocabulary.txt").is_file()
    assert "a card of its own" not in (folder / "README.md").read_text()
    assert not [name for name in ("checkpoint", "link.txt", "json.py", "metrics.jsonl") if (folder / name).exists()]
    assert predicts_by_the_cards_command(folder, tmp_path) == 2
    assert [check.problem for check in verify(folder) if not check.ok] == []
    (folder / "vocabulary.txt").write_text("no yes")
    assert "vocabulary.txt was changed" in " ".join(check.problem for check in verify(folder))


def test_what_is_too_large_to_be_published_stays_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name, size in (("large.bin", 900), ("small.txt", 10), ("middle.txt", 80)):
        (tmp_path / "out" / name).write_bytes(b"x" * size)
    assert copy_beside(tmp_path / "out", tmp_path / "folder", most_bytes=100) == ("large.bin",)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["middle.txt", "small.txt"]


@pytest.mark.parametrize("recipe_id", ["batch-norm", "transformer-ablations", "periodic-extrapolation"])
def test_the_cards_code_loads_what_a_recipe_has_trained(recipe_id: str, tmp_path: Path) -> None:
    recipe = BOOK[recipe_id]
    lab = laboratory(recipe, tmp_path, as_a_person_gets_it())
    assert "ok in" in lab.smoke()
    (out,) = tmp_path.glob("runs/*/out")
    (tmp_path / "folder" / "experiments").mkdir(parents=True)
    shutil.copytree(lab.places.scripts, tmp_path / "folder" / "experiments" / recipe_id)
    shutil.copyfile(out / "model.safetensors", tmp_path / "folder" / "model.safetensors")
    copy_beside(out, tmp_path / "folder")
    language, code = loading_code(lab.experiment, builds_the_model(lab.places.scripts))
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "folder", capture_output=True, text=True)
    assert (language, done.returncode) == ("python", 0), done.stderr
    assert re.fullmatch(r"\d+ parameters\n", done.stdout)


@pytest.mark.parametrize("recipe_id", BOOK)
def test_every_recipe_has_a_model_that_the_card_can_build(recipe_id: str, tmp_path: Path) -> None:
    recipe = BOOK[recipe_id]
    for name in recipe.files:
        (tmp_path / name).write_text(recipe.script(name))
    assert builds_the_model(tmp_path)


BUILDS = "def build_model(config):\n    return config\n"
USES = "from train import build_model\nmodel = build_model(config)\nmodel.load_state_dict(weights)\n"


@pytest.mark.parametrize(
    ("train", "predict"),
    [
        ("model = 1\n", USES),
        (BUILDS, "model = 1\n"),
        (BUILDS, USES.replace("(config)", "(config, 10)")),
        (BUILDS, USES.replace("(config)", "(config['model'])")),
        (BUILDS, USES.replace("(config)", "(**config)")),
        (BUILDS, USES.replace("(weights)", "(weights, strict=False)")),
        ("class A:\n    def build_model(config):\n        pass\n", USES),
        (BUILDS, "no python at all"),
    ],
)
def test_where_predict_gets_its_model_in_another_way_the_card_shows_its_command(
    train: str, predict: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(BUILDS)
    (tmp_path / "predict.py").write_text(USES)
    assert builds_the_model(tmp_path)
    (tmp_path / "train.py").write_text(train)
    (tmp_path / "predict.py").write_text(predict)
    assert not builds_the_model(tmp_path)
    data = {"name": "n", "revision": "r", "inputs": ["x"], "label": "y"}
    one = Experiment.model_validate({**BOOK["mixup"].at("smoke"), "data": data, "tests": _a_test()})
    assert "predict.py --model ." in loading_code(one, builds_the_model(tmp_path))[1]


def test_a_columns_name_cannot_put_a_command_into_the_card() -> None:
    data = {"name": "n", "revision": "r", "inputs": ["x\nrm -r ~\u2028```"], "label": "y"}
    one = Experiment.model_validate({**BOOK["mixup"].at("smoke"), "data": data, "tests": _a_test()})
    comment, command = loading_code(one, False)[1].splitlines()
    assert comment.startswith("#") and command.startswith("python ") and "`" not in comment
    assert "rm -r" not in command


def _a_test() -> list[dict[str, object]]:
    return [{**BOOK["mixup"].claims[0].tests[0], "claim": "C1"}]


def test_a_folder_of_an_older_version_says_nothing_of_it_and_still_opens() -> None:
    assert RunInfo.model_validate_json(json.dumps({"session": "s", "model": "m"})).builds_model
