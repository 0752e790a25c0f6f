"""Trains with hard or smoothed labels, or distils a student from a teacher that was trained with either.

Müller, Kornblith and Hinton 2019 (arXiv 1906.02629), sections 1.1 and 4, with beta = 1: the student sees the teacher's
probabilities only.
"""

import torch
from torch import nn
from torch.nn import functional
from training import Log, fit, parse, perceptron, read, save


def build_model(config):
    return perceptron(config["layers"], config["width"], nn.ReLU)


def smoothed_loss(smoothing):
    def loss(model, x, y, order):
        return functional.cross_entropy(model(x), y, label_smoothing=smoothing)

    return loss


def soft_loss(teacher):
    teacher.eval()

    def loss(model, x, y, order):
        with torch.no_grad():
            target = torch.softmax(teacher(x), 1)
        return functional.cross_entropy(model(x), target)

    return loss


if __name__ == "__main__":
    args, config = parse(__doc__)
    train, validation = read(args.data / "train"), read(args.data / "validation")
    log = Log(args.out, config["steps"] * (2 if config["distil"] else 1))
    model = build_model(config)
    loss = smoothed_loss(config["smoothing"])
    if config["distil"]:
        teacher = build_model(config | {"width": config["teacher_width"]})
        loss = soft_loss(fit(teacher, train, validation, config, args.seed, log, loss))
    fit(model, train, validation, config, args.seed, log, loss)
    save(model, config, ("layers", "width"), args.out)
