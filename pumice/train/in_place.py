"""Activations that write over what they read, while a network trains: less memory to go through in each step."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn

from pumice.nn.conv import ConvNormAct

_ABLE = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU)
_FRESH = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm)
"""Layers whose output nothing else reads where an activation follows at once; their own gradients do without it."""


@contextmanager
def in_place(*nets: nn.Module | None) -> Iterator[None]:
    """Let activations work in place within the block: those of `ConvNormAct`, and those behind a layer in a Sequential.

    The numbers stay the same, to the last bit.
    """
    changed = [act for net in nets if net is not None for act in _safe(net) if not act.inplace]
    for act in changed:
        act.inplace = True
    try:
        yield
    finally:
        for act in changed:
            act.inplace = False


def _safe(net: nn.Module) -> Iterator[nn.ReLU | nn.ReLU6 | nn.Hardswish | nn.SiLU]:
    """The activations of which it is known who reads their input."""
    for module in net.modules():
        if type(module) is ConvNormAct and isinstance(module.act, _ABLE):
            yield module.act
        elif type(module) is nn.Sequential:
            for before, act in pairwise(module.children()):
                if isinstance(before, _FRESH) and isinstance(act, _ABLE):
                    yield act
