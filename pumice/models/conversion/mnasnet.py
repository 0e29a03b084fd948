"""MnasNet's weights: TensorFlow's (ImageNet's mean and deviation, not 0.5), torchvision's, pytorchcv's."""

from pumice.models.conversion.rule import BILINEAR, BILINEAR_232, Conversion, Settings

CONVERSIONS = {
    "official": Conversion(Settings("same", 1e-3)),
    "torchvision": Conversion(
        Settings(preprocess=BILINEAR),
        nets={name: Settings(preprocess=BILINEAR_232) for name in ("mnasnet_075", "mnasnet_130")},
    ),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR)),
}
