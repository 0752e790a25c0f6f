"""What the experiments on digits share: arguments, data, a multi-layer perceptron, the training loop, saving."""

import argparse
import json
from pathlib import Path

import pyarrow as pa
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

PIXELS, CLASSES = 64, 10


def parse(description):
    """(arguments, configuration of the variant); every source of randomness is seeded."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    settings = json.loads(Path(__file__).with_name("settings.json").read_text())
    config = settings["train"] | (settings["smoke"] if args.smoke else {}) | settings["variants"][args.variant]
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    return args, config


def read(folder):
    """(pixels, labels) of a split."""
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow")) as source:
        table = pa.ipc.open_stream(source).read_all()
    return torch.tensor(table.column("pixels").to_pylist()), torch.tensor(table.column("label").to_pylist())


def perceptron(layers, width, activation, batch_norm=False, dropout=0.0):
    """`layers` hidden layers of `width` units; `activation` makes a module."""
    parts, size = [], PIXELS
    for _ in range(layers):
        parts.append(nn.Linear(size, width))
        if batch_norm:
            parts.append(nn.BatchNorm1d(width))
        parts.append(activation())
        if dropout:
            parts.append(nn.Dropout(dropout))
        size = width
    return nn.Sequential(*parts, nn.Linear(size, CLASSES))


def cross_entropy(model, x, y, order):
    return functional.cross_entropy(model(x), y)


class Log:
    """metrics.jsonl: about 25 rows over `total` steps, however many fits they are spread over."""

    def __init__(self, folder, total):
        self.file = (folder / "metrics.jsonl").open("a", buffering=1)
        self.total, self.done = total, 0

    def step(self, train_loss, validation_loss):
        self.done += 1
        if self.done % max(1, self.total // 25) == 0 or self.done == self.total:
            row = {"step": self.done, "total": self.total, "train_loss": train_loss.item()}
            self.file.write(json.dumps(row | {"validation_loss": validation_loss()}) + "\n")


def held_out_loss(model, validation):
    """Mean cross-entropy on validation rows."""
    model.eval()
    with torch.no_grad():
        value = functional.cross_entropy(model(validation[0]), validation[1]).item()
    model.train()
    return value


def fit(model, train, validation, config, seed, log, loss=cross_entropy, optimiser=None):
    """`config["steps"]` steps on batches drawn by `seed`; targets may be classes or probabilities."""
    x, y = train
    weight_decay = config.get("weight_decay", 0.0)
    optimiser = optimiser or torch.optim.Adam(model.parameters(), lr=config["learning_rate"], weight_decay=weight_decay)
    order = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(config["steps"]):
        rows = torch.randint(len(x), (config["batch"],), generator=order)
        value = loss(model, x[rows], y[rows], order)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        log.step(value, lambda: held_out_loss(model, validation))
    return model


def save(model, config, keys, out):
    """model.safetensors, and in config.json what `build_model` needs."""
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps({key: config[key] for key in keys}, indent=2) + "\n")
