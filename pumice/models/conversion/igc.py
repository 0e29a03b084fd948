"""IGC's weights: MXNet's (IGCV1's and IGCV3's releases); pytorchcv's are in our order.

A parameter file of MXNet has no order, so keys go by what their names say:
`g2_b1_proj_conv_weight`, `g2_b1_conv1_conv2_weight`, `g2_b1_conv1_bn_gamma`, ..., `fc_score_weight` in IGCV1 (its
builders say `igc1` or `p2_two1` for `conv1`, `p0_line` for `proj`), and
`seq-1-block0-exp-conv2d_weight`, `seq-1-block0-exp-batchnorm_gamma`, ..., `fc_weight` in IGCV3.
"""

import re
from dataclasses import replace

from torch import Tensor

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import Conversion, Settings

PARTS = ("weight", "bias", "gamma", "beta", "moving_mean", "moving_var")
LAYERS = ("conv", "conv2d", "conv1", "conv2", "bn", "batchnorm")
UNITS = ("proj", "p0_line", "", "conv1", "igc1", "p2_two1", "exp", "conv2", "igc2", "p2_two2", "depthwise", "linear")
KEY = re.compile(
    rf"(?:g(?P<g>\d+)_|seq-(?P<seq>\d+)-|(?P<first>first)-3x3-conv-|(?P<last>last)-1x1-conv-)?"
    rf"(?:b(?:lock)?(?P<b>\d+)[_-])?(?:(?P<unit>{'|'.join(filter(None, UNITS))})[_-])??"
    rf"(?P<layer>{'|'.join(LAYERS)}|fc|fc_score)_(?P<part>{'|'.join(PARTS)})"
)


def bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys without the file format's "arg:" and "aux:"."""
    return {re.sub(r"^(arg|aux):", "", key): value for key, value in state.items()}


def executed(keys: list[str]) -> list[str]:
    """By stage, block, unit (shortcuts first), layer and part; the classifier last."""

    def rank(key: str) -> tuple[float, ...]:
        found = KEY.fullmatch(key)
        if found is None or found["layer"].startswith("fc"):
            return (float("inf"), 0, 0, 0, 0 if key.endswith("weight") else 1)
        stage = 99 if found["last"] else -1 if found["first"] else int(found["g"] or found["seq"] or 0)
        unit, layer = UNITS.index(found["unit"] or ""), LAYERS.index(found["layer"])
        return (stage, int(found["b"] or 0), unit, layer, PARTS.index(found["part"]))

    return sorted(keys, key=rank)


def scaled(mean: tuple[float, ...], std: tuple[float, ...] = (1.0, 1.0, 1.0), crop_pct: float = 0.875) -> Preprocess:
    """Pixels from 0 to 255, less the mean, by std."""
    return Preprocess(mean=tuple(m / 255 for m in mean), std=tuple(s / 255 for s in std), crop_pct=crop_pct)


IMAGENET = Settings("symmetric", 2e-5, scaled((123.370, 112.757, 99.406), (68.998, 66.093, 68.292)))
CIFAR10 = Settings("symmetric", 2e-5, scaled((125.307, 122.950, 113.865), (62.993, 62.089, 66.705), 1.0))
OFFICIAL = Conversion(
    Settings(preprocess=scaled((123.68, 116.779, 103.939))),
    change=bare,
    order=executed,
    sign=r"(arg:)?(g0_conv_weight|first-3x3-conv-conv2d_weight)",
)
CONVERSIONS = {
    "official:igcv1_*_cifar": replace(OFFICIAL, settings=CIFAR10),
    "official:igcv1_*": replace(OFFICIAL, settings=IMAGENET),
    "official": OFFICIAL,
}
