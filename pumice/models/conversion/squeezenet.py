"""SqueezeNet's weights: Caffe's, torchvision's."""

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import BILINEAR, PER_255, Conversion, Settings

CONVERSIONS = {
    "official": Conversion(  # Caffe: BGR, 0 to 255, less the mean
        Settings(preprocess=Preprocess(mean=(104 / 255, 117 / 255, 123 / 255), std=PER_255, channels="BGR"))
    ),
    "torchvision": Conversion(Settings(preprocess=BILINEAR)),
}
