"""MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, arXiv:1801.04381.

From the paper: every number in TABLE (table 2); the first block, t = 1, has no expansion.
From the authors' code (TF-slim, nets/mobilenet): widths round to 8 and never under 0.9 of their value, the expansion is
6 times the *rounded* input, the last convolution keeps its 1280 channels below width 1, dropout 0.2.
Here another way: weights start by He's rule where slim draws from N(0, 0.09), and batch norm averages at 0.99, as
MobileNetV3's paper has it, where slim has 0.997.
"""

from pumice.models.heads import PoolLinear
from pumice.models.mbconv import Stage, blocks
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv
from pumice.models.spec import NetSpec, Variant

# fmt: off
STEM, LAST = 32, 1280
TABLE = (  # table 2
    # t    c  n  s
    ( 1,  16, 1, 1),
    ( 6,  24, 2, 2),
    ( 6,  32, 3, 2),
    ( 6,  64, 4, 2),
    ( 6,  96, 3, 1),
    ( 6, 160, 3, 2),
    ( 6, 320, 1, 1),
)
# fmt: on


def net(width: float = 1.0, depth: float = 1.0, fix_stem_head: bool = False) -> NetSpec:
    """Table 2.

    depth, fix_stem_head: timm's, not the paper's.  The repeats of a stage scale and round up; a fixed net keeps the
    widths of its first and last convolution and the repeats of its first and last stage.
    """
    stages = [Stage(n, 3, s, t, c) for t, c, n, s in TABLE]
    rows = (
        Conv(3, STEM if fix_stem_head else make_divisible(STEM * width), 2, "R6"),
        *blocks(stages, width, depth, "R6", fix_stem_head=fix_stem_head),
        Conv(1, LAST if fix_stem_head else max(LAST, make_divisible(LAST * width)), 1, "R6"),
    )
    return NetSpec(rows, PoolLinear(0.2), bn_momentum=0.01)


DEEPER = "timm's scaling of depth and width, not in the paper"
VARIANTS = {
    "mobilenetv2_035": Variant(net, {"width": 0.35}, published="MobileNetV2 0.35"),
    "mobilenetv2_050": Variant(net, {"width": 0.5}, published="MobileNetV2 0.5"),
    "mobilenetv2_075": Variant(net, {"width": 0.75}, published="MobileNetV2 0.75"),
    "mobilenetv2_100": Variant(net, published="MobileNetV2 1.0"),
    "mobilenetv2_140": Variant(
        net,
        {"width": 1.4},
        published="MobileNetV2 1.4",
        note="the paper's 6.9 M parameters are not this net's, which the authors' README gives as 6.06 M without norms",
    ),
    "mobilenetv2_130": Variant(net, {"width": 1.3}, published="MobileNetV2 1.3"),
    "mobilenetv2_110d": Variant(
        net, {"width": 1.1, "depth": 1.2, "fix_stem_head": True}, status="optional", note=DEEPER
    ),
    "mobilenetv2_120d": Variant(
        net, {"width": 1.2, "depth": 1.4, "fix_stem_head": True}, status="optional", note=DEEPER
    ),
}
