"""A multi-layer perceptron on digits, with one activation function."""

import torch
from torch import nn
from training import Log, fit, parse, perceptron, read, save


class Snake(nn.Module):
    """x + sin²(a x) / a (Ziyin et al. 2020, equation 3)."""

    def __init__(self, a):
        super().__init__()
        self.a = a

    def forward(self, x):
        return x + torch.sin(self.a * x) ** 2 / self.a


class Sine(nn.Module):
    """sin(x), or x + sin(x)."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return torch.sin(x) + x if self.linear else torch.sin(x)


def build_model(config):
    activations = {
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "sin": lambda: Sine(False),
        "x-plus-sin": lambda: Sine(True),
        "snake": lambda: Snake(config["a"]),
    }
    return perceptron(config["layers"], config["width"], activations[config["activation"]])


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    model = fit(build_model(config), train, validation, config, args.seed, Log(args.out, config["steps"]))
    save(model, config, ("activation", "a", "layers", "width"), args.out)
