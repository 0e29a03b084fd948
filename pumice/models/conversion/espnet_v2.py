"""ESPNetV2's weights: the authors' classifiers, segmenters and detectors, and pytorchcv's classifiers."""

import re

from pumice.models.conversion.rule import BILINEAR, Conversion, Settings

# Where a unit's file lists its parts in another order than it runs them.  What is not named here stays behind.
PARTS = ("proj_1x1", "spp_dw", "br_after_cat", "projection_layer", "stages")
CV_PARTS = ("reduce_conv", "branches", "preactiv")
DECODER = (
    *("bu_dec_l1.", "merge_enc_dec_l2.", "bu_br_l2.", "bu_dec_l2.", "merge_enc_dec_l3.", "bu_br_l3.", "bu_dec_l3."),
    *("merge_enc_dec_l4.", "bu_br_l4.", "bu_dec_l4."),
)


def _parts_in_order(keys: list[str], parts: tuple[str, ...]) -> list[str]:
    """Each unit's parts, where its first one stands; then what the unit has besides."""

    def unit(key: str) -> tuple[str, int]:
        found = re.match(rf"(?P<unit>.*\.)(?P<part>{'|'.join(parts)})\.", key)
        return ("", len(parts)) if found is None else (found["unit"], parts.index(found["part"]))

    first: dict[str, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(unit(key)[0] or key, i)
    return sorted(keys, key=lambda key: (first[unit(key)[0] or key], unit(key)[1]))


def _official(keys: list[str]) -> list[str]:
    def rank(key: str) -> int:
        return next((i for i, start in enumerate(DECODER, 1) if key.startswith(start)), 0)

    return _parts_in_order(sorted(keys, key=rank), PARTS)


def _pytorchcv(keys: list[str]) -> list[str]:
    return _parts_in_order(keys, CV_PARTS)


CONVERSIONS = {
    "official": Conversion(
        Settings(preprocess=BILINEAR),
        # Never called: the activation inside strided units, and a classifier's look at the image at 1/32.
        drop=r"level\d_0\.eesp\.module_act\.|^level5_0\.inp_reinf\.",
        order=_official,
        sign=r"(base_net\.)?(basenet\.)?level1\.conv\.weight",
    ),
    "pytorchcv": Conversion(Settings(preprocess=BILINEAR), order=_pytorchcv),
}
