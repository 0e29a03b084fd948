"""Starting weights, by the rule that a family's paper or release uses."""

import math
from collections.abc import Callable
from typing import Literal

from torch import nn

Scheme = Literal["fan_out", "full_fan_out", "shufflenet", "squeezenet"]


def _fan_out(conv: nn.Conv2d) -> float:
    return math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels // conv.groups))


def _full_fan_out(conv: nn.Conv2d) -> float:
    # MicroNet's release leaves the groups out of the fan.
    return math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels))


def _shufflenet(conv: nn.Conv2d) -> float:
    # The release: 0.01 in the stem, 1 / fan-in width elsewhere.
    return 0.01 if conv.in_channels <= 4 else 1.0 / (conv.in_channels // conv.groups)


_SPREAD: dict[str, Callable[[nn.Conv2d], float]] = {
    "fan_out": _fan_out,
    "full_fan_out": _full_fan_out,
    "shufflenet": _shufflenet,
}


def initialise(model: nn.Module, scheme: Scheme) -> None:
    """Draw every weight of a net anew, in place: normal convolutions, linear N(0, 0.01), norms 1 and 0, biases 0.

    scheme "squeezenet" draws convolutions from Xavier's uniform distribution instead.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if scheme == "squeezenet":
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.normal_(module.weight, 0.0, _SPREAD[scheme](module))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
