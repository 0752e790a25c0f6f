"""Models that training starts from, and weights that are handed in as trained although they are theirs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ml_intern.errors import InputError
from ml_intern.judge.base_models import find_base_models, own_files, untrained, withheld
from ml_intern.judge.weights import hash_of, tensor_digests, tensors_hash
from ml_intern.plan.plan import StartingModel
from tests.judge.synthetic import experiment
from tests.judge.workshop import TRAIN, Workshop, at_the_end, changed
from tests.support.compute import every_kind, require

SAVE = 'save_file({"weights": weights}, args.out / "model.safetensors")'


def tensors(seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {"embedding": generator.normal(size=(4, 2)), "head": generator.normal(size=3)}


def starting(**changes: Any) -> StartingModel:
    return StartingModel.model_validate({"id": "a/base", "revision": "1", **changes})


def test_a_folder_of_shards_has_the_hash_of_the_whole_model(tmp_path: Path) -> None:
    whole = tensors(0)
    save_file(whole, tmp_path / "whole.safetensors")
    shards = tmp_path / "shards"
    shards.mkdir()
    for name, tensor in whole.items():
        save_file({f"other.{name}": tensor}, shards / f"{name}.safetensors", {"format": "pt"})
    (found,) = find_base_models([starting(path=str(shards))])
    assert found.tensors == tensors_hash(tmp_path / "whole.safetensors")
    assert found.shown == f"a/base@1 tensors:{found.tensors}"


def test_a_plan_whose_base_model_is_not_there_or_another_one_is_refused(tmp_path: Path) -> None:
    save_file(tensors(0), tmp_path / "model.safetensors")
    right = tensors_hash(tmp_path / "model.safetensors")
    assert find_base_models([starting(path=str(tmp_path), tensors=right)])[0].tensors == right
    with pytest.raises(InputError, match=r"is not the plan's"):
        find_base_models([starting(path=str(tmp_path), tensors="0" * 64)])
    with pytest.raises(InputError, match="no weights"):
        find_base_models([starting(path=str(tmp_path / "missing"))])
    (tmp_path / "broken.safetensors").write_text("pickle")
    with pytest.raises(InputError, match="no weights"):
        find_base_models([starting(path=str(tmp_path))])
    with pytest.raises(ValueError, match="pattern"):
        starting(tensors="main")


def test_a_part_of_the_base_models_tensors_is_no_training_either(tmp_path: Path) -> None:
    whole = tensors(0)
    save_file(whole, tmp_path / "model.safetensors")
    models = find_base_models([starting(path=str(tmp_path))])

    def guards(**given: Any) -> list[str]:
        save_file(given, tmp_path / "run.safetensors")
        digests = tensor_digests(tmp_path / "run.safetensors")
        assert digests is not None
        return [guard.message for guard in untrained(hash_of(digests), digests, models)]

    assert guards(**whole) == ["the weights equal those of a/base@1"]
    assert guards(body=whole["embedding"]) == ["every tensor of the weights is one of a/base@1"]
    assert guards(**(whole | {"head": whole["head"] + 1e-3})) == []
    assert untrained("", (), models) == []


def test_a_base_model_in_a_folder_that_is_handed_in_as_trained_is_caught(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    save_file({"weights": np.ones(6)}, base / "model.safetensors")
    models = {"base_models": [{"id": "a/base", "revision": "1", "path": str(base)}]}
    copy = changed(TRAIN, SAVE, f'shutil.copy(r"{base}/model.safetensors", args.out)')
    assert Workshop(tmp_path / "copy", {"train.py": copy}, models).confirmed(1).is_caught_by("untrained weights")
    honest = Workshop(tmp_path / "honest", changes=models).confirmed(1)
    assert honest.guards == set()
    (recorded,) = {record.base_models for record in honest.evidence}
    assert recorded == (f"a/base@1 tensors:{hash_of(tensor_digests(base / 'model.safetensors') or ())}",)
    assert load_file(base / "model.safetensors")["weights"].sum() == 6


def test_of_a_persons_folder_scripts_see_what_belongs_to_a_model_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (tmp_path / "blob").write_text("{}")
    (home / "config.json").symlink_to(tmp_path / "blob")  # as a cache of models has it
    save_file(tensors(0), home / "model.safetensors")
    others = (".netrc", ".hidden.safetensors", "hf_token", "notes.txt", "credentials.json", "train.py", ".ssh/id_rsa")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", *others):
        (home / name).write_text("secret")
    one = Workshop(tmp_path / "one", changes={"base_models": [starting(path=str(home)).model_dump()]}).experiment
    seen = {path.name for path in own_files(one)}
    assert seen == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    own = starting(path=str(home / "model.safetensors"))
    single = Workshop(tmp_path / "two", changes={"base_models": [own.model_dump(), starting().model_dump()]}).experiment
    assert own_files(single) == [home / "model.safetensors"]


NEEDED = (
    "spm.model", "source.spm", "adapter_config.json", "modules.json", "1_Pooling/config.json", "bpe.codes", "dict.txt",
    "tekken.json", "normalizer.json", "vocab.bpe",
)  # fmt: skip


def test_of_a_models_folder_scripts_see_what_tokenizers_adapters_and_pipelines_need(tmp_path: Path) -> None:
    for name in (*NEEDED, "2_Dense/model.safetensors", "notes.txt", ".netrc", "private/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    own = starting(path=str(tmp_path))
    seen = own_files(experiment(base_models=(own,)))
    assert {path.relative_to(tmp_path).as_posix() for path in seen} == set(NEEDED)
    assert withheld(own) == ["2_Dense/", "notes.txt", "private/"]
    (tmp_path / "2_Dense" / "config.json").write_text("{}")
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"weights")
    assert withheld(own) == ["notes.txt", "private/", "2_Dense/model.safetensors"]
    assert withheld(starting(path=str(tmp_path / "notes.txt"))) == withheld(starting()) == []


@every_kind
def test_a_model_of_ones_own_can_be_read_and_what_lies_beside_it_cannot(tmp_path: Path, kind: str) -> None:
    if kind == "none":
        pytest.skip("shows everything")
    require(kind)
    base = tmp_path / "base"
    base.mkdir(mode=0o755)
    save_file({"weights": np.ones(6)}, base / "model.safetensors")
    (base / "model.safetensors").chmod(0o644)
    (base / "hf_token").write_text("secret")
    (base / "hf_token").chmod(0o600)
    code = f"""
assert (Path({str(base)!r}) / "model.safetensors").read_bytes()
assert "model.safetensors" in os.listdir({str(base)!r})
try:
    print((Path({str(base)!r}) / "hf_token").read_text())
except OSError:
    pass
else:
    raise SystemExit("it was read")
"""
    models = {"base_models": [starting(path=str(base)).model_dump()]}
    shop = Workshop(tmp_path / "shop", {"train.py": at_the_end(TRAIN, code)}, models, sandbox=kind)
    assert shop.confirmed(1).outcomes == {"ok"}
    assert (base / "hf_token").stat().st_mode & 0o777 == 0o600
