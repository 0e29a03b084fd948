"""NAS-Bench-Macro's space: Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021,
arXiv:2103.11922; the table of all 6,561 nets is at github.com/xiusu/NAS-Bench-Macro.

Eight layers, three candidates at each, for images of 32 pixels.  The sizes of every net are those of the table.
"""

from pumice.models.fbnet_blocks import Skip
from pumice.models.heads import PoolLinear
from pumice.models.mbconv import MBConv
from pumice.models.rows import Conv, Row
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec

CANDIDATES = ("identity", "k3_e3", "k5_e6")
STEM, STAGES, LAST = 32, ((64, 2), (128, 3), (256, 3)), 1280  # channels, layers; a stage's first layer has stride 2
PLACES = [(channels, 2 if i == 0 else 1) for channels, layers in STAGES for i in range(layers)]


class MacroSpace(Space):
    """width: of all channels but the last; the table is of 1."""

    name = "macro"
    positions = tuple(Position(f"layer {i + 1}", CANDIDATES) for i in range(len(PLACES)))
    image = (32, 32)
    num_classes = 10

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def rows(self, layer: int) -> tuple[Row, ...]:
        """The candidates of a layer, counted from 0; an identity that must change the shape is a 1 x 1 convolution."""
        channels, stride = PLACES[layer]
        channels = round(channels * self.width)
        return (
            Skip(channels) if stride == 1 else Conv(1, channels, stride, ""),
            MBConv(3, stride, 3, channels, False, "RE"),
            MBConv(5, stride, 6, channels, False, "RE"),
        )

    def spec(self, choice: Choice) -> NetSpec:
        """Stem, the layers chosen, a 1 x 1 convolution of 1280."""
        layers = [self.rows(i)[option] for i, option in enumerate(choice)]
        return NetSpec((Conv(3, round(STEM * self.width), 1, "RE"), *layers, Conv(1, LAST, 1, "RE")), PoolLinear())
