"""An encoder-decoder Transformer (Vaswani et al. 2017) on number words, with one part of it changed per variant."""

import argparse
import json
import math
from pathlib import Path

import torch
from accelerate import Accelerator
from datasets import disable_progress_bars, load_from_disk
from safetensors.torch import save_file
from torch import nn
from transformers import BartConfig, BartForConditionalGeneration, set_seed

PAD, START, END, UNKNOWN = range(4)
LONGEST = 32


class Positions(nn.Module):
    """Sinusoids (section 3.5), learned vectors, or nothing, added to the embeddings. Stands in for Bart's own."""

    def __init__(self, kind, size):
        super().__init__()
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(LONGEST + 2, size) * 0.02)
            return
        table = torch.zeros(LONGEST + 2, size)
        if kind == "sinusoidal":
            angles = torch.arange(LONGEST + 2)[:, None] * torch.exp(torch.arange(0, size, 2) * -math.log(1e4) / size)
            table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
        self.register_buffer("table", table, persistent=False)

    def forward(self, tokens, past_key_values_length=0, position_ids=None):
        return self.table[past_key_values_length : past_key_values_length + tokens.shape[1]]


TIED = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")


class Translator(BartForConditionalGeneration):
    """Bart uses one table for both embeddings and the output: it is saved once, and loaded into all three."""

    def load_state_dict(self, state_dict, strict=True, assign=False):
        table = state_dict["model.shared.weight"]
        return super().load_state_dict({**state_dict, **dict.fromkeys(TIED, table)}, strict=strict, assign=assign)


def build_model(config):
    size = config["size"]
    model = Translator(
        BartConfig(
            vocab_size=config["vocabulary_size"],
            d_model=size,
            encoder_layers=config["layers"],
            decoder_layers=config["layers"],
            encoder_attention_heads=config["heads"],
            decoder_attention_heads=config["heads"],
            encoder_ffn_dim=4 * size,
            decoder_ffn_dim=4 * size,
            dropout=config["dropout"],
            attention_dropout=0.0,
            activation_function="relu",
            max_position_embeddings=LONGEST,
            scale_embedding=True,
            # With the scaling above embeddings begin with unit variance, like the sinusoids that are added to them.
            init_std=size**-0.5,
            pad_token_id=PAD,
            bos_token_id=START,
            eos_token_id=END,
            decoder_start_token_id=START,
            forced_eos_token_id=None,
        )
    )
    model.model.encoder.embed_positions = Positions(config["positions"], size)
    model.model.decoder.embed_positions = Positions(config["positions"], size)
    return model


def encode(texts, vocabulary, start=False):
    """(rows, longest) token numbers, padded; ended by END, begun by START for the decoder's inputs."""
    rows = [[vocabulary.get(word, UNKNOWN) for word in text.split()][: LONGEST - 1] for text in texts]
    rows = [[START, *row] if start else [*row, END] for row in rows]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def untied(model):
    """The weights, each once."""
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in TIED}


def loss_of(model, german, english, vocabulary, device):
    source = encode(german, vocabulary).to(device)
    inputs, target = encode(english, vocabulary, start=True).to(device), encode(english, vocabulary).to(device)
    logits = model(input_ids=source, attention_mask=source != PAD, decoder_input_ids=inputs, use_cache=False).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    settings = json.loads(Path(__file__).with_name("settings.json").read_text())
    config = settings["train"] | (settings["smoke"] if args.smoke else {}) | settings["variants"][args.variant]
    disable_progress_bars()
    set_seed(args.seed % 2**32)
    torch.use_deterministic_algorithms(True)

    train, validation = load_from_disk(str(args.data / "train")), load_from_disk(str(args.data / "validation"))
    german, english = list(train["german"]), list(train["english"])
    words = sorted({word for text in (*german, *english) for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(words, start=4)}
    config |= {"vocabulary": vocabulary, "vocabulary_size": len(vocabulary) + 4}
    accelerator = Accelerator()
    model = build_model(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=config["learning_rate"], betas=(0.9, 0.98))
    warm_up = max(1, config["steps"] // 10)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm_up, ((config["steps"] - step) / config["steps"]) ** 0.5)
    )
    model, optimiser, rate = accelerator.prepare(model, optimiser, rate)
    order = torch.Generator().manual_seed(args.seed)
    held_out = list(validation["german"])[:256], list(validation["english"])[:256]
    with (args.out / "metrics.jsonl").open("a", buffering=1) as log:
        for step in range(1, config["steps"] + 1):
            rows = torch.randint(len(german), (config["batch"],), generator=order).tolist()
            batch = [german[row] for row in rows], [english[row] for row in rows]
            loss = loss_of(model, *batch, vocabulary, accelerator.device)
            optimiser.zero_grad()
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            rate.step()
            if step % max(1, config["steps"] // 25) == 0 or step == config["steps"]:
                model.eval()
                with torch.no_grad():
                    value = loss_of(model, *held_out, vocabulary, accelerator.device).item()
                model.train()
                row = {"step": step, "total": config["steps"], "train_loss": loss.item(), "validation_loss": value}
                log.write(json.dumps(row) + "\n")
    save_file(untied(accelerator.unwrap_model(model).cpu()), args.out / "model.safetensors")
    keys = ("size", "layers", "heads", "dropout", "positions", "vocabulary", "vocabulary_size")
    (args.out / "config.json").write_text(json.dumps({key: config[key] for key in keys}, indent=2) + "\n")


if __name__ == "__main__":
    main()
