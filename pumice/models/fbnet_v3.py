"""FBNetV3: Dai et al., "FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining", CVPR 2021,
arXiv:2006.02049.

From the authors' code (github.com/facebookresearch/mobile-vision, commit bb8465c): every number in A0 to TEACHER, the
paddings below (k - 1) / 2 of some strided blocks, squeezed widths of a quarter of the block's input, norms that start
at 0 at the end of residual branches, and the width multiplier of FBNetV2.
Where silent: no dropout, as in the released class.  Where a dense task takes a stride away, its odd padding goes too.

The odd paddings make maps smaller than an even division says (A has 13 and 6 pixels at 224, not 14 and 7), and set the
least size of an image.  timm's fbnetv3_b, fbnetv3_d and fbnetv3_g pad evenly and lack the stem's bias: other nets.
"""

from pumice.models.fbnet_blocks import IR, Pool, Rows, SqueezeOf, scaled_net
from pumice.models.rows import Conv
from pumice.models.sides import Sides
from pumice.models.spec import NetSpec, Variant

SE: SqueezeOf = "input"

# fmt: off
A0: Rows = (
    Conv(3,  12, 2,     "HS", bias=True),
    #   k  out  s  e
    IR(3,  12, 1, 1),
    IR(3,  24, 2, 4),
    *[IR(3,  24, 1, 2)] * 2,
    IR(3,  40, 2, 4, SE),
    *[IR(3,  40, 1, 2, SE)] * 2,
    IR(5,  72, 2, 4),
    *[IR(3,  72, 1, 3)] * 2,
    IR(3, 104, 1, 4, SE),
    *[IR(5, 104, 1, 3, SE)] * 3,
    IR(3, 176, 2, 4, SE),
    *[IR(3, 176, 1, 4, SE)] * 3,
    IR(3, 208, 1, 5, SE),
)
A: Rows = (
    Conv(3,  16, 2,     "HS", bias=True),
    *[IR(3,  16, 1, 1)] * 2,
    IR(5,  24, 2, 4),
    *[IR(5,  24, 1, 2)] * 3,
    IR(5,  40, 2, 5, SE),
    *[IR(5,  40, 1, 3, SE)] * 4,
    IR(5,  72, 2, 5, padding=1),
    *[IR(3,  72, 1, 3)] * 4,
    IR(3, 120, 1, 5, SE),
    *[IR(5, 120, 1, 3, SE)] * 5,
    IR(3, 184, 2, 6, SE, padding=0),
    *[IR(5, 184, 1, 4, SE)] * 5,
    IR(5, 224, 1, 6, SE),
)
C: Rows = (
    Conv(3,  16, 2,     "HS", bias=True),
    *[IR(3,  16, 1, 1)] * 2,
    IR(5,  24, 2, 5),
    *[IR(3,  24, 1, 3)] * 4,
    IR(5,  48, 2, 5, SE),
    *[IR(5,  48, 1, 2, SE)] * 4,
    IR(5,  88, 2, 4, padding=1),
    *[IR(3,  88, 1, 3)] * 4,
    IR(3, 120, 1, 4, SE),
    *[IR(5, 120, 1, 3, SE)] * 5,
    IR(5, 216, 2, 5, SE, padding=1),
    *[IR(5, 216, 1, 5, SE)] * 5,
    IR(5, 216, 1, 6, SE),
)
D: Rows = (
    Conv(3,  24, 2,     "HS", bias=True),
    *[IR(3,  16, 1, 1)] * 2,
    IR(3,  24, 2, 5),
    *[IR(3,  24, 1, 2)] * 5,
    IR(5,  40, 2, 4, SE),
    *[IR(3,  40, 1, 3, SE)] * 4,
    IR(3,  72, 2, 5),
    *[IR(3,  72, 1, 3)] * 4,
    IR(3, 128, 1, 5, SE),
    *[IR(5, 128, 1, 3, SE)] * 6,
    IR(3, 208, 2, 6, SE),
    *[IR(5, 208, 1, 5, SE)] * 5,
    IR(5, 240, 1, 6, SE),
)
E: Rows = (
    Conv(3,  24, 2,     "HS", bias=True),
    *[IR(3,  16, 1, 1)] * 3,
    IR(5,  24, 2, 4),
    *[IR(5,  24, 1, 2)] * 4,
    IR(5,  48, 2, 4, SE),
    *[IR(5,  48, 1, 3, SE)] * 4,
    IR(5,  80, 2, 5, padding=1),
    *[IR(3,  80, 1, 3)] * 4,
    IR(3, 128, 1, 5, SE),
    *[IR(5, 128, 1, 3, SE)] * 7,
    IR(3, 216, 2, 6, SE),
    *[IR(5, 216, 1, 5, SE)] * 5,
    IR(5, 240, 1, 6, SE),
)
F: Rows = (
    Conv(3,  24, 2,     "HS", bias=True),
    *[IR(3,  24, 1, 1)] * 3,
    IR(5,  32, 2, 4),
    *[IR(5,  32, 1, 2)] * 4,
    IR(5,  56, 2, 4, SE),
    *[IR(5,  56, 1, 3, SE)] * 4,
    IR(5,  88, 2, 5),
    *[IR(3,  88, 1, 3)] * 4,
    IR(3, 144, 1, 5, SE),
    *[IR(5, 144, 1, 3, SE)] * 8,
    IR(3, 248, 2, 6, SE, padding=0),
    *[IR(5, 248, 1, 5, SE)] * 6,
    IR(5, 272, 1, 6, SE),
)
G: Rows = (
    Conv(3,  32, 2,     "HS", bias=True),
    *[IR(3,  24, 1, 1)] * 3,
    IR(5,  40, 2, 4),
    *[IR(5,  40, 1, 2)] * 4,
    IR(5,  56, 2, 4, SE),
    *[IR(5,  56, 1, 3, SE)] * 4,
    IR(5, 104, 2, 5),
    *[IR(3, 104, 1, 3)] * 4,
    IR(3, 160, 1, 5, SE),
    *[IR(5, 160, 1, 3, SE)] * 8,
    IR(3, 264, 2, 6, SE),
    *[IR(5, 264, 1, 5, SE)] * 6,
    *[IR(5, 288, 1, 6, SE)] * 2,
)
TEACHER: Rows = (  # 20G; middle: the release's dw_group_ratio
    Conv(3,  32, 2,     "HS", bias=True),
    *[IR(3,  32, 1, 1,     middle=32)] * 2,
    IR(5, 108, 2, 4,     middle=64),
    *[IR(5, 108, 1, 1,     middle=54)] * 5,
    IR(5, 160, 2, 2, SE, middle=108),
    *[IR(5, 160, 1, 2, SE, middle=80)] * 5,
    IR(5, 256, 2, 2,     middle=80),
    *[IR(3, 256, 1, 2,     middle=128)] * 6,
    IR(3, 348, 1, 2, SE, middle=116),
    *[IR(5, 348, 1, 2, SE, middle=116)] * 9,
    IR(3, 580, 2, 2, SE, middle=116),
    *[IR(5, 580, 1, 2, SE, middle=116)] * 10,
)
# fmt: on


def a0(width: float = 1.0) -> NetSpec:
    """FBNetV3-A0."""
    return scaled_net(A0, Pool(1984, 5), width)


def a(width: float = 1.0) -> NetSpec:
    """FBNetV3-A, and B at 248 pixels."""
    return scaled_net(A, Pool(1984, 6), width, Sides(least=49))


def c(width: float = 1.0) -> NetSpec:
    """FBNetV3-C."""
    return scaled_net(C, Pool(1984, 6), width, Sides(least=49))


def d(width: float = 1.0) -> NetSpec:
    """FBNetV3-D."""
    return scaled_net(D, Pool(1984, 6), width)


def e(width: float = 1.0) -> NetSpec:
    """FBNetV3-E."""
    return scaled_net(E, Pool(1984, 6), width, Sides(least=17))


def f(width: float = 1.0) -> NetSpec:
    """FBNetV3-F."""
    return scaled_net(F, Pool(1984, 6), width, Sides(least=33))


def g(width: float = 1.0) -> NetSpec:
    """FBNetV3-G."""
    return scaled_net(G, Pool(1984, 6), width)


def teacher(width: float = 1.0) -> NetSpec:
    """The net of 20 G multiply-adds that taught the others; widths go by grouped, not depthwise, convolutions."""
    return scaled_net(TEACHER, Pool(3200, 6), width)


EVEN = "timm's net of this name {}: another net"
VARIANTS = {
    "fbnetv3_a0": Variant(a0, published="FBNetV3-A0"),
    "fbnetv3_a": Variant(a, published="FBNetV3-A"),
    "fbnetv3_b": Variant(
        a,
        published="FBNetV3-B",
        input_size=248,
        note="the layers of fbnetv3_a at 248 pixels; " + EVEN.format("pads evenly and lacks the stem's bias"),
    ),
    "fbnetv3_c": Variant(c, published="FBNetV3-C", input_size=248),
    "fbnetv3_d": Variant(
        d, published="FBNetV3-D", input_size=248, note=EVEN.format("lacks the stem's bias and has other weights")
    ),
    "fbnetv3_e": Variant(e, published="FBNetV3-E", input_size=264),
    "fbnetv3_f": Variant(f, published="FBNetV3-F", input_size=272),
    "fbnetv3_g": Variant(
        g, published="FBNetV3-G", input_size=320, note=EVEN.format("lacks the stem's bias and has other weights")
    ),
    "fbnetv3_20g": Variant(
        teacher,
        published="FBNetV3-20G",
        input_size=256,
        status="optional",
        note="the release's comment says 101 M parameters, its layers have 104.6 M",
    ),
}
