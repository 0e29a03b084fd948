"""The activations of the survey, by the names that the papers' tables use."""

from typing import Literal

from torch import nn

Activation = Literal["", "RE", "R6", "HS", "SI"]
_MODULES: dict[str, type[nn.Module]] = {
    "": nn.Identity,
    "RE": nn.ReLU,
    "R6": nn.ReLU6,
    "HS": nn.Hardswish,
    "SI": nn.SiLU,
}


def activation(name: Activation) -> nn.Module:
    """`"RE"` ReLU, `"R6"` ReLU6, `"HS"` h-swish x * ReLU6(x + 3) / 6, `"SI"` swish x * sigmoid(x), `""` none."""
    return _MODULES[name]()
