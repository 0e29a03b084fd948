"""Kernels at the edges of what they were written for, each against torch in float64.

Every case is one layer of a program, behind a layer that copies the image to planes of its own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pumice.native.emit.choice import Choice, squarable, usual
from pumice.native.expression import Call, Const, Expression, Read, Result
from pumice.native.ir import Conv
from tests.native.compiled import QUICK, Loaded, answers, error, images, missing
from tests.native.programs import Draft, Planes

needs_compiler = pytest.mark.skipif(bool(missing("cc")), reason="no C compiler")
TOLERANCE = 2e-6
FLAGS = {"native": ("-march=native", QUICK), "scalar": ("-DPUMICE_SCALAR", QUICK), "plain": (QUICK,)}
RESULT = Result()


def conv(draft: Draft, planes: Planes, outputs: int, kernel: tuple[int, int] = (1, 1), **how: Any) -> Planes:
    return draft.conv(planes, outputs, kernel, **how)


CASES = {
    "rows in uneven steps": ((17, 30), 5, lambda d, p: conv(d, p, 5, (3, 3), groups=5, padding=(1, 1))),
    "nine rows": ((9, 9), 3, lambda d, p: conv(d, p, 3, (5, 5), groups=3, padding=(2, 2))),
    "one row, narrow": ((1, 3), 4, lambda d, p: conv(d, p, 4, (3, 3), groups=4, padding=(1, 1))),
    "two outputs a plane": ((10, 19), 3, lambda d, p: conv(d, p, 6, (3, 3), groups=3, padding=(1, 1), stride=(2, 2))),
    "every second column": ((14, 14), 4, lambda d, p: conv(d, p, 4, (5, 5), groups=4, padding=(2, 2), stride=(2, 2))),
    "every second column, wide": (
        (8, 70),
        2,
        lambda d, p: conv(d, p, 2, (3, 3), groups=2, padding=(0, 0), stride=(1, 2)),
    ),
    "every second row": ((15, 23), 3, lambda d, p: conv(d, p, 3, (3, 1), groups=3, padding=(1, 0), stride=(2, 1))),
    "unlike paddings": ((12, 13), 3, lambda d, p: conv(d, p, 3, (3, 3), groups=3, more=(1, 1), stride=(2, 2))),
    "every third column": ((12, 25), 3, lambda d, p: conv(d, p, 3, (3, 3), groups=3, padding=(1, 1), stride=(3, 3))),
    "even kernel": ((12, 13), 3, lambda d, p: conv(d, p, 3, (2, 2), groups=3, stride=(2, 2))),
    "a pixel alone": ((7, 7), 6, lambda d, p: conv(d, p, 13)),
    "a pixel alone, in groups": ((5, 5), 12, lambda d, p: conv(d, p, 8, groups=4)),
    "a pixel alone, prepared": ((3, 11), 9, lambda d, p: conv(d, p, 5, before=prepared(d, 9))),
    "a pixel alone, added": ((13, 13), 7, lambda d, p: conv(d, p, 7, after=Call("add", (RESULT, Read(p))))),
    "seventeen": ((1, 17), 3, lambda d, p: conv(d, p, 4)),
    "one": ((1, 1), 40, lambda d, p: conv(d, p, 7)),
    "squares": ((14, 14), 8, lambda d, p: conv(d, p, 12, (3, 3), padding=(1, 1))),
    "squares of odd sides": ((13, 7), 5, lambda d, p: conv(d, p, 7, (3, 3), padding=(1, 1))),
    "squares, wide": ((5, 61), 4, lambda d, p: conv(d, p, 3, (3, 3), padding=(1, 1))),
    "squares without padding": ((9, 34), 4, lambda d, p: conv(d, p, 6, (3, 3))),
    "squares, groups, added": (
        (7, 20),
        6,
        lambda d, p: conv(d, p, 6, (3, 3), groups=2, padding=(1, 1), after=added(p)),
    ),
    "squares, prepared": ((8, 18), 6, lambda d, p: conv(d, p, 4, (3, 3), padding=(1, 1), before=prepared(d, 6))),
    "squares of a corner": ((12, 90), 4, lambda d, p: conv(d, p, 4, (3, 3), padding=(1, 1), out_size=(5, 6))),
    "one square": ((1, 1), 4, lambda d, p: conv(d, p, 4, (3, 3), padding=(1, 1))),
    "windows of a corner": ((12, 90), 4, lambda d, p: conv(d, p, 4, (3, 3), stride=(2, 2), out_size=(3, 4))),
    "largest": ((13, 27), 3, lambda d, p: d.max_pool(p, (3, 3), (2, 2), (1, 1))),
    "largest, next to each other": ((6, 21), 3, lambda d, p: d.max_pool(p, (3, 3), (1, 1), (1, 1))),
    "largest of pairs": ((6, 21), 3, lambda d, p: d.max_pool(p, (2, 2), (2, 2))),
    "largest of third columns": ((10, 40), 3, lambda d, p: d.max_pool(p, (3, 3), (3, 3), (1, 1))),
    "largest, narrow": ((4, 3), 3, lambda d, p: d.max_pool(p, (2, 2), (2, 2), (1, 1))),
}


def prepared(draft: Draft, count: int) -> Expression:
    return Call("relu", (Call("add", (RESULT, Const(draft.normal(count)))),))


def added(planes: Planes) -> Expression:
    return Call("relu", (Call("add", (RESULT, Read(planes))),))


@needs_compiler
@pytest.mark.parametrize("flags", FLAGS)
def test_edges_of_kernels(flags: str, tmp_path: Path) -> None:
    draft, parts, choices, slices = Draft(40, (13, 90)), [], {}, []
    for size, count, layer in CASES.values():
        # The image cut to a size: below zero nothing changes, so that maxima meet numbers of both signs.
        planes = draft.conv(draft.image[:count], count, groups=count, out_size=size)
        made = layer(draft, planes)
        last = draft.operations[-1]
        if isinstance(last, Conv) and squarable(last):
            choices[len(draft.operations) - 1] = Choice(500, squares=True)
        parts.append(made if draft.size_of(made) == (1, 1) else draft.spread(made))
        start = slices[-1].stop if slices else 0
        slices.append(slice(start, start + len(parts[-1])))
    program = draft.program(np.concatenate(parts))
    given = images(program, 2, seed=3)
    loaded = Loaded(program, tmp_path, flags=FLAGS[flags], choices=choices)
    got, wanted = np.stack([loaded(image) for image in given]), answers(program, given)
    for name, part in zip(CASES, slices, strict=True):
        assert error(got[:, part], wanted[:, part]) <= TOLERANCE, name


def test_dense_windows_run_in_squares_where_that_costs_less() -> None:
    draft = Draft(64, (14, 14))
    draft.conv(draft.image, 64, (3, 3), padding=(1, 1))
    draft.conv(draft.image, 16, (3, 3), groups=8, padding=(1, 1))  # two outputs a group: transforms cost more
    draft.conv(draft.image, 64, (3, 3), padding=(1, 1), stride=(2, 2))
    assert [usual(one).squares for one in draft.operations if isinstance(one, Conv)] == [True, False, False]
