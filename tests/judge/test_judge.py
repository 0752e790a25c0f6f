"""Metrics, statistics, splits, ledger and guards: the parts that make a number trustworthy."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file
from scipy import stats
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from ml_intern.errors import MlInternError
from ml_intern.judge import guards, statistics
from ml_intern.judge.evidence import Evidence, Measured
from ml_intern.judge.ledger import Ledger, read_ledger
from ml_intern.judge.metrics import PredictionError, chance_level, score
from ml_intern.judge.splits import check_split, draw_split
from ml_intern.judge.tables import DataError, read_table, write_table
from ml_intern.judge.weights import count_parameters, tensors_hash
from ml_intern.plan.plan import DataSpec
from tests.judge.workshop import Workshop


def evidence(**changes: object) -> Evidence:
    base: dict[str, object] = {
        "run_id": "r1", "experiment": "e", "variant": "a", "seed": 1, "phase": "confirm", "outcome": "ok",
        "metrics": {"accuracy@test": Measured(value=0.5, n=10)}, "exit_code": 0, "plan": "p", "scripts": {},
        "data": "d", "environment": "e", "hardware": "h", "sandbox": "s", "threads": 1, "wall_seconds": 1.0,
        "cpu_seconds": 1.0, "peak_memory_mb": 1.0,
    }  # fmt: skip
    return Evidence.model_validate({**base, **changes})


def test_metrics_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], 200)
    labels = generator.integers(0, 3, 200)
    rows = probabilities.tolist(), labels.tolist()
    assert score("log_loss", *rows) == pytest.approx(log_loss(labels, probabilities))
    assert score("auc", *rows) == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert score("f1", *rows) == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"))


def test_ece_of_a_hand_made_case() -> None:
    # Two bins: confidence 0.95 with accuracy 0.5, confidence 0.55 with accuracy 1.
    probabilities = [[0.95, 0.05], [0.95, 0.05], [0.45, 0.55], [0.45, 0.55]]
    assert score("ece:10", probabilities, [0, 1, 1, 1]) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert score("overconfidence:10", probabilities, [0, 1, 1, 1]) == pytest.approx(0.5 * 0.95 * 0.45)


def test_the_chance_level_of_a_regression_to_vectors_is_that_of_their_mean() -> None:
    labels = [[0.0, 1.0], [2.0, 5.0]]
    assert chance_level("mse", labels) == pytest.approx((1 + 4) / 2)
    assert chance_level("mse", [0.0, 2.0]) == 1.0


@pytest.mark.parametrize(("text", "caught"), [("The  CAT sat", True), ("the cat sits", False)])
def test_sealed_texts_that_differ_from_training_in_case_and_spaces_only_are_a_leak(text: str, caught: bool) -> None:
    texts = [*(f"row {k}" for k in range(8)), "the cat sat", text]
    table = pa.table({"text": texts, "split": ["train"] * 4 + ["validation"] * 4 + ["train", "test"]})
    for task, extra in (("language-model", {"label": "text"}), ("sequence", {"label": "split"})):
        data = DataSpec(name="n", revision="r", inputs=("text",), split="given", task=task, **extra)  # type: ignore[arg-type]
        found = [g for g in check_split(table, data, draw_split(table, data, 0)) if g.name == "leak: near duplicates"]
        assert [guard.fatal for guard in found] == [True] * caught


@pytest.mark.parametrize(
    "predictions", [[[0.5, 0.5]], [[0.5, 0.6], [0.5, 0.5]], [[float("nan"), 1], [0.5, 0.5]], ["a", "b"], [1, 0]]
)
def test_predictions_of_the_wrong_kind_are_refused(predictions: list[object]) -> None:
    with pytest.raises(PredictionError):
        score("accuracy", predictions, [0, 1])


def test_the_t_interval_is_scipys_and_covers_at_its_level() -> None:
    generator = np.random.default_rng(1)
    low, high = statistics.t_interval([1.0, 2.0, 4.0], 0.95)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, np.mean([1, 2, 4]), stats.sem([1, 2, 4])))
    hits = 0
    for _ in range(1500):
        low, high = statistics.t_interval(generator.normal(0.3, 1, 5).tolist(), 0.95)
        hits += low <= 0.3 <= high
    assert 0.93 < hits / 1500 < 0.97


def test_power_is_that_of_the_design_document() -> None:
    assert [round(statistics.power(n, 1.0), 2) for n in (5, 10, 15)] == pytest.approx([0.38, 0.79, 0.95], abs=0.03)


def test_the_sign_flip_test_is_exact() -> None:
    assert statistics.sign_flip_p_value([1.0] * 8) == 2 / 2**8
    assert statistics.sign_flip_p_value([1.0, -1.0]) == 1.0


def test_holm_adjusts_in_steps() -> None:
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def digits_like(rows: int = 300) -> pa.Table:
    generator = np.random.default_rng(0)
    return pa.table({"x": generator.normal(size=(rows, 8)).tolist(), "y": generator.integers(0, 3, rows).tolist()})


DATA = DataSpec(name="n", revision="r", inputs=("x",), label="y")


def test_a_drawn_split_is_disjoint_stratified_and_the_seeds_own() -> None:
    table = digits_like()
    split, again, other = draw_split(table, DATA, 1), draw_split(table, DATA, 1), draw_split(table, DATA, 2)
    assert split == again != other
    assert sorted(split.train + split.validation + split.test) == list(range(300))
    labels = np.array(table.column("y").to_pylist())
    for k in range(3):
        assert np.mean(labels[list(split.test)] == k) == pytest.approx(np.mean(labels == k), abs=0.02)
    assert check_split(table, DATA, split) == []


def test_equal_rows_stay_in_one_part() -> None:
    table = pa.concat_tables([digits_like(), digits_like()])
    split = draw_split(table, DATA, 3)
    assert not [guard for guard in check_split(table, DATA, split) if guard.name == "leak: shared rows"]


def test_a_given_split_that_shares_rows_is_caught_with_the_rows_named() -> None:
    table = digits_like(40)
    parts = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    table = table.append_column("split", pa.array(parts))
    leaking = pa.concat_tables([table, table.slice(0, 1).set_column(2, "split", pa.array(["test"]))])
    given = DATA.model_copy(update={"split": "given"})
    (guard,) = [g for g in check_split(leaking, given, draw_split(leaking, given, 0)) if "shared" in g.name]
    assert "row 40 (test) equals row 0 (train)" in guard.message
    assert check_split(table, given, draw_split(table, given, 0)) == []


def test_an_input_that_encodes_the_label_is_caught() -> None:
    table = digits_like()
    codes = [f"class-{label}" for label in table.column("y").to_pylist()]
    leaking = table.append_column("hint", pa.array(codes))
    data = DATA.model_copy(update={"inputs": ("x", "hint")})
    names = [guard.name for guard in check_split(leaking, data, draw_split(leaking, data, 0))]
    assert "leak: label in inputs" in names


def test_a_missing_column_is_said_to_whoever_wrote_the_data() -> None:
    with pytest.raises(DataError, match="no column 'y'"):
        draw_split(pa.table({"x": [1]}), DATA, 0)


def test_tables_are_read_by_datasets_too(tmp_path: Path) -> None:
    import datasets

    table = digits_like(5)
    write_table(table, tmp_path / "train")
    assert datasets.load_from_disk(str(tmp_path / "train")).to_list() == table.to_pylist()
    assert read_table(tmp_path / "train").equals(table)


def test_the_ledgers_chain_breaks_where_a_line_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    ledger = Ledger(path)
    for seed in range(3):
        ledger.append(evidence(seed=seed))
    assert [record.seed for record in read_ledger(path)] == [0, 1, 2]
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("0.5", "0.9")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(MlInternError, match="line 2"):
        read_ledger(path)


def test_same_weights_under_two_variants_or_seeds_are_caught_and_honest_ones_pass() -> None:
    cheat = [evidence(weights="w", variant="a"), evidence(weights="w", variant="b")]
    assert [guard.name for guard in guards.weights_without_effect(cheat)] == ["variant without effect"]
    lazy = [evidence(weights="w", seed=1), evidence(weights="w", seed=2)]
    assert [guard.name for guard in guards.weights_without_effect(lazy)] == ["seed without effect"]
    honest = [evidence(weights=f"{v}{s}", variant=v, seed=s) for v in "ab" for s in (1, 2)]
    assert guards.weights_without_effect(honest) == []


def test_different_numbers_of_rows_are_caught() -> None:
    fewer = {"accuracy@test": Measured(value=0.9, n=8)}
    assert guards.different_n([evidence(variant="a"), evidence(variant="b", metrics=fewer)])
    assert not guards.different_n([evidence(variant="a"), evidence(variant="b")])


def test_changed_scripts_are_caught(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    frozen = guards.script_hashes(tmp_path)
    assert guards.scripts_changed(frozen, tmp_path) == []
    (tmp_path / "train.py").write_text("2")
    assert "train.py" in guards.scripts_changed(frozen, tmp_path)[0].message


def test_a_log_that_claims_more_than_the_clock_allows_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 10_000_000, "total": 10_000_000}) + "\n")
    assert guards.too_fast(guards.training_log(path), wall_seconds=2.0)
    path.write_text(json.dumps({"step": 1000, "total": 1000}) + "\n")
    assert not guards.too_fast(guards.training_log(path), wall_seconds=2.0)


def test_half_a_character_in_a_predicted_string_is_refused() -> None:
    with pytest.raises(PredictionError, match="Unicode"):
        score("exact_match", ["a\ud800"], ["a"])
    assert score("exact_match", ["🙂"], ["🙂"]) == 1.0


def test_a_log_that_nests_too_deep_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("[" * 100_000 + "\n" + json.dumps({"step": 3}) + "\n")
    assert guards.read_metrics(path) == [{"step": 3}]


@pytest.mark.parametrize("header", [b"[]", b"{}}", b"[" * 100_000, b'{"w": []}', b'{"w": {"shape": [1e999]}}'])
def test_a_malformed_weights_file_has_neither_parameters_nor_tensors(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert count_parameters(path) is None
    assert tensors_hash(path) is None


def test_tensors_are_the_same_whatever_their_names_order_and_metadata(tmp_path: Path) -> None:
    a, b = np.arange(6.0), np.ones((2, 3), dtype=np.float32)
    files = {
        "one": ({"a": a, "b": b}, None),
        "same": ({"z": a, "c": b}, {"seed": "2"}),
        "other": ({"a": a, "b": b * 2}, None),
        "shape": ({"a": a, "b": b.reshape(3, 2)}, None),
    }
    hashes = {}
    for name, (tensors, metadata) in files.items():
        save_file(tensors, tmp_path / name, metadata)
        hashes[name] = tensors_hash(tmp_path / name)
    assert hashes["one"] == hashes["same"] is not None
    assert len(set(hashes.values())) == 3


def test_a_trainings_log_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have 200 million characters."""
    read: list[Path] = []
    whole = guards.training_log

    def counted(path: Path) -> guards.TrainingLog:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(guards, "training_log", counted)
    assert Workshop(tmp_path).confirmed(1).outcomes == {"ok"}
    assert len(read) == len(set(read)) == 2
