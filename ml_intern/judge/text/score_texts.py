"""The harness's own script that scores texts under a language model: run in the sandbox instead of a predict.py.

Knows nothing of splits, variants and metrics. It stands alone in its folder, so that nothing beside it is imported, and
loads only what holds no code: safetensors, configuration and tokenizer files of a local folder.

For each text it writes the negative log-likelihood (nats) of its tokens and their number. A language model brings its
own tokenizer, so the tokenizer is a suspect too: the tokens must decode to the text, else words can be dropped, and a
model that looks at later tokens is refused, since it copies what it should predict.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MASKED_SHARE = 0.15
_LONGEST_WINDOW = 1024  # tokens, for models without a limit of their own
_BATCH_TOKENS = 2048
_PROBED_WINDOWS = 4
_PROBED_TEXTS, _PROBED_TOKENS = 16, 64


class ModelRefusedError(Exception):
    """What the model or its tokenizer does wrong: `guard` is the name under which the harness records it."""

    def __init__(self, guard: str, message: str) -> None:
        self.guard, self.message = guard, message
        super().__init__(message)


@dataclass(frozen=True)
class Window:
    """One forward pass: `inputs`, and the token wanted at each of `places`. `text` is its text's number."""

    text: int
    inputs: tuple[int, ...]
    places: tuple[int, ...]
    wanted: tuple[int, ...]


def score_folder(
    folder: Path, texts: Sequence[str], objective: str, batch_tokens: int = _BATCH_TOKENS
) -> list[dict[str, Any]]:
    """[{"nll", "tokens"}] of each text, under the transformers model in `folder`. `objective`: causal or masked.

    causal: every token is scored once, the first one after the tokenizer's bos (or eos) token; a text longer than the
    model's context is cut into windows that share no context but their border token. masked: 15 % of a text's tokens
    (at least one), drawn by the hash of the text, are replaced by the mask token and predicted. Whitespace at either
    end of a text is dropped. Raises ModelRefusedError.
    """
    import torch

    torch.manual_seed(0)
    tokenizer, model = _load(folder, objective)
    tokens = [_tokens(tokenizer, text.strip(), objective) for text in texts]
    _refuse_idle_tokens(tokenizer, [ids for ids in tokens if ids])
    size = _window_size(tokenizer, model)
    cut = _causal_windows if objective == "causal" else _masked_windows
    windows = [
        window
        for number, ids in enumerate(tokens)
        if ids
        for window in cut(number, ids, texts[number].strip(), tokenizer, size)
    ]
    found = [{"nll": 0.0, "tokens": 0} for _ in texts]
    with torch.inference_mode():
        if objective == "causal":
            _refuse_sight_of_later_tokens(model, windows)
        for batch in _batches(windows, batch_tokens):
            for window, nll in zip(batch, _nll(model, batch), strict=True):
                found[window.text]["nll"] += nll
                found[window.text]["tokens"] += len(window.wanted)
    return found


def _load(folder: Path, objective: str) -> tuple[Any, Any]:
    """Tokenizer and model: from local files, safetensors only, no code of the model's own."""
    import torch
    import transformers

    safe = {"local_files_only": True, "trust_remote_code": False}
    kind: Any = transformers.AutoModelForCausalLM if objective == "causal" else transformers.AutoModelForMaskedLM
    automatic: Any = transformers.AutoTokenizer
    tokenizer = automatic.from_pretrained(str(folder), **safe)
    model, told = kind.from_pretrained(
        str(folder),
        **safe,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation="eager",
        output_loading_info=True,
    )
    if missing := sorted(told["missing_keys"]):
        raise ModelRefusedError("weights missing", f"model.safetensors lacks {', '.join(missing[:5])}")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise ModelRefusedError("weights missing", "the tokenizer has more tokens than the model has embeddings")
    return tokenizer, model.eval()


def _tokens(tokenizer: Any, text: str, objective: str) -> list[int]:
    """The text's tokens without special ones around them. Raises ModelRefusedError where the text is not in them."""
    ids = [int(one) for one in tokenizer.encode(text, add_special_tokens=False)]
    again = _decoded(tokenizer, ids)
    # Word pieces do not keep where spaces were; for a masked model, which never has to predict spaces, that is no gain.
    same = again.strip() == text if objective == "causal" else "".join(again.split()) == "".join(text.split())
    if not same:
        message = (
            f"the tokenizer loses text: {text[:80]!r} comes back as {again.strip()[:80]!r}; what it normalises, such as"
            " case or rare words, data.py has to normalise for all variants"
        )
        raise ModelRefusedError("text lost", message)
    if len(ids) > len(text.encode()) + 1:
        message = f"{len(ids)} tokens for {len(text.encode())} bytes of text: tokens that say nothing lower the loss"
        raise ModelRefusedError("tokens without text", message)
    return ids


def _refuse_idle_tokens(tokenizer: Any, texts: Sequence[list[int]]) -> None:
    """A token that can go without a change of the text says nothing; many of them lower the loss per token."""
    for ids in texts[:_PROBED_TEXTS]:
        probed = ids[:_PROBED_TOKENS]
        whole = _decoded(tokenizer, probed)
        for place in range(1, len(probed)):  # the first may be a space that decoding drops
            if _decoded(tokenizer, probed[:place] + probed[place + 1 :]) == whole:
                message = f"token {place + 1} of {whole[:80]!r} adds nothing to it: such tokens lower the loss"
                raise ModelRefusedError("tokens without text", message)


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _window_size(tokenizer: Any, model: Any) -> int:
    """Tokens that the model can take at once, at most 1,024."""
    config = model.config
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    sizes = [limit for limit in limits if isinstance(limit, int) and limit > 0]
    if sizes and "roberta" in config.model_type:
        sizes.append(min(sizes) - (config.pad_token_id or 0) - 1)  # its positions begin after the padding's
    if tokenizer.model_max_length and tokenizer.model_max_length < 1_000_000:
        sizes.append(int(tokenizer.model_max_length))
    return max(4, min([*sizes, _LONGEST_WINDOW]))


def _causal_windows(number: int, ids: list[int], text: str, tokenizer: Any, size: int) -> Iterator[Window]:
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise ModelRefusedError("no start token", "the tokenizer needs a bos_token or eos_token before the first token")
    given = [int(start), *ids]
    for begin in range(0, len(ids), size):
        wanted = ids[begin : begin + size]
        inputs = given[begin : begin + len(wanted)]
        yield Window(number, tuple(inputs), tuple(range(len(wanted))), tuple(wanted))


def _masked_windows(number: int, ids: list[int], text: str, tokenizer: Any, size: int) -> Iterator[Window]:
    import numpy as np

    if tokenizer.mask_token_id is None:
        raise ModelRefusedError("no mask token", "the tokenizer has no mask_token")
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    count = max(1, round(MASKED_SHARE * len(ids)))
    masked = {int(place) for place in np.random.default_rng(seed).choice(len(ids), count, replace=False)}
    before = [tokenizer.cls_token_id] if tokenizer.cls_token_id is not None else []
    after = [tokenizer.sep_token_id] if tokenizer.sep_token_id is not None else []
    body = size - len(before) - len(after)
    for begin in range(0, len(ids), body):
        places = sorted(place for place in masked if begin <= place < begin + body)
        if not places:
            continue
        inside = [tokenizer.mask_token_id if k in masked else ids[k] for k in range(begin, min(begin + body, len(ids)))]
        yield Window(
            number,
            (*before, *inside, *after),
            tuple(place - begin + len(before) for place in places),
            tuple(ids[place] for place in places),
        )


def _batches(windows: Sequence[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Windows of one length together: nothing is padded, so no number depends on how a model treats padding."""
    by_length: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        by_length[len(window.inputs)].append(window)
    for length in sorted(by_length):
        same = by_length[length]
        step = max(1, batch_tokens // length)
        for begin in range(0, len(same), step):
            yield same[begin : begin + step]


def _logits(model: Any, inputs: Any) -> Any:
    return model(input_ids=inputs).logits.float()


def _nll(model: Any, batch: Sequence[Window]) -> list[float]:
    """Nats that each window's wanted tokens cost."""
    import torch

    logits = _logits(model, torch.tensor([window.inputs for window in batch]))
    out = []
    for row, window in zip(logits, batch, strict=True):
        chosen = row[list(window.places)]
        likelihood = chosen.gather(1, torch.tensor(window.wanted)[:, None])[:, 0] - chosen.logsumexp(1)
        out.append(-float(likelihood.double().sum()))
    return out


def _refuse_sight_of_later_tokens(model: Any, windows: Sequence[Window]) -> None:
    """Other tokens in the second half must not change what is predicted in the first."""
    import torch

    for window in sorted(windows, key=lambda one: -len(one.inputs))[:_PROBED_WINDOWS]:
        half = len(window.inputs) // 2
        given = torch.tensor([window.inputs])
        other = given.clone()
        other[:, half:] = (other[:, half:] + 1) % model.get_input_embeddings().num_embeddings
        first, second = (_logits(model, one)[:, :half] for one in (given, other))
        if half and float((first - second).abs().max()) > 1e-3 * max(1.0, float(first.abs().max())):
            raise ModelRefusedError("later tokens seen", "what it predicts for a token depends on the tokens after it")


def main() -> None:
    parser = argparse.ArgumentParser(description="Negative log-likelihoods of texts under a language model.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, required=True, help="a folder with an Arrow table")
    parser.add_argument("--column", required=True)
    parser.add_argument("--objective", choices=["causal", "masked"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problem", type=Path, required=True, help="written only when the model is refused")
    args = parser.parse_args()
    import pyarrow as pa

    with pa.OSFile(str(args.inputs / "data-00000-of-00001.arrow")) as source:
        texts = pa.ipc.open_stream(source).read_all().column(args.column).to_pylist()
    try:
        rows = score_folder(args.model, texts, args.objective)
    except ModelRefusedError as error:
        args.problem.write_text(json.dumps({"guard": error.guard, "message": error.message}))
        return
    args.out.write_text("".join(json.dumps({"prediction": row}) + "\n" for row in rows))


if __name__ == "__main__":
    main()
