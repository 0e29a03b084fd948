"""The image lies in memory of the caller, without room at the end of its planes: only convolutions read it there."""

import numpy as np

from pumice.native.expression import Expression, Planes, Read, replaced
from pumice.native.ir import Conv, Map, Program, read_by


def copy_image(program: Program) -> None:
    """Where anything but a convolution reads the image, or the image is part of what it reads, a copy comes first."""
    image = set(program.inputs.tolist())
    size = program.sizes[int(program.inputs[0])]
    copies: dict[int, int] = {}

    def of(plane: int) -> int:
        return copies.setdefault(plane, len(program.sizes) + len(copies)) if plane in image else plane

    def moved(planes: Planes) -> Planes:
        return np.array([of(plane) for plane in planes.tolist()], np.int64)

    def leaf(one: object) -> Expression | None:
        return Read(moved(one.planes)) if isinstance(one, Read) else None

    for operation in program.operations:
        lists = [set(planes.tolist()) for planes in read_by(operation)]
        if not any(image & planes for planes in lists):
            continue
        if isinstance(operation, Conv) and lists[0] <= image and not any(image & planes for planes in lists[1:]):
            continue
        if isinstance(operation, Map):
            operation.value = replaced(operation.value, leaf)
        else:
            operation.inputs = moved(operation.inputs)
            if hasattr(operation, "after"):
                operation.after = replaced(operation.after, leaf)
            if isinstance(operation, Conv):
                operation.before = replaced(operation.before, leaf)
                operation.made = None if operation.made is None else moved(operation.made)
    program.outputs = moved(program.outputs)
    if copies:
        sources, made = (np.array(list(part), np.int64) for part in (copies.keys(), copies.values()))
        program.sizes += [size] * len(made)
        ones = np.ones((len(made), 1, 1, 1), np.float32)
        zeros = np.zeros(len(made), np.float32)
        program.operations.insert(0, Conv("image", sources, made, size, size, ones, zeros, groups=len(made)))
