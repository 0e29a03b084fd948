"""Whole networks as programs."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import pumice
from pumice.deploy.network import folded
from pumice.native.ir import Program
from pumice.native.passes import optimise
from pumice.native.read import read


def settled(name: str, side: int) -> nn.Module:
    """A network whose norms have seen some images, so that its answer depends on what it is shown."""
    torch.manual_seed(0)
    model = pumice.create_model(name)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, _BatchNorm):
                part.momentum = None  # the mean over all passes
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.3)
        for _ in range(2):
            model.train()(torch.randn(8, 3, side, side))
    return model.eval()


def compiled(model: nn.Module, side: int, name: str = "") -> Program:
    """What is written as C, for square images."""
    size = (3, side, side)
    return optimise(read(folded(model, size), size, name=name))


def program_of(name: str, side: int) -> Program:
    """The same of a network by name."""
    return compiled(settled(name, side), side, name)
