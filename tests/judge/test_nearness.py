"""Checkpoints that were copied and disguised with noise, and honest runs whose weights are near each other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ml_intern.judge.base_models import find_base_models, sketched, untrained
from ml_intern.judge.evidence import Evidence, Guard
from ml_intern.judge.nearness import curve_hash, nearly_the_same
from ml_intern.judge.sketch import TensorSketch, kept, sketch
from ml_intern.judge.weights import hash_of, tensor_digests
from ml_intern.plan.plan import StartingModel
from tests.judge.synthetic import run
from tests.judge.workshop import TRAIN, Workshop, changed

FIXED = {"data": {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "split": "fixed"}}
SAVED = '{"weights": weights}'
Weights = dict[str, Any]


def network(seed: int) -> Weights:
    """Two layers with norms, as a fresh training would leave them."""
    rng = np.random.default_rng(seed)
    return {
        "first.weight": rng.normal(size=(32, 8)).astype("f4"),
        "first.bias": np.zeros(32, "f4"),
        "norm.weight": np.ones(32, "f4"),
        "second.weight": rng.normal(size=(4, 32)).astype("f4"),
    }


def linear(seed: int) -> Weights:
    return {"weight": np.random.default_rng(seed).normal(size=(4, 8)), "bias": np.full(4, float(seed))}


def noisy(weights: Weights, size: float, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    return {name: (x * (1 + size * rng.normal(size=x.shape))).astype(x.dtype) for name, x in weights.items()}


@pytest.fixture
def of(tmp_path: Path) -> Any:
    """Makes the record of a run with these weights."""

    def made(weights: Weights, seed: int, variant: str = "method", curve: str = "", start: Any = ()) -> Evidence:
        path = tmp_path / "model.safetensors"
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in weights.items()}, path)
        digests = tensor_digests(path) or ()
        found = sketch(path, "plan", start) or ()
        return run(variant, seed, 0.5, tensors=hash_of(digests), sketch=kept(found), curve=curve)

    return made


def raised(*records: Evidence) -> dict[str, bool]:
    """Names of guards, and whether they are fatal."""
    return {guard.name: guard.fatal for guard in nearly_the_same(records)}


FATAL = {"seed nearly without effect": True}


def test_a_copied_checkpoint_with_a_little_noise_is_caught(tmp_path: Path) -> None:
    train = changed(TRAIN, "default_rng(args.seed)", "default_rng(0)")
    train = changed(train, SAVED, '{"weights": weights + 1e-12 * args.seed}')
    found = Workshop(tmp_path, {"train.py": train}, FIXED).confirmed()
    assert found.is_caught_by("seed nearly without effect")


def test_an_honest_training_that_ends_in_the_one_optimum_is_reproduced(tmp_path: Path) -> None:
    """Every seed finds it, on the same data: near weights, but other logs. It is said, and counts."""
    train = changed(TRAIN, "rows = generator.integers(0, len(x), 32)", "rows = slice(None)")
    train = changed(changed(train, "len(rows)", "len(x)"), "weights -= 0.5 *", "weights -= 0.02 * weights + 0.5 *")
    found = Workshop(tmp_path, {"train.py": train}, FIXED).confirmed(5)
    assert (found.guards, found.verdict.outcome) == ({"nearly the same weights"}, "reproduced")
    assert Workshop(tmp_path / "other", changes=FIXED).confirmed(5).guards == set()


@pytest.mark.parametrize("size", [1e-7, 1e-5, 3e-4])
def test_a_network_that_was_copied_with_noise_is_caught_whatever_its_log_says(of: Any, size: float) -> None:
    honest = [of(network(seed), seed, curve=str(seed)) for seed in (1, 3, 5)]
    assert raised(*honest) == {}
    copied = [of(noisy(network(1), size, seed), seed, curve=str(seed)) for seed in (1, 3, 5)]
    assert raised(*copied) == FATAL
    assert raised(*honest, of(noisy(network(1), size, 7), 7, "baseline")) == FATAL


def test_scaled_renamed_and_padded_copies_are_caught(of: Any) -> None:
    one = network(1)
    scaled = one | {"first.weight": one["first.weight"] * 2, "second.weight": one["second.weight"] / 2}
    renamed = {f"x{place}": tensor for place, tensor in enumerate(reversed(noisy(one, 1e-5, 0).values()))}
    padded = noisy(one, 1e-5, 0) | {"unused": np.random.default_rng(0).normal(size=(9, 9)).astype("f4")}
    flat = {name: tensor.reshape(1, -1) for name, tensor in noisy(one, 1e-5, 0).items()}
    for copy in (scaled, renamed, padded):
        assert raised(of(one, 1), of(noisy(copy, 1e-6, 0), 3)) == FATAL
    assert raised(of(one, 1, curve="a"), of(flat, 3, curve="a")) == FATAL


def test_more_noise_is_said_and_a_lot_of_it_is_not_seen(of: Any) -> None:
    one = of(network(1), 1)
    assert raised(one, of(noisy(network(1), 1e-2, 0), 3)) == {"nearly the same weights": False}
    assert raised(one, of(noisy(network(1), 0.1, 0), 3)) == {}


def test_without_hidden_units_only_the_same_log_makes_it_a_copy(of: Any) -> None:
    near = noisy(linear(1), 1e-6, 0)
    assert raised(of(linear(1), 1, curve="a"), of(near, 3, curve="b")) == {"nearly the same weights": False}
    assert raised(of(linear(1), 1, curve="a"), of(near, 3, curve="a")) == FATAL
    assert raised(of(linear(1), 1), of(near, 3)) == {"nearly the same weights": False}


def test_frozen_parts_say_nothing(of: Any) -> None:
    """A head on random features that are the same for every seed: its optimum is the same too."""
    body = {"body.weight": np.random.default_rng(0).normal(size=(8, 8)), "deep.weight": np.eye(8)}
    assert raised(of(body | linear(1), 1), of(body | linear(3), 3)) == {}
    near = raised(of(body | linear(1), 1, curve="a"), of(body | noisy(linear(1), 1e-6, 0), 3, curve="b"))
    assert near == {"nearly the same weights": False}


def test_two_variants_of_one_seed_may_be_near_each_other(of: Any) -> None:
    """A little weight decay changes little; that is told, and no sign of a copy."""
    records = [of(network(1), 1), of(noisy(network(1), 1e-5, 0), 1, "baseline")]
    assert raised(*records) == {"variant nearly without effect": False}


def test_fine_tuned_runs_are_near_only_by_what_training_has_moved(of: Any, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    save_file(network(0), base / "model.safetensors")
    models = find_base_models([StartingModel(id="a/base", revision="1", path=str(base))])
    start = sketched(models, "plan")
    tuned = [noisy(network(0), 1e-4, seed) for seed in (1, 3)]
    assert raised(*[of(weights, seed, start=start) for seed, weights in zip((1, 3), tuned, strict=True)]) == {}
    copies = [of(noisy(tuned[0], 3e-8, seed), seed, start=start) for seed in (1, 3)]
    assert raised(*copies) == FATAL

    def guards(weights: Weights) -> list[Guard]:
        save_file(weights, tmp_path / "run.safetensors")
        found = sketch(tmp_path / "run.safetensors", "plan", start) or ()
        digests = tensor_digests(tmp_path / "run.safetensors") or ()
        return untrained(hash_of(digests), digests, models, found)

    last_bits = {name: np.nextafter(tensor, np.float32(9)) for name, tensor in network(0).items()}
    assert [guard.name for guard in guards(last_bits)] == ["untrained weights"]
    assert guards(last_bits | {"head": np.ones((3, 3), "f4")}) == []
    assert guards(network(0) | {"head": np.ones((3, 3), "f4")}) == []
    assert guards(tuned[0]) == []

    def told(weights: Weights) -> list[tuple[str, bool]]:
        return [(guard.name, guard.fatal) for guard in guards(weights)]

    one_of_all = {name: tensor + np.float32(1e-5 * (name == "first.weight")) for name, tensor in network(0).items()}
    assert told(noisy(network(0), 1e-6, 1)) == told(one_of_all) == [("hardly trained", False)]
    assert told(network(0) | {"second.weight": network(0)["second.weight"] + np.float32(1e-2)}) == []
    assert told(one_of_all | {"head": np.ones((3, 3), "f4")}) == []


def test_of_a_large_model_what_training_has_changed_is_written_down(tmp_path: Path) -> None:
    frozen = {f"layer{place}": np.random.default_rng(place).normal(size=(9, 9)) for place in range(30)}
    save_file(frozen, tmp_path / "base.safetensors")
    save_file(frozen | {"adapter": np.ones((2, 9))}, tmp_path / "run.safetensors")
    found = sketch(tmp_path / "run.safetensors", "k", sketch(tmp_path / "base.safetensors", "k") or ()) or ()
    assert [one.shape for one in kept(found)] == [(2, 9)]
    assert len(kept(sketch(tmp_path / "run.safetensors", "k") or ())) == 16


def test_a_sketch_tells_distances_and_reads_only_blocks_of_what_is_large(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=(1200, 1000)).astype("f4")
    other = one + 0.1 * rng.normal(size=one.shape).astype("f4")
    found: list[TensorSketch] = []
    for tensor in (one, other, -3 * one):
        save_file({"x": tensor, "zeros": np.zeros(9), "whole": np.ones(9, "i8")}, tmp_path / "m.safetensors")
        (only,) = sketch(tmp_path / "m.safetensors", "k") or ()
        found.append(only)
    assert 0.05 < found[0].distance(found[1]) < 0.2
    assert 1.0 < found[0].distance(found[2]) < 3.0
    assert sketch(tmp_path / "none", "k") is None
    half = (rng.normal(size=64).astype("f4").view("u4") & 0xFFFF0000).view("f4")
    both = []
    for dtype, data in (("F32", half.tobytes()), ("BF16", (half.view("u4") >> 16).astype("u2").tobytes())):
        header = f'{{"x":{{"dtype":"{dtype}","shape":[64],"data_offsets":[0,{len(data)}]}}}}'.encode()
        (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
        both.append((sketch(tmp_path / "m.safetensors", "k") or ())[0].values)
    assert both[0] == both[1]


def test_a_log_tells_two_trainings_apart_only_where_it_says_enough() -> None:
    rows = [{"step": n, "time": 0.1 * n, "train_loss": 1.0 / n} for n in range(1, 9)]
    later = [row | {"time": row["time"] + 7} for row in rows]
    assert curve_hash(rows) == curve_hash(later) != ""
    assert curve_hash(rows) != curve_hash([*rows[:-1], {"train_loss": 0.1}])
    assert curve_hash(rows[:4]) == curve_hash([{"train_loss": 0.5}] * 9) == curve_hash([]) == ""
