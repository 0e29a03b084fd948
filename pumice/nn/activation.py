"""The activations of the survey, by the names that the papers' tables use."""

from typing import Literal

from torch import nn

Activation = Literal["", "RE", "R6", "HS", "SI", "PR"]
_MODULES: dict[str, type[nn.Module]] = {
    "": nn.Identity,
    "RE": nn.ReLU,
    "R6": nn.ReLU6,
    "HS": nn.Hardswish,
    "SI": nn.SiLU,
}


def activation(name: Activation, channels: int = 1) -> nn.Module:
    """`"RE"` ReLU, `"R6"` ReLU6, `"HS"` h-swish x * ReLU6(x + 3) / 6, `"SI"` swish x * sigmoid(x), `""` none.

    `"PR"` is PReLU with a slope for each of `channels`, learned, 0.25 at the start.
    """
    return nn.PReLU(channels) if name == "PR" else _MODULES[name]()
