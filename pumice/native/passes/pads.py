"""Zeros around an image into the padding of the convolution that reads it."""

import numpy as np

from pumice.native.expression import Result
from pumice.native.ir import Conv, Program
from pumice.native.passes.links import Links, places


def merge_pads(program: Program) -> None:
    """A convolution that only pads disappears where one convolution reads it."""
    links = Links(program)
    for operation in list(program.operations):
        if isinstance(operation, Conv):
            pad = links.only_producer(operation.inputs)
            plain = isinstance(operation.before, Result)  # what comes before makes something else of zeros
            if plain and isinstance(pad, Conv) and _only_pads(pad) and links.used_only_by(pad, operation):
                _merge(pad, operation, links)


def _only_pads(conv: Conv) -> bool:
    return (
        conv.weight.shape[1:] == (1, 1, 1)
        and bool(np.all(conv.weight == 1) and np.all(conv.bias == 0))
        and conv.stride == (1, 1)
        and isinstance(conv.before, Result)
        and isinstance(conv.after, Result)
    )


def _merge(pad: Conv, reader: Conv, links: Links) -> None:
    def change() -> None:
        reader.inputs = pad.inputs[places(pad.outputs, reader.inputs)]
        reader.size = pad.size
        reader.padding = (reader.padding[0] + pad.padding[0], reader.padding[1] + pad.padding[1])

    links.remove(pad)
    links.change(reader, change)
