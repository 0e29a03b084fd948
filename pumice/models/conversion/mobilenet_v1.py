"""MobileNetV1's weights: TensorFlow's, timm's, pytorchcv's."""

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import BILINEAR, HALF, TENSORFLOW, Conversion, Settings

CONVERSIONS = {
    "official": TENSORFLOW,
    "timm:mobilenetv1_125": Conversion(Settings(preprocess=Preprocess(crop_pct=0.9, mean=HALF, std=HALF))),
    "timm": Conversion(Settings(preprocess=Preprocess(mean=HALF, std=HALF))),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR)),  # for ReLU: into a net made with act="RE"
}
