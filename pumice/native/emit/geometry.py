"""How windows lie in what is gathered: strips of rows, several planes at a time."""

import numpy as np
from numpy.typing import NDArray

from pumice.native.emit.tiles import blocks
from pumice.native.ir import Conv
from pumice.native.plan import LANES


def windows(conv: Conv, most: int) -> tuple[NDArray[np.int64], tuple[int, ...], int]:
    """How a layer's windows lie in the scratch: offset of each tap, the numbers of a Window, and the room it needs.

    most: numbers that are gathered at a time, where one plane does not need more.
    """
    out, inputs = conv.per_group
    kernel = conv.weight.shape[2:]
    (sy, sx), (dy, dx) = conv.stride, conv.dilation
    height, width = conv.out_size
    reach = (kernel[0] - 1) * dy + 1
    # A narrow row is read as one vector; with two phases, what the first one writes too much must miss the second one.
    seg = max(width, LANES) + (kernel[1] - 1) * dx // sx + 1 + (LANES if sx == 2 else 0)
    pitch = sx * seg
    fit = (most // (inputs * pitch) - reach) // sy + 1
    strip = min(max(fit, 4 if inputs <= 2 else 1), height)
    strip = -(-height // -(-height // strip))
    strip = min(-(-strip // 4) * 4, height) if strip > 4 else strip
    used = width + (kernel[1] - 1) * dx // sx + 1
    plane = ((strip - 1) * sy + reach) * pitch
    if plane % 256 == 0:
        plane += LANES
    off = np.array(
        [
            i * plane + ky * dy * pitch + kx * dx % sx * seg + kx * dx // sx
            for i in range(inputs)
            for ky in range(kernel[0])
            for kx in range(kernel[1])
        ]
    )
    batch = 1 if strip < height else min(max(most // (inputs * plane), 1), conv.groups)
    numbers = (
        conv.groups,
        inputs,
        out,
        blocks(out)[1],
        len(off),
        *conv.size,
        height,
        width,
        *conv.padding,
        sy,
        sx,
        reach,
        seg,
        used,
        plane,
        strip,
        batch,
    )
    return off, numbers, batch * inputs * plane + 4 * LANES
