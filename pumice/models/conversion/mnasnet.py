"""MnasNet's weights: TensorFlow's (ImageNet's mean and deviation, not 0.5), torchvision's, pytorchcv's."""

from pumice.models.conversion.rule import BILINEAR, BILINEAR_232, Conversion, Settings

CONVERSIONS = {
    "official": Conversion(Settings("same", 1e-3)),
    "torchvision:mnasnet_075": Conversion(Settings(preprocess=BILINEAR_232)),
    "torchvision:mnasnet_130": Conversion(Settings(preprocess=BILINEAR_232)),
    "torchvision": Conversion(Settings(preprocess=BILINEAR)),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR)),
}
