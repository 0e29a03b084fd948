"""ShuffleNetV2: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
arXiv:1807.11164.

From the paper: every number in WIDTHS and REPEATS (table 5), D50 and D164 (appendix), c' = c / 2, the receptive-field
variant that its detectors use (section 4; counts were never printed).
From the authors' release (github.com/megvii-model/ShuffleNet-Series): the first unit of stage 2 keeps its 24 input
channels, units split even from odd channels at their start, the classifier has no bias, 2.0x has dropout 0.2.
torchvision's layout (half + half in the first unit, shuffle at the end of units, biased classifier) is the same net at
0.5x up to the order of channels and another net above; it is here, as tv_*, because its weights are.
Where both are silent: SE's hidden width, the branch's own as in the release's large net; the first units of the deep
nets, half + half.  The units: `shufflenet_v2_units`.  The release's later nets: `shufflenet_v2_large`,
`shufflenet_v2_plus`.
"""

from typing import Any, Literal

from pumice.errors import BadInput
from pumice.models import shufflenet_v2_large, shufflenet_v2_plus
from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv, MaxPool, Row
from pumice.models.shufflenet_v2_units import Unit
from pumice.models.spec import NetSpec, Variant

Layout = Literal["official", "torchvision"]
Widths = dict[float, tuple[int, int, int, int]]

# fmt: off
WIDTHS: Widths = {  # table 5: stages 2, 3, 4, conv5
    0.5: ( 48,  96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)
STEM: tuple[Row, ...] = (Conv(3, 24, 2, "RE"), MaxPool(3, 2, padding=1))
D50 = (  # appendix, table 2
    # c     n  s
    ( 244,  3, 1),
    ( 488,  4, 2),
    ( 976,  6, 2),
    (1952,  3, 2),
)
D50_STEM: tuple[Row, ...] = (Conv(3, 64, 2, "RE"), MaxPool(3, 2, padding=1))
D164 = (
    # c     n  s
    ( 340, 10, 1),
    ( 680, 10, 2),
    (1360, 23, 2),
    (2720, 10, 2),
)
D164_STEM: tuple[Row, ...] = (
    Conv(3,  64, 2, "RE"),
    Conv(3,  64, 1, "RE"),
    Conv(3, 128, 1, "RE"), MaxPool(3, 2, padding=1),
)
# fmt: on


def stage(out_channels: int, repeats: int, stride: int, share: float, **columns: Any) -> tuple[Unit, ...]:
    """A unit that changes the width, then repeats - 1 units that split; share is c' / c."""
    active = min(max(1, round(share * out_channels)), out_channels - 1)
    split = Unit(out_channels, active, 1, False, **columns)
    return Unit(out_channels, active, stride, True, **columns), *[split] * (repeats - 1)


def widths_at(width: float, table: Widths = WIDTHS) -> tuple[int, ...]:
    """The published widths; elsewhere those of 1.0x, scaled and rounded to 4 (our rule, no paper's)."""
    if width in table:
        return table[width]
    *stages, last = table[1.0]
    found = [24]
    for c in stages:
        found.append(max(found[-1] + 4, round(c * width / 4) * 4))
    return (*found[1:], last)


def checked(share: float) -> float:
    """
    Raises:
        BadInput: nothing would pass the branch by.
    """
    if share >= 1:
        raise BadInput(f"ShuffleNetV2 cannot have share {share}: part of a unit passes its branch by; give less than 1")
    return share


def shufflenet_v2(
    width: float = 1.0,
    layout: Layout = "official",
    se: bool = False,
    residual: bool = False,
    share: float = 0.5,
    shuffle: bool = True,
    rf: bool = False,
) -> NetSpec:
    """Table 5.  share: c' / c, the part of a unit that its branch works on.

    se, residual: the units of the appendix.  rf: one more depthwise 3 x 3 convolution at the start of every branch.
    """
    *stages, last = widths_at(width)
    official = layout == "official"
    columns: dict[str, Any] = {
        "halves": not official,
        "shuffle": ("start" if official else "end") if shuffle else "none",
        "kind": "field" if rf else "plain",
        "se": "biased" if se else "none",
        "residual": residual,
    }
    units = (unit for c, n in zip(stages, REPEATS, strict=True) for unit in stage(c, n, 2, checked(share), **columns))
    head = PoolLinear(drop_rate=0.2 if official and width == 2.0 else 0.0, bias=not official)
    return NetSpec((*STEM, *units, Conv(1, last, 1, "RE")), head, init="shufflenet")


def _deep(
    stem: tuple[Row, ...],
    table: tuple[tuple[int, int, int], ...],
    se: bool,
    residual: bool,
    share: float,
    shuffle: bool,
) -> NetSpec:
    columns: dict[str, Any] = {
        "halves": True,
        "shuffle": "start" if shuffle else "none",
        "se": "biased" if se else "none",
        "residual": residual,
    }
    units = (unit for c, n, s in table for unit in stage(c, n, s, checked(share), **columns))
    return NetSpec((*stem, *units, Conv(1, 2048, 1, "RE")), PoolLinear(bias=False), init="shufflenet")


def d50(se: bool = False, residual: bool = False, share: float = 0.5, shuffle: bool = True) -> NetSpec:
    """ShuffleNetV2-50."""
    return _deep(D50_STEM, D50, se, residual, share, shuffle)


def d164(se: bool = True, residual: bool = True, share: float = 0.5, shuffle: bool = True) -> NetSpec:
    """SE-ShuffleNetV2-164."""
    return _deep(D164_STEM, D164, se, residual, share, shuffle)


def _torchvision(width: float, name: str) -> Variant:
    return Variant(
        shufflenet_v2,
        {"width": width, "layout": "torchvision"},
        published=f"{width}x",
        note=f"torchvision's layout of the net, not the paper's; take shufflenetv2_{name} for the paper's",
    )


def _field(width: float) -> Variant:
    return Variant(
        shufflenet_v2,
        {"width": width, "rf": True},
        status="reconstruction",
        note="the backbone of the paper's detectors (v2*); that its strided units have the extra convolution too, at "
        "stride 1, is assumed, and no size of it was printed",
    )


VARIANTS = {
    "shufflenetv2_050": Variant(shufflenet_v2, {"width": 0.5}, published="0.5x"),
    "shufflenetv2_100": Variant(shufflenet_v2, {"width": 1.0}, published="1.0x"),
    "shufflenetv2_150": Variant(shufflenet_v2, {"width": 1.5}, published="1.5x"),
    "shufflenetv2_200": Variant(shufflenet_v2, {"width": 2.0}, published="2.0x"),
    "tv_shufflenetv2_050": _torchvision(0.5, "050"),
    "tv_shufflenetv2_100": _torchvision(1.0, "100"),
    "tv_shufflenetv2_150": _torchvision(1.5, "150"),
    "tv_shufflenetv2_200": _torchvision(2.0, "200"),
    "shufflenetv2_rf_050": _field(0.5),
    "shufflenetv2_rf_100": _field(1.0),
    "shufflenetv2_rf_150": _field(1.5),
    "shufflenetv2_rf_200": _field(2.0),
    "shufflenetv2_200_se": Variant(
        shufflenet_v2,
        {"width": 2.0, "se": True},
        published="2.0x + SE",
        status="reconstruction",
        note="SE's hidden width was not published: that of the branch; 0.5 % below the printed 597 M",
    ),
    "shufflenetv2_d50": Variant(
        d50,
        published="ShuffleNetV2-50",
        status="reconstruction",
        note="the first unit of every stage makes half + half, which the paper leaves open; 0.2 % above its 2.3 G",
    ),
    "shufflenetv2_se_d164": Variant(
        d164,
        published="SE-ShuffleNetV2-164 (residual)",
        status="optional",
        note="SE's hidden width was not published: that of the branch; 0.8 % below the printed 12.7 G; the net "
        "that was released is shufflenetv2_large",
    ),
    **shufflenet_v2_large.VARIANTS,
    **shufflenet_v2_plus.VARIANTS,
}
