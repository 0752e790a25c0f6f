"""Language models, scored by the harness itself: what it computes, and which tokenizers and models it refuses."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.pre_tokenizers import Split
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from ml_intern.judge.language import ModelRefused, take_model
from ml_intern.judge.metrics import PredictionError, ceiling, counted, fits, score
from ml_intern.judge.text.score_texts import ModelRefusedError, _masked_windows, score_folder
from tests.judge.texts import TEXTS, bert, byte_level, change_json, everything_is, gpt2, trained, word_level


def zeroed(folder: Path) -> Path:
    """A model that says nothing: every token is as likely as any other."""
    model: Any = GPT2LMHeadModel.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.save_pretrained(folder)
    return folder


def test_a_model_that_says_nothing_costs_the_logarithm_of_its_vocabulary(tmp_path: Path) -> None:
    rows = score_folder(zeroed(gpt2(tmp_path)), TEXTS, "causal")
    sizes = [len(text.strip().encode()) for text in TEXTS]
    assert [row["tokens"] for row in rows] == sizes
    assert score("lm_loss", rows, TEXTS) == pytest.approx(math.log(257), rel=1e-6)
    assert score("perplexity", rows, TEXTS) == pytest.approx(257, rel=1e-5)
    assert score("bits_per_byte", rows, TEXTS) == pytest.approx(math.log2(257), rel=1e-6)


def test_the_loss_is_that_of_transformers_on_a_text_that_fits_its_context(tmp_path: Path) -> None:
    (row,) = score_folder(gpt2(tmp_path), ["the cat sat on the mat"], "causal")
    model: Any = GPT2LMHeadModel.from_pretrained(tmp_path)
    tokenizer = byte_level()
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer.encode("the cat sat on the mat")]])
    with torch.no_grad():
        wanted = float(model.eval()(ids, labels=ids).loss)
    assert row["tokens"] == 22
    assert row["nll"] / row["tokens"] == pytest.approx(wanted, rel=1e-5)


def test_a_text_longer_than_the_context_is_scored_whole(tmp_path: Path) -> None:
    text = "abcdefghij" * 10
    (row,) = score_folder(gpt2(tmp_path, context=8), [text], "causal")
    assert row["tokens"] == 100
    model: Any = GPT2LMHeadModel.from_pretrained(tmp_path)
    tokenizer = byte_level()
    given = [tokenizer.eos_token_id, *tokenizer.encode(text)]
    total = 0.0
    with torch.no_grad():
        for begin in range(0, 100, 8):
            window = torch.tensor([given[begin : min(begin + 8, 100)]])
            logs = model.eval()(window).logits.log_softmax(-1)[0]
            total -= sum(float(logs[k, given[begin + k + 1]]) for k in range(window.shape[1]))
    assert row["nll"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(("make", "objective"), [(gpt2, "causal"), (bert, "masked")])
def test_neither_batches_nor_the_other_texts_change_a_texts_score(tmp_path: Path, make: Any, objective: str) -> None:
    folder = make(tmp_path)
    together = score_folder(folder, TEXTS, objective)
    reversed_order = score_folder(folder, TEXTS[::-1], objective)[::-1]
    alone = [score_folder(folder, [text], objective)[0] for text in TEXTS]
    for others in (score_folder(folder, TEXTS, objective, batch_tokens=1), reversed_order, alone):
        assert [row["tokens"] for row in others] == [row["tokens"] for row in together]
        assert [row["nll"] for row in others] == pytest.approx([row["nll"] for row in together], rel=1e-5)


def test_a_masked_model_is_scored_on_fifteen_percent_of_each_texts_tokens(tmp_path: Path) -> None:
    rows = score_folder(bert(tmp_path), TEXTS, "masked")
    assert [row["tokens"] for row in rows] == [max(1, round(0.15 * len(text.strip().encode()))) for text in TEXTS]
    assert rows == score_folder(tmp_path, TEXTS, "masked"), "the places are drawn by the text alone"
    assert score("masked_lm_loss", rows, TEXTS) == pytest.approx(math.log(259), rel=0.05)


def test_a_masked_model_sees_the_mask_where_it_predicts_and_its_loss_is_that_of_transformers(tmp_path: Path) -> None:
    folder, text = bert(tmp_path), "the cat sat on the mat and the dog ran"
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(text, add_special_tokens=False)
    (window,) = _masked_windows(0, ids, text, tokenizer, 64)
    inputs = list(window.inputs)
    assert [inputs[place] for place in window.places] == [tokenizer.mask_token_id] * round(0.15 * len(ids))
    labels = torch.full((1, len(inputs)), -100)
    for place, wanted in zip(window.places, window.wanted, strict=True):
        inputs[place], labels[0, place] = wanted, wanted
    assert inputs == [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
    model: Any = BertForMaskedLM.from_pretrained(folder)
    with torch.no_grad():
        loss = float(model.eval()(torch.tensor([window.inputs]), labels=labels).loss)
    assert score("masked_lm_loss", score_folder(folder, [text], "masked"), [text]) == pytest.approx(loss, rel=1e-5)


def refused(folder: Path, texts: list[str], objective: str = "causal") -> str:
    with pytest.raises(ModelRefusedError) as error:
        score_folder(folder, texts, objective)
    return error.value.guard


def test_word_tokens_are_fine_where_they_give_the_text_back(tmp_path: Path) -> None:
    rows = score_folder(gpt2(tmp_path, word_level()), ["the cat sat", "the dog ran far"], "causal")
    assert [row["tokens"] for row in rows] == [3, 4]


@pytest.mark.parametrize("kind", ["byte-bpe", "metaspace-bpe", "unigram", "wordpiece"])
def test_the_usual_tokenizers_pass(tmp_path: Path, kind: str) -> None:
    texts = ["The cat sat on the mat.", "a dog ran far, far away; it's 3.5 km!", "café olé — naïve", "你好 世界"]
    make, objective = (bert, "masked") if kind == "wordpiece" else (gpt2, "causal")
    rows = score_folder(make(tmp_path, trained(kind, texts)), texts, objective)
    assert all(row["tokens"] > 0 and row["nll"] > 0 for row in rows)


def test_a_tokenizer_that_makes_one_token_of_any_text_is_refused(tmp_path: Path) -> None:
    """Its loss would be nothing, and so would its bits per byte."""
    folder = gpt2(tmp_path, word_level(everything_is("cat")))
    assert refused(folder, ["the cat sat", "the dog ran far"]) == "text lost"


@pytest.mark.parametrize(
    ("normalizer", "text"),
    [
        (None, "the unicorn sat"),
        (None, "the  cat   sat"),
        (normalizers.Lowercase(), "The Cat sat"),
        (normalizers.Replace("mat", ""), "the cat sat on the mat"),
    ],
    ids=["unknown words", "spaces", "case", "dropped words"],
)
def test_a_tokenizer_that_drops_what_is_hard_is_refused(tmp_path: Path, normalizer: Any, text: str) -> None:
    assert refused(gpt2(tmp_path, word_level(normalizer)), ["the cat sat", text]) == "text lost"


def test_special_tokens_in_the_vocabulary_hide_no_text(tmp_path: Path) -> None:
    """Words that the tokenizer calls special are scored like any other."""
    tokenizer = word_level()
    tokenizer.add_special_tokens({"additional_special_tokens": ["cat", "mat"]})
    (row,) = score_folder(gpt2(tmp_path, tokenizer), ["the cat sat on the mat"], "causal")
    assert row["tokens"] == 6


def test_tokens_that_say_nothing_are_refused(tmp_path: Path) -> None:
    """Three tokens for each letter, two of them sure: the loss per token would be a third."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "~": 2, "<s>": 3}, unk_token="~"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("a", "a~~"), normalizers.Replace("b", "b~~")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([Split("", "isolated")])
    tokenizer.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("~", "")])
    padded = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")
    assert refused(gpt2(tmp_path, padded), ["abba"]) == "tokens without text"


@pytest.mark.parametrize(("normalizer", "guard"), [("~_", "tokens without text"), ("_", "")])
def test_a_sure_token_after_each_word_is_refused(tmp_path: Path, normalizer: str, guard: str) -> None:
    """Fewer tokens than bytes, but every other one is there to be guessed."""
    tokenizer = Tokenizer(models.WordLevel({"the": 0, "cat": 1, "sat": 2, "~": 3, "_": 4, "<s>": 5}, unk_token="~"))
    tokenizer.normalizer = normalizers.Replace(" ", normalizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([Split("~", "isolated"), Split("_", "isolated")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("~", ""), decoders.Replace("_", " "), decoders.Fuse()])
    folder = gpt2(tmp_path, PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>"))
    if guard:
        assert refused(folder, ["the cat sat"]) == guard
    else:
        assert score_folder(folder, ["the cat sat"], "causal")[0]["tokens"] == 5


def test_a_model_that_looks_at_later_tokens_is_refused(tmp_path: Path) -> None:
    """BERT as a causal model that nobody told to be a decoder: it could copy what it should predict."""
    tokenizer = byte_level()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    for decoder in (False, True):
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(tokenizer), is_decoder=decoder, **sizes)
        model = BertLMHeadModel(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(20)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        if decoder:
            assert score_folder(tmp_path, TEXTS, "causal")[0]["tokens"] == 22
        else:
            assert refused(tmp_path, TEXTS) == "later tokens seen"


def test_a_tokenizer_without_a_start_token_is_refused(tmp_path: Path) -> None:
    assert refused(gpt2(tmp_path, byte_level(pad_token="[PAD]")), TEXTS) == "no start token"
    assert refused(bert(tmp_path / "bert", byte_level()), TEXTS, "masked") == "no mask token"


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(gpt2(tmp_path) / "model.safetensors")
    weights.pop("transformer.h.1.attn.c_attn.weight")
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert refused(tmp_path, TEXTS) == "weights missing"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_asks_for_code_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    folder = gpt2(tmp_path / "out")
    change_json(folder / name, auto_map={"AutoModelForCausalLM": "modeling.Mine", "AutoTokenizer": ["t.Mine", None]})
    with pytest.raises(ModelRefused) as error:
        take_model(folder, tmp_path / "model")
    assert error.value.guard.name == "remote code"


def test_only_weights_configuration_and_tokenizer_are_taken(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "out")
    for name in ("pytorch_model.bin", "modeling.py", "adapter_config.json", "vocab.pkl"):
        (folder / name).write_text("{}")
    (folder / "vocab.txt").symlink_to(tmp_path)
    take_model(folder, tmp_path / "model")
    taken = {path.name for path in (tmp_path / "model").iterdir()}
    assert taken == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    folder = gpt2(tmp_path)
    model: Any = GPT2LMHeadModel.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"safetensors"):
        score_folder(folder, TEXTS, "causal")


def test_bits_per_byte_compare_tokenizers_and_losses_per_token_do_not() -> None:
    """The same likelihood of the same text, in six tokens and in two."""
    texts = ["the cat sat on the mat"]
    many, few = [{"nll": 12.0, "tokens": 6}], [{"nll": 12.0, "tokens": 2}]
    assert score("bits_per_byte", many, texts) == score("bits_per_byte", few, texts)
    assert score("bits_per_byte", many, texts) == pytest.approx(12 / math.log(2) / 22)
    assert score("lm_loss", many, texts) == 2 and score("lm_loss", few, texts) == 6
    assert counted("bits_per_byte", many, texts) == counted("bits_per_byte", few, texts) == 22
    assert (counted("lm_loss", many, texts), counted("lm_loss", few, texts)) == (6, 2)
    assert (ceiling("perplexity"), ceiling("lm_loss")) == (1.0, 0.0)
    assert fits("lm_loss", "language-model") and not fits("lm_loss", "sequence") and fits("ece:20", "classification")


@pytest.mark.parametrize(
    "rows",
    [[{"nll": math.nan, "tokens": 1}], [{"nll": -1.0, "tokens": 1}], [{"nll": 1.0}], [3.0], [{"nll": 0, "tokens": 0}]],
)
def test_likelihoods_that_cannot_be_are_refused(rows: list[Any]) -> None:
    with pytest.raises(PredictionError):
        score("lm_loss", rows, ["a"])
