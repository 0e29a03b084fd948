"""The numbers of a network as one block, in the order in which the code reads them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.native.emit.tiles import shares
from pumice.native.ir import Conv, Linear

ALIGNED = 16
"""Numbers; parts begin on 64 bytes."""


class Weights:
    """Grows part by part; each part has an offset in numbers."""

    def __init__(self) -> None:
        self.parts: list[NDArray[np.float32]] = []
        self.total = 0

    def add(self, numbers: NDArray[np.float32]) -> int:
        """The offset of a new part."""
        flat = np.ascontiguousarray(numbers, np.float32).ravel()
        start = self.total
        self.parts += [flat, np.zeros(-len(flat) % ALIGNED, np.float32)]
        self.total += len(flat) + len(self.parts[-1])
        return start

    def tobytes(self) -> bytes:
        """All parts, little-endian; and a vector more, for some are read in whole vectors."""
        whole = np.concatenate([*self.parts, np.zeros(ALIGNED, np.float32)])
        return whole.astype("<f4").tobytes()


def of_conv(conv: Conv) -> NDArray[np.float32]:
    """(group, tile, tap, output of the tile): what one tile reads lies together."""
    return _tiles(conv.weight, conv)


def order_of_conv(conv: Conv) -> NDArray[np.int64]:
    """Which weight lies where in `of_conv`."""
    return _tiles(np.arange(conv.weight.size).reshape(conv.weight.shape), conv)


def _tiles(weight: NDArray[Any], conv: Conv) -> NDArray[Any]:
    out = len(weight) // conv.groups
    rows = weight.reshape(conv.groups, out, -1)
    return np.concatenate([group[share].T.ravel() for group in rows for share in shares(out)])


def of_linear(linear: Linear) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(block of 32 outputs, input, output) and the biases, filled with zeros to whole blocks."""
    out, n = linear.weight.shape
    whole = np.zeros((-(-out // 32) * 32, n), np.float32)
    whole[:out] = linear.weight
    bias = np.zeros(len(whole), np.float32)
    bias[:out] = linear.bias
    return whole.reshape(-1, 32, n).swapaxes(1, 2).ravel(), bias
