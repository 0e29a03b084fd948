"""Whole networks as programs."""

import torch
from torch import nn

import pumice
from pumice.deploy.network import folded
from pumice.native.ir import Program
from pumice.native.passes import optimise
from pumice.native.read import read


def settled(name: str) -> nn.Module:
    """A network whose batch norms have statistics of their own, so that each layer matters."""
    torch.manual_seed(0)
    model = pumice.create_model(name).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return model


def compiled(model: nn.Module, side: int, name: str = "") -> Program:
    """What is written as C, for square images."""
    size = (3, side, side)
    return optimise(read(folded(model, size), size, name=name))


def program_of(name: str, side: int) -> Program:
    """The same of a network by name."""
    return compiled(settled(name), side, name)
