"""Starting weights, by the rule that a family's paper or release uses."""

import math
from collections.abc import Callable
from typing import Literal

from torch import nn

Scheme = Literal[
    "caffe", "condensenet", "fan_in", "fan_out", "full_fan_out", "shufflenet", "squeezenet", "torch", "weightnet"
]


Convolution = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d


def _fan_in(conv: Convolution) -> float:
    return math.sqrt(2 / (math.prod(conv.kernel_size) * conv.in_channels // conv.groups))


def _fan_out(conv: Convolution) -> float:
    return math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels // conv.groups))


def _full_fan_out(conv: Convolution) -> float:
    # The releases of MicroNet and CondenseNet leave the groups out of the fan.
    return math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels))


def _shufflenet(conv: Convolution) -> float:
    # The release: 0.01 in the stem, 1 / fan-in width elsewhere.
    return 0.01 if conv.in_channels <= 4 else 1.0 / (conv.in_channels // conv.groups)


def _weightnet(conv: Convolution) -> float:
    # The release writes 1 / weight.shape[1], which in MegEngine's grouped layout is the outputs of a group.
    return _shufflenet(conv) if conv.groups == 1 else 1.0 / (conv.out_channels // conv.groups)


_SPREAD: dict[str, Callable[[Convolution], float]] = {
    "fan_in": _fan_in,
    "fan_out": _fan_out,
    "full_fan_out": _full_fan_out,
    "shufflenet": _shufflenet,
    "weightnet": _weightnet,
    "condensenet": _full_fan_out,
}


def initialise(model: nn.Module, scheme: Scheme) -> None:
    """Draw every weight of a net anew, in place: normal convolutions, linear N(0, 0.01), norms 1 and 0, biases 0.

    scheme "squeezenet" draws convolutions from Xavier's uniform distribution instead, "caffe" from Caffe's, which looks
    at the inputs alone, "torch" as torch itself does; "condensenet" draws linear layers as torch does.
    """
    for module in model.modules():
        if isinstance(module, Convolution):
            if scheme == "squeezenet":
                nn.init.xavier_uniform_(module.weight)
            elif scheme == "torch":
                module.reset_parameters()
            elif scheme == "caffe":
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
            else:
                nn.init.normal_(module.weight, 0.0, _SPREAD[scheme](module))
        elif isinstance(module, nn.Linear) and scheme == "condensenet":
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.0 if getattr(module, "starts_at_zero", False) else 1.0)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
