"""A map into the convolution that reads it: norms and gates happen while its inputs are gathered."""

from typing import Any

import numpy as np

from pumice.native.expression import Expression, Read, Result, reads, replaced, selected
from pumice.native.ir import Conv, Map, Program
from pumice.native.passes.links import Links, places


def merge_before(program: Program) -> None:
    """Every map of one image that a single convolution reads becomes what is done before that convolution."""
    links = Links(program)
    for operation in list(program.operations):
        if isinstance(operation, Conv) and isinstance(operation.before, Result):
            made = links.only_producer(operation.inputs)
            if isinstance(made, Map) and links.used_only_by(made, operation) and _of_one_image(made, program):
                _merge(made, operation, links)


def _images(made: Map, program: Program) -> list[Read]:
    return [one for one in reads(made.value) if program.sizes[int(one.planes[0])] == made.size]


def _of_one_image(made: Map, program: Program) -> bool:
    images = _images(made, program)
    return (
        made.size != (1, 1) and len(images) >= 1 and all(np.array_equal(one.planes, images[0].planes) for one in images)
    )


def _merge(made: Map, reader: Conv, links: Links) -> None:
    chosen = places(made.outputs, reader.inputs)
    image = _images(made, links.program)[0].planes
    own = {id(one.planes) for one in _images(made, links.program)}

    def leaf(one: Any) -> Expression | None:
        return Result() if isinstance(one, Read) and id(one.planes) in own else None

    before = selected(replaced(made.value, leaf), chosen)

    def change() -> None:
        reader.inputs, reader.before = image[chosen], before

    links.remove(made)
    links.change(reader, change)
