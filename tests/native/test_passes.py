"""Passes: each computes the same as before by itself, and does what it says."""

import copy

import numpy as np
import pytest

from pumice.native.expression import Call, Const, Read, Result, reads
from pumice.native.interpret import interpret
from pumice.native.ir import Conv, Linear, Map, MaxPool, Mean, Program, read_by
from pumice.native.passes import PASSES, optimise
from tests.native.compiled import error, images
from tests.native.drawn import drawn
from tests.native.programs import Draft, Planes

SIZE = (6, 7)
TOLERANCE = 1e-6


def kinds(program: Program) -> list[type]:
    return [type(operation) for operation in program.operations]


def after(name: str, program: Program) -> Program:
    """What one pass, or all of them, makes of a program that stays; the answers are compared."""
    changed = copy.deepcopy(program)
    optimise(changed) if name == "all" else PASSES[name](changed)
    ordered(changed)
    for image in images(program, 2):
        wanted = interpret(program, image)
        assert np.abs(wanted).max() > 0
        assert error(interpret(changed, image), wanted) <= TOLERANCE
    return changed


def ordered(program: Program) -> None:
    """Nothing is read before it is made, nor made twice."""
    there = set(program.inputs.tolist())
    for operation in program.operations:
        for planes in read_by(operation):
            assert there.issuperset(planes.tolist())
        assert not there.intersection(operation.outputs.tolist())
        there.update(operation.outputs.tolist())
    assert there.issuperset(program.outputs.tolist())


@pytest.mark.parametrize("name", [*PASSES, "all"])
@pytest.mark.parametrize("seed", range(6))
def test_every_pass_keeps_the_answer(name: str, seed: int) -> None:
    after(name, drawn(seed).program)


def scaled(planes: Planes, by: float) -> Call:
    return Call("mul", (Read(planes), Const(by)))


def test_maps_into_maps() -> None:
    draft = Draft(4, SIZE)
    a = draft.map(scaled(draft.image, 2.0), 4, SIZE)
    b = draft.map(Call("relu", (Read(a[::-1]),)), 4, SIZE)
    c = draft.map(Call("add", (Read(b), Read(draft.image))), 4, SIZE)
    made = after("maps", draft.program(c))
    assert kinds(made) == [Map]
    assert len(list(reads(made.operations[0].value))) == 2  # type: ignore[union-attr]


def test_a_map_that_two_read_stays() -> None:
    draft = Draft(4, SIZE)
    a = draft.map(scaled(draft.image, 2.0), 4, SIZE)
    b, c = draft.relu(a), draft.map(Call("neg", (Read(a),)), 4, SIZE)
    assert kinds(after("maps", draft.program(np.concatenate([b, c])))) == [Map] * 3


def test_a_map_that_is_part_of_the_answer_stays() -> None:
    draft = Draft(4, SIZE)
    a = draft.map(scaled(draft.image, 2.0), 4, SIZE)
    assert kinds(after("maps", draft.program(np.concatenate([a, draft.relu(a)])))) == [Map] * 2
    draft = Draft(4, SIZE)
    conv = draft.conv(draft.image, 4)
    assert kinds(after("after", draft.program(np.concatenate([conv, draft.relu(conv)])))) == [Conv, Map]


def test_a_map_that_is_read_twice_by_one_stays() -> None:
    draft = Draft(4, SIZE)
    a = draft.map(Call("sigmoid", (Read(draft.image),)), 4, SIZE)
    b = draft.map(Call("add", (Read(a), Read(a[::-1]))), 4, SIZE)
    assert kinds(after("maps", draft.program(b))) == [Map] * 2


def test_activations_into_layers() -> None:
    draft = Draft(4, SIZE)
    conv = draft.relu(draft.conv(draft.image, 6, (3, 3)))
    pool = draft.relu(draft.max_pool(conv, (2, 2), (2, 2)))
    mean = draft.relu(draft.mean(pool))
    linear = draft.relu(draft.linear(mean, 5))
    made = after("after", draft.program(linear))
    assert kinds(made) == [Conv, MaxPool, Mean, Linear]
    assert all(not isinstance(operation.after, Result) for operation in made.operations)  # type: ignore[union-attr]


def test_a_residual_into_the_later_layer() -> None:
    draft = Draft(4, SIZE)
    first = draft.relu(draft.conv(draft.image, 4))
    second = draft.conv(first, 4, (3, 3), padding=(1, 1))
    made = after("after", draft.program(draft.relu(draft.add(first, second))))
    assert kinds(made) == [Conv, Conv]
    assert [one.planes.tolist() for one in reads(made.operations[1].after)] == [  # type: ignore[union-attr]
        made.operations[0].outputs.tolist()
    ]


def test_shuffled_results_into_the_layer() -> None:
    draft = Draft(4, SIZE)
    conv = draft.conv(draft.image, 6)
    shuffled = conv.reshape(2, 3).T.ravel()
    made = after("after", draft.program(draft.map(Call("add", (Read(shuffled), Const(draft.normal(6)))), 6, SIZE)))
    assert kinds(made) == [Conv]


def test_an_activation_of_a_concatenation_is_shared_out() -> None:
    draft = Draft(4, SIZE)
    left, right = draft.conv(draft.image, 3), draft.conv(draft.image, 5, (3, 3), padding=(1, 1))
    joined = np.concatenate([left, right])
    scale = Const(draft.normal(8))
    made = after("after", draft.program(draft.map(Call("relu", (Call("mul", (Read(joined), scale)),)), 8, SIZE)))
    assert kinds(made) == [Conv, Conv]


def test_what_nobody_can_take_stays_a_map() -> None:
    draft = Draft(4, SIZE)
    conv = draft.conv(draft.image, 4)
    half = draft.map(Call("relu", (Read(conv[:2]),)), 2, SIZE)
    assert kinds(after("after", draft.program(np.concatenate([half, conv[2:]])))) == [Conv, Map]


def test_a_layer_that_reads_a_later_one_runs_behind_it() -> None:
    draft = Draft(4, SIZE)
    early = draft.conv(draft.image, 4)
    late = draft.conv(draft.image, 4, (3, 3), padding=(1, 1))
    both = draft.add(early, late)
    made = after("after", draft.program(np.concatenate([both, late])))
    assert kinds(made) == [Conv, Conv]
    assert made.operations[1].outputs.tolist() == both.tolist()


def test_norms_and_gates_into_the_convolution_behind() -> None:
    draft = Draft(4, SIZE)
    copied = draft.conv(draft.image, 4)
    gate = draft.mean(copied)
    value = Call("mul", (Call("relu", (Read(copied),)), Read(gate)))
    normed = draft.map(value, 4, SIZE)
    made = after("before", draft.program(draft.conv(normed[[3, 1, 1, 0]], 6, (3, 3), padding=(1, 1), groups=2)))
    assert kinds(made) == [Conv, Mean, Conv]
    assert isinstance(made.operations[2], Conv)
    assert not isinstance(made.operations[2].before, Result)


def test_a_sum_of_two_images_does_not_go_into_the_convolution_behind() -> None:
    draft = Draft(4, SIZE)
    a, b = draft.conv(draft.image, 4), draft.conv(draft.image, 4)
    assert kinds(after("before", draft.program(draft.conv(draft.add(a, b), 6)))) == [Conv, Conv, Map, Conv]


def test_a_norm_that_two_convolutions_read_stays() -> None:
    draft = Draft(4, SIZE)
    normed = draft.relu(draft.conv(draft.image, 4))
    both = np.concatenate([draft.conv(normed, 2), draft.conv(normed, 3)])
    assert kinds(after("before", draft.program(both))) == [Conv, Map, Conv, Conv]


def test_pads_into_the_convolution_behind() -> None:
    draft = Draft(4, SIZE)
    padded = draft.pad(draft.image, 0, 1, 2, 1)
    made = after("pads", draft.program(draft.conv(padded[::-1], 5, (3, 3), stride=(2, 2), padding=(1, 0))))
    assert kinds(made) == [Conv]
    assert isinstance(made.operations[0], Conv)
    assert (made.operations[0].padding, made.operations[0].size) == ((1, 1), SIZE)


def test_a_pad_at_the_end_before_single_pixels_is_no_single_pixels() -> None:
    draft = Draft(4, SIZE)
    made = after("pads", draft.program(draft.conv(draft.pad(draft.image, 0, 0, 1, 1), 5)))
    assert kinds(made) == [Conv]
    assert isinstance(made.operations[0], Conv)
    assert not made.operations[0].pointwise


def test_a_pad_that_two_read_or_before_a_pool_stays() -> None:
    draft = Draft(4, SIZE)
    padded = draft.pad(draft.image, 0, 0, 1, 1)
    both = np.concatenate([draft.conv(padded, 2, (3, 3)), draft.conv(padded, 3, (3, 3))])
    assert kinds(after("pads", draft.program(both))) == [Conv] * 3
    draft = Draft(4, SIZE)
    assert kinds(after("pads", draft.program(draft.max_pool(draft.pad(draft.image, 0, 0, 1, 1), (2, 2), (2, 2))))) == [
        Conv,
        MaxPool,
    ]


def test_a_pad_does_not_go_around_what_comes_before_a_convolution() -> None:
    draft = Draft(4, SIZE)
    before = Call("add", (Result(), Const(3.0)))  # of a padded zero: 3
    made = draft.conv(draft.pad(draft.image, 1, 1, 1, 1), 5, (3, 3), before=before)
    after("pads", draft.program(made))


def test_the_image_is_copied_where_it_is_not_read_by_convolutions() -> None:
    draft = Draft(4, SIZE)
    a, b = draft.conv(draft.image, 4, (3, 3), padding=(1, 1)), draft.max_pool(draft.image, (1, 1), (1, 1))
    c = draft.add(a, draft.image)
    made = after("image", draft.program(np.concatenate([draft.image[:1], b, c])))
    assert kinds(made) == [Conv, Conv, MaxPool, Map]
    assert made.operations[0].path == "image"
    image = set(made.inputs.tolist())
    for operation in made.operations:
        lists = [set(planes.tolist()) for planes in read_by(operation)]
        if any(image & planes for planes in lists):
            assert isinstance(operation, Conv)
            assert lists[0] <= image
            assert not any(image & planes for planes in lists[1:])
    assert not image & set(made.outputs.tolist())


def test_a_convolution_of_the_image_reads_it_in_place() -> None:
    draft = Draft(4, SIZE)
    assert kinds(after("image", draft.program(draft.conv(draft.image[[2, 0]], 4)))) == [Conv]


def test_a_convolution_of_the_image_beside_planes_reads_a_copy() -> None:
    draft = Draft(4, SIZE)
    joined = np.concatenate([draft.image, draft.conv(draft.image, 3)])
    assert kinds(after("image", draft.program(draft.conv(joined, 4)))) == [Conv] * 3


def test_what_nobody_reads_is_dropped() -> None:
    draft = Draft(4, SIZE)
    kept = draft.conv(draft.image, 4)
    draft.relu(draft.conv(kept, 3))
    assert kinds(after("dead", draft.program(kept))) == [Conv]


def test_sums_of_many_layers_can_be_written() -> None:
    """An expression reads no more lists than the C code has room for."""
    from pumice.native.emit.source import source

    draft = Draft(4, SIZE)
    total = draft.conv(draft.image, 4)
    terms = [draft.conv(draft.image, 4) for _ in range(12)]
    for term in terms:
        total = draft.add(total, term)
    assert source(after("all", draft.program(total))).text


def test_norms_of_norms_can_be_written() -> None:
    from pumice.native.emit.source import source

    draft = Draft(4, SIZE)
    x = draft.conv(draft.image, 4)
    for _ in range(6):
        scaled_ = Call("mul", (Read(x), Const(draft.normal(4))))
        x = draft.map(Call("tanh", (Call("add", (scaled_, Const(draft.normal(4)))),)), 4, SIZE)
    assert source(after("all", draft.program(draft.conv(x, 5)))).text
