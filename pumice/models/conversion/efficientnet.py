"""EfficientNet's weights: TensorFlow's (timm's `tf_*`, and the packages that carry them)."""

from dataclasses import replace

from pumice.models.conversion.rule import TENSORFLOW

CONVERSIONS = {
    "official": replace(TENSORFLOW, sign=r"_conv_stem\.weight"),
}
