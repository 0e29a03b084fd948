"""ShuffleNetV2's weights: Megvii's, torchvision's, pytorchcv's."""

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import BILINEAR, PER_255, Conversion, Settings, shortcut_first

CONVERSIONS = {
    "official": Conversion(  # BGR, 0 to 255
        Settings(preprocess=Preprocess(mean=(0.0, 0.0, 0.0), std=PER_255, channels="BGR", interpolation="bilinear")),
        order=shortcut_first(r"(?P<unit>.+\.)branch_(?P<shortcut>proj)?"),
        sign=r"first_conv\.0\.weight",
    ),
    "torchvision": Conversion(Settings(preprocess=BILINEAR)),
    # pytorchcv's stem pools without padding, one pixel off torchvision's: fine to start training from, not to ship.
    "pytorchcv": Conversion(order=shortcut_first(r"(?P<unit>.+\.unit\d+\.)\w+?(?P<shortcut>[45])?\.")),
}
