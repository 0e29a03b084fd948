"""The input size that a model declares, or that its first layer implies."""

from typing import Any

from torch import nn

from pumice.graph.records import Shape

DEFAULT_SIDE = 224


def input_size_of(model: nn.Module) -> Shape:
    """(C, H, W): what `model.config` and `model.preprocess` say, else timm's `default_cfg`, else the first layer.

    A first convolution gives the channels, at 224 pixels a side; a first linear layer makes the input a vector.
    """
    preprocess, config = getattr(model, "preprocess", None), getattr(model, "config", None)
    size, channels = getattr(preprocess, "size", None), getattr(config, "in_chans", None)
    if size is not None:
        return (channels or _first_channels(model), *size)
    declared: Any = getattr(model, "default_cfg", None) or getattr(model, "pretrained_cfg", None)
    if isinstance(declared, dict) and declared.get("input_size"):
        found = tuple(declared["input_size"])
        return (_first_channels(model), *found[1:])
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return (module.in_channels, *[DEFAULT_SIDE] * len(module.kernel_size))
        if isinstance(module, nn.Linear):
            return (module.in_features,)
    return (3, DEFAULT_SIDE, DEFAULT_SIDE)


def _first_channels(model: nn.Module) -> int:
    return next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)), 3)
