"""Channel groups: which channels of a network stand or fall together.

    groups = channel_groups(trace(model))

Every channel is followed by itself through the traced operators (`channel_flow`).  Layers make channels, element-wise
operators and depthwise convolutions tie them, concatenations and shuffles move them.  What cannot be followed is frozen
with its reason.
"""

from dataclasses import dataclass

from pumice.graph.records import Graph


@dataclass(frozen=True)
class Use:
    """Where the channels of a group lie in one parameter or buffer.

    tensor: its qualified name.
    channels: for each index along `dim` the channel of the group that it belongs to, -1 if it is another group's.
    makes: whether the tensor makes the channels (a convolution's outputs, its bias); False where it reads or follows.
    reads: whether it is a weight that multiplies them and adds up, so that zeros there hide the channels.
    """

    tensor: str
    dim: int
    channels: tuple[int, ...]
    makes: bool
    reads: bool = False


@dataclass(frozen=True)
class Passage:
    """A module that adapts itself to the channels that reach it (rule "pass"); channels: those of its input."""

    module: str
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Channels that stand or fall together across layers.

    name: qualified name of the first layer that makes them.
    channels: how many can be told apart; each is a set of coupled positions in all uses.
    cells: partition of range(channels); all cells keep equally many, as grouped convolutions ask, at least one each.
        Where cells are of unequal size, each keeps at most as many as the smallest has, or all channels stay.
    frozen: why nothing may be cut, "" if something may.
    """

    name: str
    channels: int
    cells: tuple[tuple[int, ...], ...]
    uses: tuple[Use, ...]
    frozen: str = ""
    passages: tuple[Passage, ...] = ()


def channel_groups(graph: Graph) -> tuple[Group, ...]:
    """The channel groups of a network, in order of execution; frozen ones are among them."""
    raise NotImplementedError
