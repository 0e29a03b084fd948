"""Compound scaling's bookkeeping: what scaled networks really cost, against 2^phi and against the release.

python benchmarks/scaling.py [NET ...]
"""

import sys

from pumice.models.efficientnet import SCALES
from pumice.search.costs import MAdds, Params
from pumice.search.scaling import PAPER, Coefficients, Scaled, scaled

RELEASED_PARAMS = (5.289, 7.794, 9.110, 12.233, 19.342, 30.390, 43.041, 66.348)  # M, of B0 to B7


def released() -> None:
    """The released nets, whose coefficients are rounded by hand, beside one phi for all three."""
    print("net  width depth side   params M (release)   MAdds M   of B0   |  phi  rows side   MAdds M   of B0   2^phi")
    first = 0.0
    for i, (row, params) in enumerate(zip(scaled("efficientnet_b0", range(8)), RELEASED_PARAMS, strict=True)):
        width, depth, side, _ = SCALES[f"b{i}"]
        net = Scaled("efficientnet_b0", [Coefficients(depth, width, side / 224)])
        madds = MAdds(net).of((0,))
        first = first or madds
        ours = f"B{i}   {width:5.2f} {depth:5.2f} {side:4}   {Params(net).of((0,)) / 1e6:7.3f} ({params:7.3f})"
        print(
            f"{ours}   {madds / 1e6:9.1f} {madds / first:7.2f}   |  {row.phi:3g} {row.rows:5} {row.side:4} "
            f"{row.madds / 1e6:9.1f} {row.growth:7.2f} {row.asked:7.0f}"
        )


def family(name: str) -> None:
    """One net at phi 1 to 3 by the paper's coefficients."""
    print(f"\n{name}, alpha beta gamma {PAPER}\n  phi  rows side  params M   MAdds M  growth   2^phi")
    for row in scaled(name, (0, 1, 2, 3)):
        print(
            f"{row.phi:5g} {row.rows:5} {row.side:4} {row.params / 1e6:9.3f} {row.madds / 1e6:9.1f} {row.growth:7.2f} "
            f"{row.asked:7.0f}"
        )


if __name__ == "__main__":
    released()
    for asked in sys.argv[1:] or ["mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_large_100", "shufflenetv2_100"]:
        family(asked)
