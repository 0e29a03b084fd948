"""FBNet: Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019, arXiv:1812.03443.

From the paper: MACRO (table 1), the candidates (table 2), and the layers of FBNet-S8 and FBNet-iPhoneX (figure 4, as
a third party transcribed it).
From the authors' code (github.com/facebookresearch/mobile-vision, commit bb8465c): every layer of A, B, C and 96, the
widths of the last convolutions, biases under the norms of A, B and C (of 96 only outside its blocks), and that a block
of expansion 1 has no first 1 x 1 convolution, though its shuffle stays.  The paper's B and C had blocks of two 3 x 3
convolutions, which the release replaced; the release runs.
Where silent: the last convolution of S8 and iPhoneX is A's, and they have A's biases.  A width multiplier rounds up to
multiples of 8, as the channels of FBNet-96 show (8.4 -> 16), and leaves the last convolution alone when it shrinks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pumice.models.fbnet_blocks import IR, Skip
from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, Row
from pumice.models.spec import NetSpec, Variant

Layout = Literal["official", "timm"]


@dataclass(frozen=True)
class Candidate:
    """One line of table 2: kernel, expansion, groups of the 1 x 1 convolutions; the last line is `SKIP`."""

    kernel_size: int
    expand: int
    groups: int = 1


# fmt: off
# table 1, the searched layers: f, n, s
MACRO = (
    ( 16, 1, 1),
    ( 24, 4, 2),
    ( 32, 4, 2),
    ( 64, 4, 2),
    (112, 4, 1),
    (184, 4, 2),
    (352, 1, 1),
)
# table 2
K3_E1    = Candidate(3, 1)
K3_E1_G2 = Candidate(3, 1, groups=2)
K3_E3    = Candidate(3, 3)
K3_E6    = Candidate(3, 6)
K5_E1    = Candidate(5, 1)
K5_E1_G2 = Candidate(5, 1, groups=2)
K5_E3    = Candidate(5, 3)
K5_E6    = Candidate(5, 6)
SKIP     = Candidate(0, 0)

A = (
    SKIP,
    K3_E3, K3_E1,    SKIP,     SKIP,
    K5_E6, K3_E3,    K5_E1,    K3_E3,
    K5_E6, K5_E3,    K5_E1_G2, K5_E6,
    K3_E6, K5_E1_G2, K5_E3,    K3_E1_G2,
    K5_E6, K5_E6,    K5_E3,    K5_E6,
    K5_E6,
)
B = (
    K3_E1,
    K3_E6, K5_E1, K3_E1, K3_E1,
    K5_E6, K5_E3, K3_E6, K5_E6,
    K5_E6, K5_E6, SKIP,  K5_E3,
    K5_E6, K3_E1, K5_E1, K5_E3,
    K5_E6, K5_E1, K5_E6, K5_E6,
    K3_E6,
)
C = (
    K3_E1,
    K3_E6, SKIP,  K3_E1, K3_E1,
    K5_E6, K5_E3, K5_E6, K3_E6,
    K5_E6, K5_E3, K5_E6, K5_E6,
    K5_E6, K5_E6, K5_E6, K5_E3,
    K5_E6, K5_E6, K5_E6, K5_E6,
    K3_E6,
)
S8 = (
    K3_E1,
    K3_E3, K3_E1, SKIP,  SKIP,
    K5_E6, K3_E3, K3_E3, K3_E6,
    K5_E6, K5_E3, K5_E3, K5_E3,
    K3_E6, K5_E3, K5_E3, K5_E3,
    K5_E6, K5_E6, K5_E3, K5_E6,
    K5_E6,
)
IPHONE_X = (
    SKIP,
    K3_E6, K3_E1, K3_E1, K3_E1,
    K3_E6, K3_E6, K3_E6, K3_E6,
    K3_E6, K3_E6, K3_E3, K3_E6,
    K3_E6, K3_E3, K3_E3, K3_E3,
    K5_E6, K5_E6, K5_E6, K5_E3,
    K5_E6,
)
NET_96 = (  # its own channels: candidate, f, s
    (K3_E1,   8, 1),
    (K3_E6,  16, 2), (K3_E6,  16, 1),
    (K5_E6,  16, 2), (K5_E6,  16, 1),
    (K5_E6,  24, 2), (K3_E6,  40, 1),
    (K5_E6,  72, 2), (K5_E6,  72, 1),
    (K5_E6, 128, 1),
)
# fmt: on


def in_macro(candidates: Sequence[Candidate]) -> list[tuple[Candidate, int, int]]:
    """Table 1's channels and strides beside the 22 candidates."""
    places = [(f, s if i == 0 else 1) for f, n, s in MACRO for i in range(n)]
    return [(candidate, f, s) for candidate, (f, s) in zip(candidates, places, strict=True)]


def _net(
    stem: int,
    layers: Sequence[tuple[Candidate, int, int]],
    last: int,
    width: float,
    layout: Layout,
    *,
    bias: bool = True,
) -> NetSpec:
    """bias: in the convolutions of the blocks, under their norms, in the authors' layout."""
    official = layout == "official"

    def scaled(channels: int) -> int:
        return math.ceil(channels * width / 8) * 8

    def row(candidate: Candidate, out_channels: int, stride: int) -> Row:
        if candidate == SKIP:
            return Skip(scaled(out_channels), stride)
        return IR(
            *(candidate.kernel_size, scaled(out_channels), stride, candidate.expand),
            act="RE",
            groups=candidate.groups,
            bias=bias and official,
            always_expand=not official,
            starts_at_zero=False,
        )

    rows = (
        Conv(3, scaled(stem), 2, "RE", bias=official),
        *(row(*layer) for layer in layers),
        Conv(1, scaled(last) if width > 1 else last, 1, "RE", bias=official),
    )
    return NetSpec(rows, PoolLinear(), init="full_fan_out")


def searched(candidates: Sequence[Candidate], width: float = 1.0) -> NetSpec:
    """The net of 22 candidates, as the releases of FBNet-B and C are made."""
    return _net(16, in_macro(candidates), 1984, width, "official")


def fbnet_a(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """FBNet-A.  layout: "timm" keeps every first 1 x 1 convolution, as the paper's figure, and has no bias."""
    return _net(16, in_macro(A), 1504, width, layout)


def fbnet_b(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """FBNet-B."""
    return _net(16, in_macro(B), 1984, width, layout)


def fbnet_c(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """FBNet-C."""
    return _net(16, in_macro(C), 1984, width, layout)


def fbnet_s8(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """Searched for a Samsung Galaxy S8."""
    return _net(16, in_macro(S8), 1504, width, layout)


def fbnet_iphonex(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """Searched for an iPhone X."""
    return _net(16, in_macro(IPHONE_X), 1504, width, layout)


def fbnet_96(width: float = 1.0, layout: Layout = "official") -> NetSpec:
    """FBNet-96-0.35-1, searched at 96 pixels and 0.35 of the channels; width multiplies those."""
    return _net(8, NET_96, 1416, width, layout, bias=False)


TRANSCRIBED = (
    "layers by a third party's transcription of the paper's figure, last convolution assumed to be FBNet-A's 1504; "
    "{} M parameters and {} M multiply-adds here, {} and {} in print"
)
VARIANTS = {
    "fbnet_a": Variant(fbnet_a, published="FBNet-A"),
    "fbnet_b": Variant(
        fbnet_b,
        published="FBNet-B",
        note="the authors' released layers, 4.82 M parameters; the paper's net of 4.5 M had other blocks",
    ),
    "fbnet_c": Variant(
        fbnet_c,
        published="FBNet-C",
        note="the authors' released layers; fbnetc_100 is the layout of timm and pytorchcv, another net",
    ),
    "fbnetc_100": Variant(
        fbnet_c,
        {"layout": "timm"},
        published="FBNet-C",
        note="the layout of timm and pytorchcv: first 1 x 1 convolutions kept where the expansion is 1, no biases "
        "under norms; take fbnet_c for the authors' release",
    ),
    "fbnet_96": Variant(fbnet_96, published="FBNet-96-0.35-1", input_size=96),
    "fbnet_s8": Variant(
        fbnet_s8, published="FBNet-S8", status="reconstruction", note=TRANSCRIBED.format(4.49, 287.9, 4.43, 293)
    ),
    "fbnet_iphonex": Variant(
        fbnet_iphonex,
        published="FBNet-iPhoneX",
        status="reconstruction",
        note=TRANSCRIBED.format(4.53, 316.4, 4.47, 322),
    ),
}
