"""Rows and columns made of rows and columns: resizing, cutting, reflecting and uneven pooling, against torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pumice.native.ir import Resample
from pumice.native.passes import optimise
from pumice.native.read import read
from pumice.native.read_resamples import taps_of
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, Together, agree

Parts = dict[str, Callable[[Tensor], Tensor]]
MODES = ("nearest", "nearest-exact", "bilinear", "bicubic")


@st.composite
def resizes(draw: st.DrawFn) -> Parts:
    """Some ways of resizing, each of its own size."""
    parts: Parts = {}
    for mode in MODES:
        corners = draw(st.booleans()) if mode in ("bilinear", "bicubic") else None
        if draw(st.booleans()):
            how = {"size": (draw(st.integers(1, 40)), draw(st.integers(1, 40)))}
        else:
            how = {"scale_factor": draw(st.sampled_from([2, 3, 0.5, 1.7, (2.0, 1.0), (0.7, 2.5)]))}  # type: ignore[dict-item]
        parts[f"{mode} {how} {corners}"] = lambda x, mode=mode, corners=corners, how=how: functional.interpolate(
            x, mode=mode, align_corners=corners, **how
        )
    return parts


def size_of(draw: st.DrawFn) -> tuple[int, int, int]:
    return draw(st.integers(1, 3)), draw(st.integers(4, 20)), draw(st.integers(4, 40))


@st.composite
def cuts(draw: st.DrawFn, height: int, width: int) -> Parts:
    """Parts of an image, what is around it, and means of uneven parts."""
    top, left = draw(st.integers(0, height - 2)), draw(st.integers(0, width - 2))
    step = draw(st.integers(1, 3))
    pads = [draw(st.integers(0, 3)) for _ in range(4)]
    small = (draw(st.integers(1, height)), draw(st.integers(1, width)))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    stride, up = draw(st.integers(1, 3)), draw(st.booleans())
    return {
        f"cut {top} {left} {step}": lambda x: x[:, :, top:, left::step],
        f"cropped {pads}": lambda x: functional.pad(x, (-pads[0], pads[1], pads[2], -pads[3])),
        f"ones around {pads}": lambda x: functional.pad(x, pads, value=1.0),
        f"largest of what is there {pads}": lambda x: functional.max_pool2d(
            functional.pad(x, (1, 1, 0, 1), value=float("-inf")), 3, 2
        ),
        f"reflected {pads}": lambda x: functional.pad(x, pads, mode="reflect"),
        f"repeated {pads}": lambda x: functional.pad(x, pads, mode="replicate"),
        f"adaptive {small}": lambda x: functional.adaptive_avg_pool2d(x, small),
        f"average {kernel} {stride} {padding} {up}": lambda x: functional.avg_pool2d(
            x, kernel, stride, padding, ceil_mode=up, count_include_pad=False
        ),
        f"average, rounded up {kernel} {stride} {padding}": lambda x: functional.avg_pool2d(
            x, kernel, stride, padding, ceil_mode=True
        ),
        "mean of rows": lambda x: x.mean(2, keepdim=True),
        "mean of columns": lambda x: x.mean(-1, keepdim=True),
        "rows against each": lambda x: x - x.mean(2, keepdim=True) * x.mean(3, keepdim=True),
        "one row everywhere": lambda x: x[:, :, 1:2].expand(-1, -1, 7, -1),
    }


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=3)
@given(st.data())
def test_resizing(flags: str, data: st.DataObject) -> None:
    agree(data.draw(resizes()), data.draw(st.composite(size_of)()), FLAGS[flags])


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=3)
@given(st.data())
def test_parts_and_means(flags: str, data: st.DataObject) -> None:
    size = data.draw(st.composite(size_of)())
    agree(data.draw(cuts(*size[1:])), size, FLAGS[flags])


def test_one_pixel_enlarged() -> None:
    def enlarged(x: Tensor) -> Tensor:
        return x + functional.interpolate(functional.adaptive_avg_pool2d(x, 1), size=(5, 7), mode="bilinear")

    agree({"mean": enlarged}, (3, 5, 7))


def test_an_activation_becomes_part_of_resizing() -> None:
    def summed(x: Tensor) -> Tensor:
        return functional.relu(functional.interpolate(x[:, :, ::2, ::2], scale_factor=2, mode="bilinear") + x)

    program = optimise(read(Together({"sum": summed}), (3, 6, 20)))
    kinds = [type(operation) for operation in program.operations]
    assert kinds.count(Resample) == 2
    assert len([kind for kind in kinds if kind.__name__ == "Map"]) == 0
    agree({"sum": summed}, (3, 6, 20))


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_taps_are_what_is_not_zero(rows: int, columns: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    matrix = chance.standard_normal((rows, columns)) * (chance.random((rows, columns)) < 0.3)
    taps = taps_of(matrix)
    again = np.zeros_like(matrix)
    np.add.at(again, (np.arange(rows)[:, None], taps.places), taps.weights)
    assert np.allclose(again, matrix, atol=1e-6)
    assert (np.diff(taps.places, axis=1) == 1).all()
    assert torch.Size(taps.places.shape) == torch.Size(taps.weights.shape)
