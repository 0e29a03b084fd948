"""How fast a layer could be at best on this machine, and whether arithmetic or memory sets that limit.

The roofline model: Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model", CACM 52(4),
2009.  The rule here, for every layer that multiplies (convolutions, linear layers, matrix products):

    floor = max(multiply-adds / peak, weight bytes / B(all weights of the net) + activation bytes / B(those bytes))

where B(size) is the bandwidth of the fastest level that holds `size` bytes.  Weights are read once a pass, and between
two passes all the others come by, so they come from the level that holds them all; activations have just been written
by the layer before, so they are found in the level that holds this layer's own.  The floor of a net is the sum.

It is a floor and no target.  Too low, by design: norms, activations, shuffles, pooling and elementwise work cost
nothing, as if all were fused; a depthwise convolution is charged the arithmetic of a dense product; writing costs what
reading does; every level is taken to be all ours.  Too high where layers are fused so that a map between them is never
written, and where a runtime saves multiply-adds (Winograd's convolutions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pumice.cost.ceilings import Ceilings
from pumice.graph.records import Layer


@dataclass(frozen=True)
class Floor:
    """The least time of one layer.

    compute_ms, memory_ms: what its arithmetic and its memory access take; the longer one is the floor.
    """

    compute_ms: float
    memory_ms: float

    @property
    def ms(self) -> float:
        """The floor."""
        return max(self.compute_ms, self.memory_ms)

    @property
    def bound(self) -> Literal["compute", "memory"]:
        """What sets the floor."""
        return "compute" if self.compute_ms >= self.memory_ms else "memory"


def floors(layers: Sequence[Layer], ceilings: Ceilings) -> tuple[Floor | None, ...]:
    """The floor of every layer, None for those that do not multiply.

    layers: all of one net, since the weights of the others decide where a layer's own are read from.
    """
    weights = ceilings.level(sum(layer.weight_bytes for layer in layers if layer.counted))
    return tuple(_floor(layer, ceilings, weights.bytes_per_s) if layer.counted else None for layer in layers)


def floor_ms(layers: Sequence[Layer], ceilings: Ceilings) -> float:
    """The floor of the whole net, ms a pass."""
    return sum(floor.ms for floor in floors(layers, ceilings) if floor)


def _floor(layer: Layer, ceilings: Ceilings, weights_per_s: float) -> Floor:
    moved = layer.memory_bytes - layer.weight_bytes
    memory_s = layer.weight_bytes / weights_per_s + moved / ceilings.level(moved).bytes_per_s
    return Floor(compute_ms=1e3 * layer.madds / ceilings.madds_per_s, memory_ms=1e3 * memory_s)
