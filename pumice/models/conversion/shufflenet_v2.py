"""ShuffleNetV2's weights: Megvii's (the paper's nets, Large, ExLarge, ShuffleNetV2+), torchvision's, pytorchcv's."""

import re
from dataclasses import replace

from pumice.models.conversion.rule import BILINEAR, MEGVII, Conversion, Settings, shortcut_first

# The release takes the mean of every pixel of ImageNet away; these are its three channels' means.
MEAN = (103.0626 / 255, 115.9029 / 255, 123.1516 / 255)
LARGE_INPUT = replace(MEGVII.preprocess, mean=MEAN)


def down_last(keys: list[str]) -> list[str]:
    """The 1 x 1 convolution after a strided unit of Large is registered before the unit's other layers."""

    def rank(key: str) -> tuple[int, bool]:
        found = re.match(r"features\.\d+\.\w+\.", key)
        if found is None:
            return keys.index(key), False
        return next(i for i, k in enumerate(keys) if k.startswith(found[0])), key.startswith(found[0] + "down.")

    return sorted(keys, key=rank)


# Every SE's layers are there twice, under their own names and in `se_block`.
SE_TWICE = r"\.se_fc\d\.|^predict_"
CONVERSIONS = {
    "official": Conversion(
        MEGVII,
        order=shortcut_first(r"(?P<unit>.+\.)branch_(?P<shortcut>proj)?"),
        sign=r"first_conv\.0\.(conv\.)?weight",
    ),
    "official:shufflenetv2_large": Conversion(
        Settings(bn_eps=1e-9, preprocess=LARGE_INPUT), drop=SE_TWICE, order=down_last
    ),
    "official:shufflenetv2_exlarge": Conversion(MEGVII, drop=SE_TWICE),
    "torchvision": Conversion(Settings(preprocess=BILINEAR)),
    # pytorchcv's stem pools without padding, one pixel off torchvision's: fine to start training from, not to ship.
    "pytorchcv": Conversion(order=shortcut_first(r"(?P<unit>.+\.unit\d+\.)\w+?(?P<shortcut>[45])?\.")),
}
