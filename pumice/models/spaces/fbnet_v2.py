"""FBNetV2's space: Wan et al., "FBNetV2", CVPR 2020, arXiv:2004.05565: input side, widths, expansions and blocks.

From the paper, by notes on it: the blocks (kernel 3 or 5, with or without SE, ReLU or h-swish, or skip), expansions
0.75 to 4.5 in steps of 0.75, widths in a range of each stage.  The pictures of its tables were not to be had: the
ranges, the layers of a stage and the sides below are ours, around the released F1, F4 and L1.
A stage has one width, so that both ends of a residual have the same channels.  The stem has that of the first stage.
Every block has its first 1 x 1 convolution, also where rounding makes its hidden width that of the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pumice.errors import BadInput
from pumice.models.fbnet_blocks import IR, Pool, Skip, SqueezeOf
from pumice.models.rows import Conv, Row
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.nn.activation import Activation

Block = tuple[int, SqueezeOf, Activation]  # kernel, SE, activation
BLOCKS: dict[str, Block | None] = {
    f"k{k}{'_se' if se else ''}{'_hs' if act == 'HS' else ''}": (k, se, act)
    for k in (3, 5)
    for se in ("", "hidden")
    for act in ("RE", "HS")
}
BLOCKS["skip"] = None


@dataclass(frozen=True)
class Stage:
    """Layers of one width.  stride: of the first."""

    widths: tuple[int, ...]
    layers: int
    stride: int


STAGES = (
    Stage((8, 12, 16), 1, 1),
    Stage((16, 20, 24, 28), 4, 2),
    Stage((16, 24, 32, 40), 4, 2),
    Stage((40, 48, 56, 64), 4, 2),
    Stage((72, 80, 88, 96, 104, 112), 6, 1),
    Stage((128, 144, 160, 176, 192), 5, 2),
)
EXPANDS = (0.75, 1.5, 2.25, 3.0, 3.75, 4.5)
SIDES = (4, 5, 6, 7, 8)  # eighths of the largest
LAST, HEAD = 224, Pool(1984, 6)


@dataclass(frozen=True)
class Place:
    """One searched layer: its stride, and the positions of its input's width, its own width, block and expansion."""

    stride: int
    width_in: int
    width: int
    block: int
    expand: int


class MaskableSpace(Space):
    """Position 0 is the input side, in pixels; each stage has a width, each of its layers a block and an expansion.

    values: of each position, the numbers that its options are; of a block's, nothing.
    places: the searched layers, in order.

    Raises:
        BadInput: two stages joined at stride 1 can have the same width, where a residual would come and go with it.
    """

    name = "maskable"

    def __init__(
        self, stages: Sequence[Stage], expands: Sequence[float], sides: Sequence[int], last: int, head: Pool
    ) -> None:
        self.stages, self.expands, self.sides = stages, expands, sides
        self.last, self.head, self.image = last, head, (max(sides), max(sides))
        for i, (before, after) in enumerate(pairwise([*stages, Stage((last,), 1, 1)]), 2):
            if after.stride == 1 and (both := {*before.widths} & {*after.widths}):
                raise BadInput(f"stages {i - 1} and {i} are joined at stride 1 and can both be {min(both)} wide")
        named: list[tuple[str, Sequence[float]]] = [("input side", sides)]
        places: list[Place] = []
        before_width = 1
        for i, stage in enumerate(stages, 1):
            width = len(named)
            named.append((f"stage {i} width", stage.widths))
            for j in range(stage.layers):
                block, number = len(named), len(places) + 1
                named += [(f"layer {number} block", ()), (f"layer {number} expansion", tuple(expands))]
                stride = stage.stride if j == 0 else 1
                places.append(Place(stride, width if j else before_width, width, block, block + 1))
            before_width = width
        self.places = tuple(places)
        self.values = tuple(tuple(values) for _, values in named)
        self.positions = tuple(Position(name, tuple(map(str, values)) or tuple(BLOCKS)) for name, values in named)

    def stem(self, width: int) -> Row:
        """The first row."""
        return Conv(3, width, 2, "HS", bias=True)

    def row(self, place: Place, block: int, width: int, expand: float) -> IR | Skip:
        """The row of one block at a place; its expansion means nothing to a skip."""
        taken = list(BLOCKS.values())[block]
        if taken is None:
            return Skip(width, place.stride)
        kernel, se, act = taken
        return IR(kernel, width, place.stride, expand, se=se, act=act, always_expand=True)

    def spec(self, choice: Choice) -> NetSpec:
        """Stem, the layers chosen, the release's last two lines."""
        taken = [values[i] if values else i for values, i in zip(self.values, choice, strict=True)]
        layers = [self.row(p, choice[p.block], int(taken[p.width]), taken[p.expand]) for p in self.places]
        return NetSpec((self.stem(int(taken[1])), *layers, Skip(self.last)), self.head, init="full_fan_out")

    def image_of(self, choice: Choice) -> tuple[int, int]:
        """The side chosen."""
        side = int(self.values[0][choice[0]])
        return side, side


class FBNetV2Space(MaskableSpace):
    """side: the largest of the input, in pixels; the others are 4, 5, 6 and 7 eighths of it."""

    name = "fbnet_v2"

    def __init__(self, side: int = 256) -> None:
        if side < 8:
            raise BadInput(f"an input side of {side} pixels has no eighths; give 8 or more")
        self.side = side
        super().__init__(STAGES, EXPANDS, [side * part // 8 for part in SIDES], LAST, HEAD)
