"""Fits a small fully-connected network with one activation function to a function of one variable."""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save_file
from torch import nn


class Snake(nn.Module):
    """x + sin²(a x) / a (Ziyin et al. 2020, equation 3)."""

    def __init__(self, a):
        super().__init__()
        self.a = a

    def forward(self, x):
        return x + torch.sin(self.a * x) ** 2 / self.a


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(x)


def build_model(config):
    activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "sin": Sine, "snake": lambda: Snake(config["a"])}
    layers, size = [], 1
    for _ in range(config["layers"]):
        layers += [nn.Linear(size, config["width"]), activations[config["activation"]]()]
        size = config["width"]
    return nn.Sequential(*layers, nn.Linear(size, 1))


def read(folder):
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow")) as source:
        table = pa.ipc.open_stream(source).read_all()
    columns = [torch.tensor(table.column(name).to_numpy(), dtype=torch.float32)[:, None] for name in ("x", "y")]
    return columns[0], columns[1]


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

    np.random.seed(args.seed % 2**32)
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    model = build_model(config)
    x, y = read(args.data / "train")
    validation_x, validation_y = read(args.data / "validation")
    optimiser = torch.optim.Adam(model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    order = torch.Generator().manual_seed(args.seed)
    with (args.out / "metrics.jsonl").open("a", buffering=1) as log:
        for step in range(1, config["steps"] + 1):
            rows = torch.randint(len(x), (config["batch"],), generator=order)
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % max(1, config["steps"] // 25) == 0 or step == config["steps"]:
                with torch.no_grad():
                    validation = nn.functional.mse_loss(model(validation_x), validation_y).item()
                row = {"step": step, "total": config["steps"], "train_loss": loss.item(), "validation_loss": validation}
                log.write(json.dumps(row) + "\n")
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, args.out / "model.safetensors"
    )
    shape = {key: config[key] for key in ("activation", "a", "layers", "width")}
    (args.out / "config.json").write_text(json.dumps(shape, indent=2) + "\n")


if __name__ == "__main__":
    main()
