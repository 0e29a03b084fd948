"""The four guidelines of ShuffleNetV2 (Ma et al., ECCV 2018, arXiv:1807.11164), tables 1 to 4.

From the paper: ten blocks at 56 x 56, the widths, and all figures: a GTX 1080 Ti with cuDNN 7 in batches a second (the
batch is not stated), one core of a Snapdragon 810 in images a second.
Where the paper is silent: parallel fragments are added up, the only reading in which n convolutions of c / sqrt(n)
channels cost as much as one of c; width c of table 4 is that of input and output, with a quarter of it inside as in
ResNet (were it the inner one, the phone would have done over ten multiply-adds a cycle).

Most of the phone's widths are no multiple of 4, for which runtimes leave their fast layouts, whatever the guideline
says: "aligned" widths are the phone's, the channels of a group rounded to such a multiple.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt

from torch import Tensor, nn

from pumice.cost.guidelines.experiment import Case, Claim, Column, Experiment, Widths, against_first
from pumice.cost.guidelines.stack import stack
from pumice.nn.activation import Activation
from pumice.nn.conv import ConvNormAct

SIDE = 56
SOURCE = "ShuffleNetV2, arXiv:1807.11164, table {}"
DEVICES = {"GPU": "batches/s", "ARM": "images/s"}
Figures = tuple[float, float, float]

# fmt: off
TABLE_1 = (  # ratio, (c1, c2) at x1 for GPU and ARM, then both devices at x1, x2, x4
    ("1:1",  {"gpu": (128, 128), "arm": (32,  32)}, (1480, 723, 232), (76.2, 21.7, 5.3)),
    ("1:2",  {"gpu": ( 90, 180), "arm": (22,  44)}, (1296, 586, 206), (72.9, 20.5, 5.1)),
    ("1:6",  {"gpu": ( 52, 312), "arm": (13,  78)}, ( 876, 489, 189), (69.1, 17.9, 4.6)),
    ("1:12", {"gpu": ( 36, 432), "arm": ( 9, 108)}, ( 748, 392, 163), (57.6, 15.1, 4.4)),
)
TABLE_2 = (  # groups, c at x1
    (1, {"gpu": 128, "arm":  64}, (2451, 1289, 437), (40.0, 10.2, 2.3)),
    (2, {"gpu": 180, "arm":  90}, (1725,  873, 341), (35.0,  9.5, 2.2)),
    (4, {"gpu": 256, "arm": 128}, (1026,  644, 338), (32.9,  8.7, 2.1)),
    (8, {"gpu": 360, "arm": 184}, ( 634,  445, 230), (27.8,  7.5, 1.8)),  # ARM printed as 180, which has no 8 groups
)
TABLE_3 = (  # fragments in series, in parallel
    ("one",          1, 1, (2446, 1274, 434), (40.2, 10.1, 2.3)),
    ("2 in series",  2, 1, (1790,  909, 336), (38.6, 10.1, 2.2)),
    ("4 in series",  4, 1, ( 752,  745, 349), (38.4, 10.1, 2.3)),
    ("2 in parallel",  1, 2, (1537,  803, 320), (33.4,  9.1, 2.2)),
    ("4 in parallel",  1, 4, ( 691,  572, 292), (35.0,  8.4, 2.1)),
)
FRAGMENT_WIDTHS = {"gpu": (128, 256, 512), "arm": (64, 128, 256)}  # of one fragment; n have c / sqrt(n)
TABLE_4 = (  # ReLU, shortcut; the slowest first, so that the others are claimed to be faster
    ("ReLU and shortcut", True,  True,  (2427, 2066, 1436), (56.7, 16.9, 5.0)),
    ("ReLU",              True,  False, (2647, 2256, 1735), (61.9, 18.8, 5.2)),
    ("shortcut",          False, True,  (2672, 2121, 1458), (57.3, 18.2, 5.1)),
    ("neither",           False, False, (2842, 2376, 1782), (66.3, 20.2, 5.4)),
)
BOTTLENECK_WIDTHS = (32, 64, 128)
# fmt: on


class Parallel(nn.Module):
    """y = sum of n 1 x 1 convolutions of x: (N, C, H, W) -> the same shape."""

    def __init__(self, channels: int, fragments: int) -> None:
        super().__init__()
        self.fragments = nn.ModuleList(conv1x1(channels, channels) for _ in range(fragments))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        first, *others = self.fragments
        y = first(x)
        for fragment in others:
            y = y + fragment(x)
        return y


class Bottleneck(nn.Module):
    """ResNet's: y = ReLU(x + 1x1(ReLU(3x3(ReLU(1x1(x)))))), c -> c / 4 -> c / 4 -> c; ReLUs and x may be left out."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inner = channels // 4
        act: Activation = "RE" if relu else ""
        self.reduce = ConvNormAct(channels, inner, act=act)
        self.middle = ConvNormAct(inner, inner, 3, act=act)
        self.expand = ConvNormAct(inner, channels)
        self.shortcut = shortcut
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y = self.expand(self.middle(self.reduce(x)))
        return self.act(x + y if self.shortcut else y)


def conv1x1(in_channels: int, out_channels: int, groups: int = 1) -> nn.Conv2d:
    """A 1 x 1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, groups=groups, bias=False)


def pair(c1: int, c2: int) -> nn.Module:
    """c1 -> c2 -> c1."""
    return nn.Sequential(conv1x1(c1, c2), conv1x1(c2, c1))


def fragmented(channels: int, series: int, parallel: int) -> nn.Module:
    """The building blocks of table 3."""
    if parallel > 1:
        return Parallel(channels, parallel)
    return nn.Sequential(*(conv1x1(channels, channels) for _ in range(series)))


def _width(channels: float, widths: Widths, groups: int = 1) -> int:
    """The width as the table has it, rounded where it is no whole number; aligned to multiples of 4 a group."""
    step = 4 * groups if widths == "aligned" else 1
    return max(step, round(channels / step) * step)


def _case(label: str, setting: str, block: Callable[[], nn.Module], figures: Sequence[Figures], column: int) -> Case:
    published = dict(zip(DEVICES, (device[column] for device in figures), strict=True))
    return Case(label, setting, partial(stack, block), published)


def _column(title: str, cases: Sequence[Case], channels: Sequence[int]) -> Column:
    claims = against_first(tuple(cases))
    return Column(title, tuple(cases), tuple((c, SIDE, SIDE) for c in channels), claims)


def _channel_widths(widths: Widths) -> tuple[Column, ...]:
    columns = []
    for i, times in enumerate((1, 2, 4)):
        printed = [row[1]["gpu" if widths == "gpu" else "arm"] for row in TABLE_1]
        pairs = [(_width(times * c1, widths), _width(times * c2, widths)) for c1, c2 in printed]
        cases = [
            _case(label, f"{c1}, {c2}", partial(pair, c1, c2), figures, i)
            for (label, _, *figures), (c1, c2) in zip(TABLE_1, pairs, strict=True)
        ]
        columns.append(_column(f"x{times}", cases, [c1 for c1, _ in pairs]))
    return tuple(columns)


def _groups(widths: Widths) -> tuple[Column, ...]:
    columns = []
    for i, times in enumerate((1, 2, 4)):
        printed = [(row[0], row[1]["gpu" if widths == "gpu" else "arm"]) for row in TABLE_2]
        channels = [_width(times * c, widths, g) for g, c in printed]
        cases = [
            _case(f"g = {g}", f"{c}", partial(conv1x1, c, c, g), figures, i)
            for (g, _, *figures), c in zip(TABLE_2, channels, strict=True)
        ]
        columns.append(_column(f"x{times}", cases, channels))
    return tuple(columns)


def _fragments(widths: Widths) -> tuple[Column, ...]:
    columns = []
    for i, whole in enumerate(FRAGMENT_WIDTHS["gpu" if widths == "gpu" else "arm"]):
        channels = [_width(whole / sqrt(series * parallel), widths) for _, series, parallel, *_ in TABLE_3]
        cases = [
            _case(label, f"{c}", partial(fragmented, c, series, parallel), figures, i)
            for (label, series, parallel, *figures), c in zip(TABLE_3, channels, strict=True)
        ]
        columns.append(_column(f"c = {whole}", cases, channels))
    return tuple(columns)


def _elementwise(widths: Widths) -> tuple[Column, ...]:
    columns = []
    for i, c in enumerate(BOTTLENECK_WIDTHS):
        cases = [
            _case(label, f"{c}, {c // 4}", partial(Bottleneck, c, relu, shortcut), figures, i)
            for label, relu, shortcut, *figures in TABLE_4
        ]
        first, *others = (case.label for case in cases)
        claims = tuple(Claim(other, first) for other in others)
        columns.append(Column(f"c = {c}", tuple(cases), ((c, SIDE, SIDE),) * len(cases), claims))
    return tuple(columns)


G1 = Experiment(
    "g1",
    "Equal channel widths",
    "At equal multiply-adds, 1 x 1 convolutions are fastest where inputs and outputs have as many channels.",
    SOURCE.format(1),
    DEVICES,
    _channel_widths,
)
G2 = Experiment(
    "g2",
    "Group convolution",
    "At equal multiply-adds, 1 x 1 convolutions of several groups are slower than dense ones.",
    SOURCE.format(2),
    DEVICES,
    _groups,
)
G3 = Experiment(
    "g3",
    "Fragmentation",
    "At equal multiply-adds, one convolution is faster than several in series or in parallel.",
    SOURCE.format(3),
    DEVICES,
    _fragments,
)
G4 = Experiment(
    "g4",
    "Element-wise operations",
    "ReLU and the shortcut, which have no multiply-adds, take time: a bottleneck is faster without either.",
    SOURCE.format(4),
    DEVICES,
    _elementwise,
)
