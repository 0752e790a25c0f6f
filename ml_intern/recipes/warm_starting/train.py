"""Trains on all rows from random weights, from weights fitted to half of them, or from those shrunk and perturbed.

Ash and Adams 2020 (arXiv 1910.08475), section 4: w = shrink * w_half + perturb * w_fresh.
"""

import torch
from torch import nn
from training import Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.Tanh)


def shrink_and_perturb(model, fresh, config):
    with torch.no_grad():
        for weight, other in zip(model.parameters(), fresh.parameters(), strict=True):
            weight.mul_(config["shrink"]).add_(other, alpha=config["perturb"])


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    log = Log(args.out, config["steps"] * (2 if config["warm"] else 1))
    model = build_model(config)
    if config["warm"]:
        half = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(args.seed))[: len(train[0]) // 2]
        fit(model, (train[0][half], train[1][half]), validation, config, args.seed + 1, log)
        shrink_and_perturb(model, build_model(config), config)
    fit(model, train, validation, config, args.seed, log)
    save(model, config, ("layers", "width"), args.out)
