"""FBNetV2: Wan et al., "FBNetV2: Differentiable Neural Architecture Search for Spatial and Channel Dimensions",
CVPR 2020, arXiv:2004.05565.

From the authors' code (github.com/facebookresearch/mobile-vision, commit bb8465c): every number in F0 to L1, the
rounding of hidden and squeezed widths, norms that start at 0 at the end of residual branches, and the width multiplier
(every width, the last one too, times it, cut to an integer and rounded as hidden widths are).
Where silent: no dropout, as in the released class.  F2, F3 are F1 at other resolutions (F3 with a wider last layer),
L2 is L1 at 256 pixels.
"""

from pumice.models.fbnet_blocks import IR, Pool, Rows, Skip, SqueezeOf, scaled_net
from pumice.models.rows import Conv
from pumice.models.spec import NetSpec, Variant

SE: SqueezeOf = "hidden"

# fmt: off
F0: Rows = (
    Conv(3,   8, 2,              "HS", bias=True),
    #  k  out  s       e  SE     NL
    IR(5,   8, 1, 1     , "",    "HS"),
    IR(5,  16, 2, 4     , "",    "HS"),
    IR(5,  16, 1, 3     , "",    "HS"),
    IR(5,  24, 2, 4     , SE,    "RE"),
    IR(5,  24, 1, 3     , SE,    "RE"),
    IR(5,  48, 2, 4     , SE,    "HS"),
    IR(3,  48, 1, 3     , SE,    "HS"),
    IR(5,  64, 1, 3     , SE,    "HS"),
    IR(5,  64, 1, 2     , SE,    "HS"),
    IR(3, 128, 2, 3     , SE,    "HS"),
    IR(5, 160, 1, 3     , SE,    "HS"),
    Skip(192),
)
F1: Rows = (
    Conv(3,   8, 2,              "HS", bias=True),
    IR(5,   8, 1, 1     , "",    "RE"),
    IR(5,  24, 2, 5.4566, "",    "RE"),
    IR(5,  24, 1, 4.7912, "",    "RE"),
    IR(5,  32, 2, 5.3501, SE,    "RE"),
    IR(5,  24, 1, 4.5379, SE,    "RE"),
    IR(5,  56, 2, 5.7133, "",    "HS"),
    IR(3,  56, 1, 4.1212, "",    "HS"),
    IR(3,  56, 1, 5.1246, SE,    "HS"),
    Skip(80),
    IR(5,  80, 1, 4.5070, SE,    "HS"),
    IR(5,  80, 1, 1.7712, SE,    "HS"),
    IR(3, 144, 2, 4.5685, SE,    "HS"),
    IR(5, 144, 1, 5.8400, SE,    "HS"),
    IR(5, 144, 1, 6.8754, SE,    "HS"),
    Skip(224),
)
F4: Rows = (
    Conv(3,  16, 2,              "HS", bias=True),
    IR(3,  16, 1, 1     , "",    "HS"),
    IR(5,  24, 2, 5.4566, "",    "HS"),
    IR(5,  24, 1, 1.7912, "",    "HS"),
    IR(5,  24, 1, 1.7912, "",    "HS"),
    IR(5,  32, 2, 5.3501, SE,    "RE"),
    IR(5,  32, 1, 3.5379, SE,    "RE"),
    IR(5,  32, 1, 4.5379, SE,    "RE"),
    IR(5,  32, 1, 4.5379, SE,    "RE"),
    IR(5,  64, 2, 5.7133, "",    "HS"),
    IR(3,  64, 1, 2.1212, "",    "HS"),
    Skip(64),
    IR(3, 104, 1, 5.0333, "",    "HS"),
    IR(5, 104, 1, 2.5070, SE,    "HS"),
    IR(5, 104, 1, 1.7712, SE,    "HS"),
    IR(5, 112, 1, 3.7712, SE,    "HS"),
    IR(3, 184, 2, 5.5685, SE,    "HS"),
    IR(5, 184, 1, 2.8400, SE,    "HS"),
    IR(5, 184, 1, 4.8754, SE,    "HS"),
    Skip(224),
)
L1: Rows = (
    Conv(3,  16, 2,              "HS", bias=True),
    IR(3,  16, 1, 1     , "",    "HS"),
    IR(5,  24, 2, 5.4566, "",    "HS"),
    IR(5,  24, 1, 1.7912, "",    "HS"),
    IR(3,  24, 1, 1.7912, "",    "HS"),
    IR(5,  24, 1, 1.7912, "",    "HS"),
    IR(5,  40, 2, 5.3501, SE,    "HS"),
    IR(5,  32, 1, 3.5379, SE,    "HS"),
    IR(5,  32, 1, 4.5379, SE,    "HS"),
    IR(5,  32, 1, 4.5379, SE,    "HS"),
    IR(5,  64, 2, 5.7133, "",    "HS"),
    IR(3,  64, 1, 2.1212, "",    "HS"),
    Skip(64),
    IR(3,  64, 1, 3.1246, "",    "HS"),
    IR(3, 112, 1, 5.0333, "",    "HS"),
    IR(5, 112, 1, 2.5070, SE,    "HS"),
    IR(5, 112, 1, 1.7712, SE,    "HS"),
    IR(5, 112, 1, 2.7712, SE,    "HS"),
    IR(5, 112, 1, 3.7712, SE,    "HS"),
    IR(5, 112, 1, 3.7712, SE,    "HS"),
    IR(3, 184, 2, 5.5685, SE,    "HS"),
    IR(5, 184, 1, 2.8400, SE,    "HS"),
    IR(5, 184, 1, 2.8400, SE,    "HS"),
    IR(5, 184, 1, 4.8754, SE,    "HS"),
    IR(5, 184, 1, 4.8754, SE,    "HS"),
    Skip(224),
)
# fmt: on


def f0(width: float = 1.0) -> NetSpec:
    """FBNetV2-F0."""
    return scaled_net(F0, Pool(1280, 4), width)


def f1(width: float = 1.0) -> NetSpec:
    """FBNetV2-F1, and F2 at 160 pixels."""
    return scaled_net(F1, Pool(1600, 6), width)


def f3(width: float = 1.0) -> NetSpec:
    """FBNetV2-F3: F1 with a wider last layer."""
    return scaled_net(F1, Pool(1984, 6), width)


def f4(width: float = 1.0) -> NetSpec:
    """FBNetV2-F4."""
    return scaled_net(F4, Pool(1984, 6), width)


def l1(width: float = 1.0) -> NetSpec:
    """FBNetV2-L1, and L2 at 256 pixels."""
    return scaled_net(L1, Pool(1984, 6), width)


VARIANTS = {
    "fbnetv2_f0": Variant(
        f0,
        published="FBNetV2-F0",
        note="in the authors' repository only, whose 1.53 M parameters and 65.2 M multiply-adds leave out the "
        "classifier",
    ),
    "fbnetv2_f1": Variant(f1, published="FBNetV2-F1", input_size=128),
    "fbnetv2_f2": Variant(f1, published="FBNetV2-F2", input_size=160, note="the layers of fbnetv2_f1 at 160 pixels"),
    "fbnetv2_f3": Variant(f3, published="FBNetV2-F3", input_size=192),
    "fbnetv2_f4": Variant(f4, published="FBNetV2-F4"),
    "fbnetv2_l1": Variant(l1, published="FBNetV2-L1"),
    "fbnetv2_l2": Variant(l1, published="FBNetV2-L2", input_size=256, note="the layers of fbnetv2_l1 at 256 pixels"),
}
