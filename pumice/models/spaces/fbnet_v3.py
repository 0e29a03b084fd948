"""FBNetV3's joint space of architectures and recipes: Dai et al., CVPR 2021, arXiv:2006.02049.

From the paper, at second hand: the ranges of ARCHITECTURE and RECIPE.  From the release: strides, gates, the last stage
of one block with expansion 6, and that a stage's first block has a kernel of its own, so FBNetV3-A is a choice of this
space but for its odd paddings.  The paper rounded what it had found to multiples of 8 afterwards; the networks here
keep the channels chosen, and hidden widths are rounded as ever.  Where silent: ranges without a step have steps of 1 in
their last digit, and the moving average has FBNetV2's decay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pumice.models.fbnet_blocks import IR, Pool, SqueezeOf, scaled_net
from pumice.models.rows import Conv
from pumice.models.spaces.recipe import Setting, fields_of
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec

SIDES = range(224, 273, 8)
STEM = range(16, 25, 2)
KERNELS, FIRST, REST = (3, 5), range(4, 8), range(2, 6)  # expansions of a stage's first block and of the others


@dataclass(frozen=True)
class Stage:
    """Channels, depths, stride of the first block, gate."""

    channels: range
    depths: range
    stride: int
    se: SqueezeOf


# fmt: off
ARCHITECTURE = (
    #     channels             depths        s  SE
    Stage(range( 16,  25, 2), range(1,  5), 1, ""),  # expansion 1, one kernel
    Stage(range( 20,  33, 4), range(4,  8), 2, ""),
    Stage(range( 24,  49, 4), range(4,  8), 2, "input"),
    Stage(range( 56,  85, 4), range(4,  9), 2, ""),
    Stage(range( 96, 145, 4), range(6, 11), 1, "input"),
    Stage(range(180, 225, 4), range(5, 10), 2, "input"),
    Stage(range(180, 225, 4), range(1,  2), 1, "input"),  # expansion 6
)
# fmt: on
RECIPE = (
    Setting("lr", tuple(i / 1000 for i in range(20, 31))),
    Setting("optimizer", ("rmsprop", "sgd")),
    Setting("ema_decay", (None, 0.99985)),
    Setting("drop_rate", tuple(i / 100 for i in range(1, 41))),
    Setting("drop_path_rate", tuple(i / 100 for i in range(10, 32))),
    Setting("mixup", tuple(i / 100 for i in range(42))),
    Setting("weight_decay", tuple(i / 1e6 for i in range(7, 22))),
)


def _decisions() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name -> values of every decision about the architecture."""
    yield "side", tuple(SIDES)
    yield "stem channels", tuple(STEM)
    for i, stage in enumerate(ARCHITECTURE, 1):
        yield f"stage {i} kernel", KERNELS
        yield f"stage {i} channels", tuple(stage.channels)
        if len(stage.depths) > 1:
            yield f"stage {i} depth", tuple(stage.depths)
        if 1 < i < len(ARCHITECTURE):
            yield f"stage {i} further kernel", KERNELS
            yield f"stage {i} expansion", tuple(FIRST)
            yield f"stage {i} further expansion", tuple(REST)


DECISIONS = dict(_decisions())


class FBNetV3Space(Space):
    """width: of all channels, rounded to multiples of 8 unless it is 1; the paper's is 1."""

    name = "fbnet_v3"
    positions = (
        *(Position(name, tuple(map(str, values))) for name, values in DECISIONS.items()),
        *(setting.position for setting in RECIPE),
    )

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def spec(self, choice: Choice) -> NetSpec:
        """Stem, seven stages, the pooling head of 1984 features."""
        taken = _taken(choice)
        rows: list[Conv | IR] = [Conv(3, taken["stem channels"], 2, "HS", bias=True)]
        for i, stage in enumerate(ARCHITECTURE, 1):
            kernel, channels = taken[f"stage {i} kernel"], taken[f"stage {i} channels"]
            kernels = kernel, taken.get(f"stage {i} further kernel", kernel)
            alone = 1 if i == 1 else 6  # the expansion of stages that have no choice of it
            expands = taken.get(f"stage {i} expansion", alone), taken.get(f"stage {i} further expansion", alone)
            for block in range(taken.get(f"stage {i} depth", 1)):
                later = block > 0
                stride = 1 if later else stage.stride
                rows.append(IR(kernels[later], channels, stride, expands[later], stage.se))
        return scaled_net(tuple(rows), Pool(1984, 6), self.width)

    def image_of(self, choice: Choice) -> tuple[int, int]:
        """The side chosen, twice."""
        side = _taken(choice)["side"]
        return side, side

    def recipe(self, choice: Choice) -> dict[str, Any]:
        """Learning rate, optimiser, moving average, dropout, stochastic depth, mixup and weight decay."""
        return fields_of(RECIPE, choice[len(DECISIONS) :])


def _taken(choice: Choice) -> dict[str, int]:
    """Name -> value of every decision about the architecture."""
    return {name: values[i] for (name, values), i in zip(DECISIONS.items(), choice, strict=False)}
