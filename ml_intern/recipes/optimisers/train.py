"""One optimiser on digits. Each tries the same number of learning rates and keeps the best on validation.

Without that an optimiser wins by its default rate: comparisons with an untuned one say nothing.
"""

import torch
from torch import nn
from training import Log, fit, held_out_loss, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU)


def optimiser(config, parameters, rate):
    match config["optimiser"]:
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate)
        case "momentum":
            return torch.optim.SGD(parameters, lr=rate, momentum=0.9)
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=config["weight_decay"])
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=config["decoupled_weight_decay"])
    raise SystemExit(f"There is no optimiser {config['optimiser']!r}.")


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    log = Log(args.out, config["steps"] * len(config["rates"]))
    best, best_loss = None, float("inf")
    for rate in config["rates"]:
        torch.manual_seed(args.seed)
        model = build_model(config)
        fit(model, train, validation, config, args.seed, log, optimiser=optimiser(config, model.parameters(), rate))
        loss = held_out_loss(model, validation)
        if best is None or loss < best_loss:
            best, best_loss = model, loss
    save(best, config, ("layers", "width"), args.out)
