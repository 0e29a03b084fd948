"""MobileNetV3's weights: TensorFlow's (timm's `tf_*`), torchvision's."""

from pumice.models.conversion.rule import BILINEAR, TENSORFLOW, Conversion, Settings

CONVERSIONS = {
    "official": TENSORFLOW,
    "torchvision": Conversion(Settings("symmetric", 1e-3, BILINEAR)),
}
