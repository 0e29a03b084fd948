"""WeightNet's weights: Megvii's, in MegEngine's layout.

MegEngine keeps grouped convolutions as (groups, O / groups, I / groups, k, k), which our weights are with the first two
axes joined, biases and norms as (1, C, 1, 1), and sorts its keys.  Its files are pickles of arrays: they must be saved
as tensors first.
"""

import re

from torch import Tensor

from pumice.models.conversion.rule import MEGVII, Conversion

PARTS = ("first_conv", "features", "conv_last", "classifier")
UNIT = ("reduce", "wnet1", "bn1", "wnet2", "bn2", "wnet3", "bn3")
SHORTCUT = ("wnet_proj_1", "bn_proj_1", "wnet_proj_2", "bn_proj_2")
TENSORS = ("weight", "bias", "running_mean", "running_var")
KEY = re.compile(
    rf"(?P<part>{'|'.join(PARTS)})\.(?P<number>\d+)\."
    rf"((?P<module>{'|'.join(UNIT + SHORTCUT)})\.)?(wn_fc(?P<layer>\d)\.)?(?P<tensor>{'|'.join(TENSORS)})"
)


def joined(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Grouped weights with one axis for all outputs."""
    return {key: value.flatten(0, 1) if value.ndim == 5 else value for key, value in state.items()}


def executed(keys: list[str]) -> list[str]:
    """Keys in order of execution, whatever order they come in."""

    def rank(key: str) -> tuple[int, ...]:
        found = KEY.fullmatch(key)
        if found is None:
            return (len(PARTS),)  # of another net; its shape or number will be refused
        part, number, module = PARTS.index(found["part"]), int(found["number"]), found["module"]
        place = (UNIT + SHORTCUT).index(module) if module else 0
        return part, number, place, int(found["layer"] or 0), TENSORS.index(found["tensor"])

    return sorted(keys, key=rank)


CONVERSIONS = {
    "official": Conversion(MEGVII, change=joined, order=executed, sign=r"first_conv\.0\.weight"),
}
