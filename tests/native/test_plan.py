"""Memory: planes that are alive at the same time never share any, and room is given back."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumice.native.expression import Call, Read
from pumice.native.ir import Map, Operation, Program, Spread, read_by
from pumice.native.passes import optimise
from pumice.native.plan import LANES, Plan, plan, stride
from tests.native.drawn import drawn
from tests.native.programs import Draft

SIZES = [(1, 1), (3, 5), (1, 40), (7, 2)]
SLACK = 5 * LANES
"""Numbers before and behind everything, that rows may be read in whole vectors."""


def written(program: Program, operation: Operation, place: int) -> int:
    """How many numbers a kernel may write from where an output begins, vectors of up to LANES numbers at a time."""
    height, width = program.sizes[int(operation.outputs[place])]
    if height * width == 1:
        # Vectors of numbers lie together, and are written from the first to the last: what is written too much is
        # covered later, but for the last.
        last = place + 1 == len(operation.outputs) and not isinstance(operation, Map | Spread)
        return LANES if last else 1
    return max(-(-height * width // LANES) * LANES, (height - 1) * width + max(width, LANES))


def lives(program: Program) -> dict[int, tuple[int, int]]:
    """Plane -> the operations at which it is made and last read."""
    found: dict[int, tuple[int, int]] = {}
    for i, operation in enumerate(program.operations):
        for planes in read_by(operation):
            found.update({plane: (found[plane][0], i) for plane in planes.tolist() if plane in found})
        found.update(dict.fromkeys(operation.outputs.tolist(), (i, i)))
    found.update(
        {plane: (found[plane][0], len(program.operations)) for plane in program.outputs.tolist() if plane in found}
    )
    return found


def room(program: Program, made: Plan) -> Iterator[tuple[int, int, int, int]]:
    """(made, last read, begin, end) of every plane."""
    life = lives(program)
    for operation in program.operations:
        for place, plane in enumerate(operation.outputs.tolist()):
            start = int(made.offsets[plane])
            yield (*life[plane], start, start + written(program, operation, place))


def check(program: Program) -> None:
    made = plan(program)
    spans = np.array(list(room(program, made)))
    assert (spans[:, 2] >= 0).all()
    assert (spans[:, 3] <= made.total).all()
    assert (made.offsets[program.inputs] == -1).all()
    for i in range(len(program.operations)):
        alive = spans[(spans[:, 0] <= i) & (spans[:, 1] >= i)]
        alive = alive[np.argsort(alive[:, 2], kind="stable")]
        assert (alive[1:, 2] >= alive[:-1, 3]).all(), f"planes overlap at operation {i}"


def naive(program: Program) -> int:
    """Numbers where every plane has a place of its own."""
    total = 0
    for operation in program.operations:
        step = stride(program.sizes[int(operation.outputs[0])])
        count = len(operation.outputs)
        total += count * step if step > 1 else -(-(count + LANES) // LANES) * LANES
    return total


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_live_planes_never_overlap(seed: int, fused: bool) -> None:
    program = drawn(seed).program
    check(optimise(program) if fused else program)
    assert plan(program).total <= naive(program) + SLACK


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(SIZES)), min_size=1, max_size=20))
def test_planes_that_live_until_they_are_read_together(layers: list[tuple[int, tuple[int, int]]]) -> None:
    """Outputs of one operation that end at different times leave gaps, which others must fit into."""
    draft = Draft(3, (7, 40))
    kept = []
    for count, size in layers:
        # Some are read by nobody, some at once, some at the very end.
        pooled = draft.conv(draft.image, count, (8 - size[0], 41 - size[1]))
        read = draft.relu(pooled[: count // 2 + 1])
        kept.append(draft.mean(np.concatenate([pooled[count // 2 :], read])) if size != (1, 1) else read)
    check(draft.program(np.concatenate(kept)))


def test_a_chain_needs_two_planes_of_memory() -> None:
    draft = Draft(8, (16, 16))
    x = draft.conv(draft.image, 8, (3, 3), padding=(1, 1))
    for _ in range(6):
        x = draft.conv(x, 8, (3, 3), padding=(1, 1))
    program = draft.program(x)
    check(program)
    assert plan(program).total == 2 * 8 * stride((16, 16)) + SLACK


def test_room_is_used_again_in_pieces() -> None:
    draft = Draft(8, (16, 16))
    a = draft.conv(draft.image, 8)
    mean = draft.mean(a)
    b = draft.conv(draft.image, 5)
    c = draft.conv(b, 3, (3, 3), padding=(1, 1))
    program = draft.program(np.concatenate([b, c]))
    program.operations.append(Map("kept", draft.fresh(8, (1, 1)), (1, 1), Call("relu", (Read(mean),))))
    check(program)
    assert plan(program).total < 9 * stride((16, 16)) + 4 * LANES + SLACK


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 3), (2, 40), (16, 16), (32, 32), (15, 17)])
def test_planes_have_room_for_whole_vectors(size: tuple[int, int]) -> None:
    height, width = size
    if size == (1, 1):
        assert stride(size) == 1
    else:
        assert stride(size) >= (height - 1) * width + max(width, LANES)
        assert stride(size) % LANES == 0
