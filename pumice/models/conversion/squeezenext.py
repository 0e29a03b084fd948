"""SqueezeNext's weights: Caffe's, by the layer names of the prototxt.

`Convolution1.weight`, `BatchNorm1.running_mean`, `.running_var` and `.scale_factor`, `Scale1.weight` and `.bias`, ...,
`fc1000.weight`.  Caffe keeps sums of its statistics: the third blob of a BatchNorm layer, `scale_factor`, divides them;
a file that did so already has none.
"""

import re

from torch import Tensor

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import PER_255, Conversion, Settings

# Convolution, scale, shift, mean, variance: our order within a layer.
PLACES = ("Convolution.weight", "Scale.weight", "Scale.bias", "BatchNorm.running_mean", "BatchNorm.running_var")


def averages(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Statistics divided by their layer's factor, and no factors."""
    result = {}
    for key, value in state.items():
        layer, _, blob = key.rpartition(".")
        factor = state.get(f"{layer}.scale_factor")
        if blob != "scale_factor":
            result[key] = value if factor is None else value / factor
    return result


def executed(keys: list[str]) -> list[str]:
    """Layer by layer, by their numbers; the classifier last."""

    def rank(key: str) -> tuple[float, int]:
        found = re.fullmatch(r"(\w+?)(\d+)(\.\w+)", key)
        place = found[1] + found[3] if found else ""
        return (int(found[2]), PLACES.index(place)) if found and place in PLACES else (float("inf"), 0)

    return sorted(keys, key=rank)


CONVERSIONS = {
    "official": Conversion(  # BGR, 0 to 255, less the mean
        Settings(preprocess=Preprocess(mean=(104 / 255, 117 / 255, 123 / 255), std=PER_255, channels="BGR")),
        change=averages,
        order=executed,
        sign=r"Convolution1\.weight",
    ),
}
