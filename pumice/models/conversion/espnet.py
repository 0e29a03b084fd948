"""ESPNet's weights: the authors' encoders (ESPNet-C) and decoders (ESPNet)."""

from pumice.data.preprocess import Preprocess
from pumice.models.conversion.rule import Conversion, Settings

# Their file lists the decoder's layers in another order than it runs them.
DECODER = ("br.", "up_l3.", "level3_C.", "combine_l2_l3.", "up_l2.", "conv.", "classifier.")


def _in_order(keys: list[str]) -> list[str]:
    def rank(key: str) -> int:
        return next((i for i, start in enumerate(DECODER, 1) if key.startswith(start)), 0)

    return sorted(keys, key=rank)


# Cityscapes' mean and standard deviation, BGR, 0 to 255; then they divide by 255 once more: (x - mean) / (255 std).
CITYSCAPES = Preprocess(
    crop_pct=1.0,
    interpolation="bilinear",
    mean=(72.3923111 / 255, 82.90893555 / 255, 73.15840149 / 255),
    std=(45.3192215, 46.15289307, 44.91483307),
    channels="BGR",
)

CONVERSIONS = {
    "official": Conversion(
        Settings(bn_eps=1e-3, preprocess=CITYSCAPES), order=_in_order, sign=r"(encoder\.)?level1\.conv\.weight"
    ),
}
