"""Trains on convex combinations of two rows and of their labels, weighted by a Beta(alpha, alpha) draw.

Zhang et al. 2018 (arXiv 1710.09412), section 2. alpha = 0 is training without mixup.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from training import CLASSES, Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU)


def mixed_loss(alpha, seed):
    """One weight a batch, as in the paper's listing; drawn apart from the order of rows, which all variants share."""
    weights = np.random.default_rng(seed)
    partners = torch.Generator().manual_seed(seed + 1)

    def loss(model, x, y, order):
        weight = float(weights.beta(alpha, alpha)) if alpha else 1.0
        other = torch.randperm(len(x), generator=partners)
        target = functional.one_hot(y, CLASSES).float()
        mixed = weight * x + (1 - weight) * x[other]
        return functional.cross_entropy(model(mixed), weight * target + (1 - weight) * target[other])

    return loss


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    loss = mixed_loss(config["alpha"], args.seed)
    model = fit(build_model(config), train, validation, config, args.seed, Log(args.out, config["steps"]), loss)
    save(model, config, ("layers", "width"), args.out)
