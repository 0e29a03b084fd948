"""MnasNet: Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019, arXiv:1807.11626.

From the paper: A1 (figure 7) and that widths scale.
From the authors' code (tensorflow/tpu, models/official/mnasnet): B1 and SMALL (which the paper calls search2), the
residual that stages marked "noskip" go without, SE widths int(0.25 * input), ReLU, batch norm averaging at 0.99,
dropout 0.2 (SMALL: none), widths that round to 8, a last convolution of 1280 that does not scale.
Where both are silent: A2, A3 and search1 have published accuracies but no published layers, so they are not here.
"""

from pumice.models.heads import PoolLinear
from pumice.models.mbconv import Stage, blocks
from pumice.models.rounding import make_divisible
from pumice.models.rows import Conv
from pumice.models.spec import NetSpec, Variant

# fmt: off
Table = tuple[Stage, ...]
A1: Table = (  # figure 7
    #     r  k  s  e  out    SE   skip
    Stage(1, 3, 1, 1,  16, False, False),
    Stage(2, 3, 2, 6,  24),
    Stage(3, 5, 2, 3,  40, True),
    Stage(4, 3, 2, 6,  80),
    Stage(2, 3, 1, 6, 112, True),
    Stage(3, 5, 2, 6, 160, True),
    Stage(1, 3, 1, 6, 320),
)
B1: Table = (
    Stage(1, 3, 1, 1,  16, False, False),
    Stage(3, 3, 2, 3,  24),
    Stage(3, 5, 2, 3,  40),
    Stage(3, 5, 2, 6,  80),
    Stage(2, 3, 1, 6,  96),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320, False, False),
)
SMALL: Table = (
    Stage(1, 3, 1, 1,   8),
    Stage(1, 3, 2, 3,  16),
    Stage(2, 3, 2, 6,  16),
    Stage(4, 5, 2, 6,  32, True),
    Stage(3, 3, 1, 6,  32, True),
    Stage(3, 5, 2, 6,  88, True),
    Stage(1, 3, 1, 6, 144),
)
# fmt: on


def _net(table: Table, stem: int, width: float, drop_rate: float) -> NetSpec:
    rows = (
        Conv(3, make_divisible(stem * width), 2, "RE"),
        *blocks(table, width, 1.0, "RE"),
        Conv(1, 1280, 1, "RE"),
    )
    return NetSpec(rows, PoolLinear(drop_rate), bn_momentum=0.01)


def a1(width: float = 1.0) -> NetSpec:
    """MnasNet-A1, with SE."""
    return _net(A1, 32, width, 0.2)


def b1(width: float = 1.0) -> NetSpec:
    """MnasNet-B1, without SE."""
    return _net(B1, 32, width, 0.2)


def small(width: float = 1.0) -> NetSpec:
    """The net searched for 22 ms."""
    return _net(SMALL, 8, width, 0.0)


NO_FIGURES = "B1 under the official width rule, for which the authors print no figures"
VARIANTS = {
    "mnasnet_100": Variant(b1, published="MnasNet-B1"),
    "semnasnet_100": Variant(a1, published="MnasNet-A1"),
    "mnasnet_small": Variant(small, published="MnasNet-small (= search2)"),
    "semnasnet_140": Variant(a1, {"width": 1.4}, published="MnasNet-A1 x1.4"),
    "semnasnet_075": Variant(a1, {"width": 0.75}, published="MnasNet-A1 x0.75"),
    "semnasnet_050": Variant(a1, {"width": 0.5}, published="MnasNet-A1 x0.5"),
    "semnasnet_035": Variant(a1, {"width": 0.35}, published="MnasNet-A1 x0.35"),
    "mnasnet_050": Variant(b1, {"width": 0.5}, status="optional", note=NO_FIGURES),
    "mnasnet_075": Variant(b1, {"width": 0.75}, status="optional", note=NO_FIGURES),
    "mnasnet_140": Variant(b1, {"width": 1.4}, status="optional", note=NO_FIGURES),
    "mnasnet_130": Variant(b1, {"width": 1.3}, status="optional", note=NO_FIGURES),
}
