"""Kernels that the network computes, put into the order in which the code reads weights."""

import numpy as np

from pumice.native.emit.tiles import blocks
from pumice.native.emit.weights import order_of_conv
from pumice.native.emit.writer import Writer, table
from pumice.native.ir import Conv
from pumice.native.plan import LANES

IN_ORDER = """
/* (group, output, tap) -> (group, tile, tap, output of the tile). */
MAYBE void in_order(const float *p, float *w, int groups, int out, int taps, int size, int many) {
    for (int g = 0; g < groups; g++)
        for (int o = 0, count; o < out; o += count, p += count * taps) {
            count = o < many * size ? size : size - 1;
            for (int k = 0; k < taps; k++)
                for (int j = 0; j < count; j++) *w++ = p[j * taps + k];
        }
}
"""


def made(writer: Writer, conv: Conv, lines: list[str]) -> str:
    """Append the statements; where the weights lie then, behind all planes."""
    assert conv.made is not None
    places, place = writer.places(conv.made), writer.plan.total
    writer.made = max(writer.made, len(places) + LANES)  # some are read in whole vectors
    if (np.diff(places) == 1).all():
        if ("in_order",) not in writer.kinds:
            writer.kinds["in_order",] = "in_order"
            writer.functions.append(IN_ORDER)
        out = len(conv.weight) // conv.groups
        numbers = (conv.groups, out, conv.weight[0].size, *blocks(out))
        lines.append(f"in_order(r->arena + {places[0]}, r->arena + {place}, {', '.join(map(str, numbers))});")
    else:
        lines.append(table("made", places[order_of_conv(conv)]))
        lines.append(f"for (int k = 0; k < {len(places)}; k++) r->arena[{place} + k] = r->arena[made[k]];")
    return f"r->arena + {place}"
