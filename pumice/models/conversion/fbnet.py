"""FBNet's weights, all three versions: the authors', timm's, pytorchcv's."""

from pumice.models.conversion.rule import BILINEAR, Conversion, Settings

CONVERSIONS = {
    "official": Conversion(Settings(preprocess=BILINEAR), sign=r"backbone\.stages\.xif0_0\."),
    "timm": Conversion(Settings(preprocess=BILINEAR)),
    "pytorchcv": Conversion(Settings(bn_eps=1e-3)),
}
