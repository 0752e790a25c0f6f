"""Tiny language models and tokenizers, made on the spot: nothing is downloaded, nothing is trained."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

TEXTS = [
    "the cat sat on the mat",
    "a dog, a log and a fog: ça va? 你好",
    "  it rained the whole day long, and then it rained the whole night  ",
    "x",
    "words " * 30,
]
WORDS = ["the", "cat", "sat", "on", "mat", "dog", "ran", "far"]
SPECIAL = {
    "unk_token": "[UNK]",
    "bos_token": "[BOS]",
    "mask_token": "[MASK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}


def byte_level(**special: str) -> Any:
    """One token a byte: loses nothing."""
    names = special or {"eos_token": "<|end|>"}
    vocabulary = {token: number for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {token: len(vocabulary) + place for place, token in enumerate(names.values())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def word_level(normalizer: Any = None, words: list[str] = WORDS) -> Any:
    """One token a word; unknown words become [UNK]."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL.values(), *words])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def everything_is(word: str) -> Any:
    """A normalizer that makes one word of any text."""
    from tokenizers import Regex

    return normalizers.Replace(Regex(r"(?m).+"), word)


def gpt2(folder: Path, tokenizer: Any = None, context: int = 64, seed: int = 0) -> Path:
    tokenizer = tokenizer or byte_level()
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=context, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def bert(folder: Path, tokenizer: Any = None, context: int = 64) -> Path:
    tokenizer = tokenizer or byte_level(mask_token="[MASK]", cls_token="[CLS]", sep_token="[SEP]")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=context, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def trained(kind: str, texts: list[str]) -> Any:
    """The usual families of tokenizers, trained on `texts`: byte-bpe, metaspace-bpe, unigram (causal), wordpiece."""
    special = {"unk_token": "<unk>", "bos_token": "<s>", "mask_token": "<mask>"}
    common: dict[str, Any] = {"special_tokens": list(special.values()), "show_progress": False}
    if kind == "byte-bpe":
        tokenizer, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **common
        )  # fmt: skip
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "metaspace-bpe":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        trainer = trainers.BpeTrainer(vocab_size=150, **common)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    elif kind == "unigram":
        tokenizer, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer(
            vocab_size=90, unk_token="<unk>", **common
        )  # fmt: skip
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        tokenizer.normalizer = normalizers.NFKC()
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        trainer = trainers.WordPieceTrainer(vocab_size=120, **common)
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    tokenizer.train_from_iterator(texts * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
