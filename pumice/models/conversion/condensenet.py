"""CondenseNet's weights: the authors', of both forms; pytorchcv's, of the form that runs."""

from pumice.models.conversion.rule import BILINEAR, Conversion, Settings

MASK = "._mask"


def masks_last(keys: list[str]) -> list[str]:
    """The authors' layers register the mask before norm and convolution; ours is the convolution's own."""
    places = {key: i for i, key in enumerate(keys)}

    def rank(key: str) -> float:
        behind = key.removesuffix(MASK) + ".conv.weight"
        return places[behind] + 0.5 if key.endswith(MASK) and behind in places else places[key]

    return sorted(keys, key=rank)


CONVERSIONS = {
    "official": Conversion(  # how many prunings are done follows from how many inputs are gone
        Settings(preprocess=BILINEAR), drop=r"\._stage$", order=masks_last, sign=r"features\.init_conv\.weight"
    ),
}
