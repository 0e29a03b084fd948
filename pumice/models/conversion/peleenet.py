"""PeleeNet's weights: the authors', of torch and of Caffe's detectors; pytorchcv's."""

import torch
from torch import Tensor

from pumice.models.conversion.rule import BILINEAR, Conversion, Settings

LAST_OF_STEM = "features.init_block.last_conv.conv.weight"


def pool_first(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """pytorchcv joins the stem's branches as convolution, pool; the authors as pool, convolution."""
    if LAST_OF_STEM not in state:  # no such file: the shapes will say so
        return state
    convolution, pool = state[LAST_OF_STEM].chunk(2, dim=1)
    return {**state, LAST_OF_STEM: torch.cat((pool, convolution), dim=1)}


def logits_last(keys: list[str]) -> list[str]:
    """The prototxt of the detectors predicts boxes and logits level by level; ours predict all boxes first."""
    return sorted(keys, key=lambda key: ("mbox_loc" in key) + 2 * ("mbox_conf" in key))


CONVERSIONS = {
    "official": Conversion(Settings(preprocess=BILINEAR), order=logits_last, sign=r"features\.stemblock"),
    "pytorchcv": Conversion(change=pool_first),
}
