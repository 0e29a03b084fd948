"""FBNet's space: 22 layers, at each one of the nine candidates of table 2 (Wu et al., CVPR 2019, arXiv:1812.03443).

The order of the candidates is that of the public latency tables of this space.
"""

from pumice.models.fbnet import K3_E1, K3_E1_G2, K3_E3, K3_E6, K5_E1, K5_E1_G2, K5_E3, K5_E6, MACRO, SKIP, searched
from pumice.models.rows import Row
from pumice.models.spaces.layered import Layered
from pumice.models.spaces.space import Choice, Position
from pumice.models.spec import NetSpec

CANDIDATES = {
    "k3_e1": K3_E1,
    "k3_e1_g2": K3_E1_G2,
    "k3_e3": K3_E3,
    "k3_e6": K3_E6,
    "k5_e1": K5_E1,
    "k5_e1_g2": K5_E1_G2,
    "k5_e3": K5_E3,
    "k5_e6": K5_E6,
    "skip": SKIP,
}


class FBNetSpace(Layered):
    """width: of all channels; the paper searched smaller nets at 0.35 and 0.5."""

    name = "fbnet"
    positions = tuple(Position(f"layer {i + 1}", tuple(CANDIDATES)) for i in range(sum(n for _, n, _ in MACRO)))

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def spec(self, choice: Choice) -> NetSpec:
        """Stem, the layers chosen, a last convolution of 1984."""
        taken = list(CANDIDATES.values())
        return searched([taken[i] for i in choice], self.width)

    def rows(self, layer: int) -> tuple[Row, ...]:
        """The nine candidates of a layer, counted from 0."""
        return tuple(
            searched([taken] * len(self.positions), self.width).rows[1 + layer] for taken in CANDIDATES.values()
        )
