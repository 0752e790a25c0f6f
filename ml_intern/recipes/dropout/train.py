"""A multi-layer perceptron on few digits, with and without dropout after each hidden layer."""

from torch import nn
from training import Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU, dropout=config["dropout"])


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    model = fit(build_model(config), train, validation, config, args.seed, Log(args.out, config["steps"]))
    save(model, config, ("layers", "width", "dropout"), args.out)
