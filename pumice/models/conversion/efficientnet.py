"""EfficientNet's weights: TensorFlow's (timm's `tf_*`, and the packages that carry them) and retrained ones."""

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import BILINEAR, HALF, Conversion, Settings
from pumice.models.efficientnet import LITE_SCALES, SCALES

# The release resizes to 32 pixels more than it cuts.  Nets trained with AdvProp (timm's tag "ap") are fed as lite ones.
OFFICIAL = {
    f"efficientnet_{name}": Settings("same", 1e-3, Preprocess(crop_pct=size / (size + 32)))
    for name, (_, _, size, _) in SCALES.items()
}
LITE = {
    f"efficientnet_{name}": Settings("same", 1e-3, Preprocess(crop_pct=size / (size + 32), mean=HALF, std=HALF))
    for name, (_, _, size, _) in LITE_SCALES.items()
}
# torchvision's eps, and its crop in parts of the side to which it resizes
TORCHVISION = {
    "efficientnet_b0": Settings(),
    "efficientnet_b1": Settings(preprocess=Preprocess(crop_pct=240 / 255, interpolation="bilinear")),
    "efficientnet_b2": Settings(preprocess=Preprocess(crop_pct=1.0)),
    "efficientnet_b3": Settings(preprocess=Preprocess(crop_pct=300 / 320)),
    "efficientnet_b4": Settings(preprocess=Preprocess(crop_pct=380 / 384)),
    "efficientnet_b5": Settings(bn_eps=1e-3, preprocess=Preprocess(crop_pct=1.0)),
    "efficientnet_b6": Settings(bn_eps=1e-3, preprocess=Preprocess(crop_pct=1.0)),
    "efficientnet_b7": Settings(bn_eps=1e-3, preprocess=Preprocess(crop_pct=1.0)),
}
# Nets of pytorchcv whose names end in b hold TensorFlow's weights: "official".
CONVERSIONS = {
    **{f"official:{name}": Conversion(settings) for name, settings in (OFFICIAL | LITE).items()},
    **{f"torchvision:{name}": Conversion(settings) for name, settings in TORCHVISION.items()},
    "timm:efficientnet_b1": Conversion(Settings(preprocess=Preprocess(crop_pct=0.9, mean=HALF, std=HALF))),
    "official": Conversion(sign=r"_conv_stem\.weight"),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR)),
}
