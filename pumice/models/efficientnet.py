"""EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
arXiv:1905.11946.

From the paper: B0 (table 1).
From the authors' code (tensorflow/tpu, models/official/efficientnet): every number in SCALES and LITE_SCALES, which are
rounded by hand, not powers of alpha, beta and gamma; B8 and L2, which came with later papers; SE widths int(0.25 *
input), swish, batch norm averaging at 0.99; widths, the head's too, round to 8, repeats round up.  The lite nets have
no SE, ReLU6 everywhere, and do not scale stem, head and the repeats of the first and last stage.
Here another way: drop-connect is create_model's drop_path_rate (0.2 in the release, which counts i / N over all blocks,
ours over those with a residual, up to the whole rate).
"""

from pumice.models.heads import PoolLinear
from pumice.models.mbconv import Stage, blocks
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv
from pumice.models.spec import NetSpec, Variant

# fmt: off
STEM, LAST = 32, 1280
B0 = (  # table 1
    # r  k  s  e  out
    ( 1, 3, 1, 1,  16),
    ( 2, 3, 2, 6,  24),
    ( 2, 5, 2, 6,  40),
    ( 3, 3, 2, 6,  80),
    ( 3, 5, 1, 6, 112),
    ( 4, 5, 2, 6, 192),
    ( 1, 3, 1, 6, 320),
)
SCALES = {
    #      w    d  size  drop
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
    "b8": (2.2, 3.6, 672, 0.5),
    "l2": (4.3, 5.3, 800, 0.5),
}
LITE_SCALES = {
    #         w    d  size  drop
    "lite0": (1.0, 1.0, 224, 0.2),
    "lite1": (1.0, 1.1, 240, 0.2),
    "lite2": (1.1, 1.2, 260, 0.3),
    "lite3": (1.2, 1.4, 280, 0.3),
    "lite4": (1.4, 1.8, 300, 0.3),
}
# fmt: on


def net(width: float = 1.0, depth: float = 1.0, drop_rate: float = 0.2) -> NetSpec:
    """B0, scaled."""
    stages = [Stage(*line, se=True) for line in B0]
    rows = (
        Conv(3, make_divisible(STEM * width), 2, "SI"),
        *blocks(stages, width, depth, "SI"),
        Conv(1, make_divisible(LAST * width), 1, "SI"),
    )
    return NetSpec(rows, PoolLinear(drop_rate), bn_momentum=0.01)


def lite(width: float = 1.0, depth: float = 1.0, drop_rate: float = 0.2) -> NetSpec:
    """The lite nets: width and depth scale the stages, not the stem, the head or the first and last stage's repeats."""
    stages = [Stage(*line) for line in B0]
    rows = (Conv(3, STEM, 2, "R6"), *blocks(stages, width, depth, "R6", fix_stem_head=True), Conv(1, LAST, 1, "R6"))
    return NetSpec(rows, PoolLinear(drop_rate), bn_momentum=0.01)


LATER = {
    "b8": "defined with AdvProp, after the paper",
    "l2": "defined with Noisy Student, after the paper; 480 M weights",
}


def _variant(name: str) -> Variant:
    width, depth, size, drop_rate = (SCALES | LITE_SCALES)[name]
    return Variant(
        net if name in SCALES else lite,
        {"width": width, "depth": depth, "drop_rate": drop_rate},
        published=None if name in LATER else f"EfficientNet-{name if name in LITE_SCALES else name.upper()}",
        input_size=size,
        status="optional" if name in LATER else "exact",
        note=LATER.get(name, ""),
    )


VARIANTS = {f"efficientnet_{name}": _variant(name) for name in (*SCALES, *LITE_SCALES)}
