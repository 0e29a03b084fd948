"""MobileNetV3's weights: TensorFlow's (timm's `tf_*`), torchvision's, timm's own."""

from dataclasses import replace

from pumice.models.conversion.rule import BILINEAR, BILINEAR_232, TENSORFLOW, Conversion, Settings

CONVERSIONS = {
    "official": TENSORFLOW,
    "torchvision:mobilenetv3_large_100": Conversion(Settings("symmetric", 1e-3, BILINEAR_232)),
    "torchvision": Conversion(Settings("symmetric", 1e-3, BILINEAR)),
    # The one net of timm's here whose default weights are not fed ImageNet's mean and deviation.
    "timm:mobilenetv3_large_150d": Conversion(
        Settings(preprocess=replace(TENSORFLOW.settings.preprocess, crop_pct=0.95))
    ),
}
