"""MobileNetV2's weights: TensorFlow's, torchvision's, pytorchcv's."""

import torch
from torch import Tensor

from pumice.models.conversion.rule import BILINEAR, BILINEAR_232, TENSORFLOW, Conversion, Settings


def with_bias(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """pytorchcv's classifier has no bias, ours then starts from zeros."""
    weight = state.get("output.weight")
    return state if weight is None else {**state, "output.bias": torch.zeros(len(weight), dtype=weight.dtype)}


CONVERSIONS = {
    "official": TENSORFLOW,
    "torchvision": Conversion(Settings(preprocess=BILINEAR_232)),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR), change=with_bias),
}
