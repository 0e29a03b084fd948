"""IGC: Zhang et al., "Interleaved Group Convolutions for Deep Neural Networks", ICCV 2017, arXiv:1707.02725; Xie et
al., "IGCV2: Interleaved Structured Sparse Convolutional Neural Networks", CVPR 2018, arXiv:1804.06202; Sun et al.,
"IGCV3: Interleaved Low-Rank Group Convolutions for Efficient Deep Neural Networks", BMVC 2018, arXiv:1806.00178.

From the papers: L primary and M secondary partitions name the nets of IGCV1; IGCV2's operator, with its conditions.
From the authors' code: IGCV1's layouts (github.com/hellozting/InterleavedGroupConvolutions: the symbol files of the
three ImageNet nets, the builders of the CIFAR nets), IGCV3's table (github.com/homles11/IGCV3).  Where paper and code
differ the code runs: the first unit of a widening CIFAR residual block has as many secondary groups as its input asks
for, not its output, which the published sizes confirm; IGCV3 permutes once a block, where the paper draws two.
Where silent: widths of IGCV3 other than 1.0 round and become even, as the builder's do, but once: it scales the first
expansion of every sequence twice and adds one to the last convolution.  pytorchcv's widths come out the same.  IGCV2's
nets have no published table, so `igcv2_small_ours` is ours.
"""

from typing import Literal

from pumice.errors import BadInput
from pumice.models.heads import PoolLinear
from pumice.models.igc_blocks import Interleaved, InterleavedPair, LowRank, Sparse
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv, MaxPool
from pumice.models.spec import NetSpec, Variant

# ---- IGCV1: L `primary` partitions of M `secondary` channels


def check_partitions(primary: int, secondary: int, pairs: bool = False) -> None:
    """Numbers of partitions that a net can have; pairs: M must be even.

    Raises:
        BadInput: no net has so many.
    """
    if primary < 1 or secondary < 1 or (pairs and secondary % 2):
        least = "even, 2 or more" if pairs else "1 or more"
        raise BadInput(
            f"primary {primary} and secondary {secondary} make no partitions; "
            f"primary must be 1 or more and secondary {least}"
        )


def igcv1_plain(depth: int = 38, primary: int = 24, secondary: int = 2) -> NetSpec:
    """CIFAR net without shortcuts: three stages of (depth - 2) / 3 blocks; L stays, M doubles."""
    check_partitions(primary, secondary)
    blocks, rest = divmod(depth - 2, 3)
    if blocks < 1 or rest:
        raise BadInput(f"a plain net of depth {depth} cannot be had; choose 3 n + 2, from 5 on")
    width = primary * secondary
    rows = [
        Interleaved(width * scale, 2 if scale > 1 and i == 0 else 1, primary, secondary * scale)
        for scale in (1, 2, 4)
        for i in range(blocks)
    ]
    return NetSpec((Conv(3, width, 1, "RE"), *rows), PoolLinear(), init="fan_in", bn_momentum=0.01)


def igcv1_residual(depth: int = 38, primary: int = 24, secondary: int = 2) -> NetSpec:
    """CIFAR net with shortcuts ("+Ident."): three stages of residual blocks, 2 * blocks + 2 layers in all."""
    check_partitions(primary, secondary)
    pairs, rest = divmod(depth - 2, 2)
    if pairs < 3 or rest:
        raise BadInput(f"a residual net of depth {depth} cannot be had; choose an even number from 8 on")
    width, rows, before = primary * secondary, [], secondary
    for blocks, scale in zip((pairs // 3, (pairs + 1) // 3, (pairs + 2) // 3), (1, 2, 4), strict=True):
        now = secondary * scale
        for i in range(blocks):
            widens = i == 0 and scale > 1
            rows.append(InterleavedPair(width * scale, 2 if widens else 1, primary, before if widens else now, now))
        before = now
    return NetSpec((Conv(3, width, 1, "RE"), *rows), PoolLinear(), init="fan_in")


def igcv1_resnet18(
    primary: int = 100, secondary: int = 2, doubles: Literal["primary", "secondary"] = "primary"
) -> NetSpec:
    """ImageNet net in ResNet-18's layout.  doubles: which number of partitions doubles from stage to stage.

    "secondary" (L4M32, L16M16) keeps the stem's L M channels in the first stage, "primary" (L100M2) doubles them.
    """
    grows = doubles == "primary"
    check_partitions(primary, secondary, pairs=grows)
    stem = primary * secondary // 2 if grows else primary * secondary
    rows = []
    for stage, scale in enumerate((1, 2, 4, 8)):
        first, second = (primary * scale, secondary) if grows else (primary, secondary * scale)
        rows.append(InterleavedPair(first * second, 2 if stage else 1, first, second, second))
        rows.append(InterleavedPair(first * second, 1, first, second, second))
    return NetSpec((Conv(7, stem, 2, "RE"), MaxPool(3, 2, padding=1), *rows), PoolLinear(), init="fan_in")


# ---- IGCV2


# fmt: off
MOBILE = (  # out, stride: MobileNetV1's layout (arXiv:1704.04861, table 1)
    (  64, 1), ( 128, 2), ( 128, 1), ( 256, 2), ( 256, 1), ( 512, 2),
    ( 512, 1), ( 512, 1), ( 512, 1), ( 512, 1), ( 512, 1), (1024, 2), (1024, 1),
)
# fmt: on


def igcv2_ours(width: float = 0.5, factors: int = 3) -> NetSpec:
    """MobileNetV1's layout with structured sparse convolutions; widths round to 16.  Ours, no paper's."""
    if factors < 2:
        raise BadInput(f"factors {factors} cannot be had; choose 2 or more: the depthwise one, then 1 x 1 ones")
    rows = (Sparse(make_divisible(c * width, 16), s, factors) for c, s in MOBILE)
    return NetSpec((Conv(3, make_divisible(32 * width, 16), 2, "RE"), *rows), PoolLinear(), init="fan_in")


# ---- IGCV3


Sequences = tuple[tuple[int, int, int, int], ...]
# fmt: off
DEEPER: Sequences = (  # t, c, n, s: the released net, "-D"
    (1,  16, 1, 1),
    (6,  24, 4, 2),
    (6,  32, 6, 2),
    (6,  64, 8, 2),
    (6,  96, 6, 1),
    (6, 160, 6, 2),
    (6, 320, 1, 1),
)
WIDER: Sequences = (  # the repository's igcv3_wider
    (1,  32, 1, 1),
    (6,  48, 2, 2),
    (6,  64, 3, 2),
    (6, 128, 4, 2),
    (6, 192, 3, 1),
    (6, 320, 3, 2),
    (6, 640, 1, 1),
)
# fmt: on


def even(value: float) -> int:
    """Rounded, then made even upwards, as the builder does; at least 2."""
    nearest = max(2, round(value))
    return nearest + nearest % 2


def igcv3(width: float = 1.0, layout: Literal["deeper", "wider"] = "deeper") -> NetSpec:
    """IGCV3.  The last convolution grows with the width but does not shrink."""
    rows = [
        LowRank(t, even(c * width), 1 if i else s, i > 0)
        for t, c, n, s in (DEEPER if layout == "deeper" else WIDER)
        for i in range(n)
    ]
    stem, last = Conv(3, even(32 * width), 2, "R6"), Conv(1, even(1280 * max(1.0, width)), 1, "R6")
    return NetSpec((stem, *rows, last), PoolLinear(), init="fan_in")


PLAIN38 = "the paper's plain net at another depth; the published line is that of depth 38"
PYTORCHCV = "a width of pytorchcv, which has weights for it; no figures of the authors"
VARIANTS = {
    "igcv1_resnet18_l4m32": Variant(
        igcv1_resnet18,
        {"primary": 4, "secondary": 32, "doubles": "secondary"},
        published="igcv1_L4M32_resnet18_ident",
        note="the printed 11.2 M parameters seem to leave out the classifier",
    ),
    "igcv1_resnet18_l16m16": Variant(
        igcv1_resnet18,
        {"primary": 16, "secondary": 16, "doubles": "secondary"},
        published="igcv1_L16M16_resnet18_ident",
        note="the printed 11.3 M parameters fit no way of counting; the net is that of the released symbol file",
    ),
    "igcv1_resnet18_l100m2": Variant(
        igcv1_resnet18,
        published="igcv1_L100M2_resnet18_ident",
        note="the printed 8.61 M parameters leave out batch norm",
    ),
    "igcv1_plain8_l24m2_cifar": Variant(
        *(igcv1_plain, {"depth": 8}, "igcv1_L24M2_plain38_cifar", 32, 10), note=PLAIN38
    ),
    "igcv1_plain20_l24m2_cifar": Variant(
        *(igcv1_plain, {"depth": 20}, "igcv1_L24M2_plain38_cifar", 32, 10), note=PLAIN38
    ),
    "igcv1_plain38_l24m2_cifar": Variant(igcv1_plain, {}, "igcv1_L24M2_plain38_cifar", 32, 10),
    "igcv1_plain62_l24m2_cifar": Variant(
        *(igcv1_plain, {"depth": 62}, "igcv1_L24M2_plain38_cifar", 32, 10), note=PLAIN38
    ),
    "igcv1_plain98_l24m2_cifar": Variant(
        *(igcv1_plain, {"depth": 98}, "igcv1_L24M2_plain38_cifar", 32, 10), note=PLAIN38
    ),
    "igcv1_resnet38_l24m2_cifar": Variant(igcv1_residual, {}, "igcv1_L24M2_ident38_cifar", 32, 10),
    "igcv1_resnet20_l16m32_cifar": Variant(
        igcv1_residual, {"depth": 20, "primary": 16, "secondary": 32}, "igcv1_L16M32_ident20_cifar", 32, 10
    ),
    "igcv1_resnet20_l32m26_cifar": Variant(
        igcv1_residual, {"depth": 20, "primary": 32, "secondary": 26}, "igcv1_L32M26_ident20_cifar", 32, 10
    ),
    "igcv2_small_ours": Variant(
        igcv2_ours,
        status="reconstruction",
        note="a net of ours around IGCV2's operator (MobileNetV1's layout at half width, three factors a block, norm "
        "and ReLU after the last): the paper's tables were never published, so none of its figures belong to it",
    ),
    "igcv3_100": Variant(igcv3, published="igcv3_d_1.0", note="one permutation a block, as released"),
    "igcv3_025": Variant(igcv3, {"width": 0.25}, published="igcv3_w0.25_pytorchcv", note=PYTORCHCV),
    "igcv3_050": Variant(igcv3, {"width": 0.5}, published="igcv3_w0.5_pytorchcv", note=PYTORCHCV),
    "igcv3_075": Variant(igcv3, {"width": 0.75}, published="igcv3_w0.75_pytorchcv", note=PYTORCHCV),
    "igcv3_070": Variant(
        igcv3,
        {"width": 0.7},
        published="igcv3_d_0.7",
        status="reconstruction",
        note="widths rounded to even numbers; 175 M multiply-adds against the printed 210 M (-17 %), which "
        "no rule that was tried gives",
    ),
    "igcv3_140": Variant(
        igcv3,
        {"width": 1.4},
        published="igcv3_d_1.4",
        status="reconstruction",
        note="widths rounded to even numbers; 590 M multiply-adds against the printed 610 M (-3 %); the "
        "repository's own rule, which scales some widths twice, gives 621 M",
    ),
    "igcv3_wide_100": Variant(
        igcv3, {"layout": "wider"}, status="optional", note="a builder file of the repository, without figures"
    ),
}
