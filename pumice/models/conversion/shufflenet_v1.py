"""ShuffleNetV1's weights: Megvii's.

pytorchcv's files load by order into nets of `layout="pytorchcv"`.  There is no conversion into the release's layout,
whose classifier has no bias, and whose shuffle and concatenation run the other way round.
"""

from pumice.models.conversion.rule import MEGVII, Conversion

CONVERSIONS = {
    "official": Conversion(MEGVII, sign=r"first_conv\.0\.weight"),
}
