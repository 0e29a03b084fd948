"""Transposed convolutions and pixel shuffles, against torch."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pumice.native.ir import Conv, Weave
from pumice.native.passes import optimise
from pumice.native.read import read
from tests.native.test_kernels import DRAWN
from tests.native.together import FLAGS, agree

Parts = dict[str, Callable[[Tensor], Tensor]]


@st.composite
def layers(draw: st.DrawFn, channels: int) -> Parts:
    """Layers of any kernel, stride, padding and dilation; kernels smaller than strides leave gaps."""
    parts: Parts = {}
    for groups in (1, 2, channels):
        kernel, stride, dilation = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(3))
        reach = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
        padding = tuple(draw(st.integers(0, reach[i] - 1)) for i in range(2))
        more = tuple(draw(st.integers(0, max(stride[i], dilation[i]) - 1)) for i in range(2))
        outputs = groups * draw(st.integers(1, 7))
        layer = nn.ConvTranspose2d(
            channels, outputs, kernel, stride, padding, more, groups, draw(st.booleans()), dilation
        )
        act = draw(st.sampled_from([nn.Identity(), nn.ReLU(), nn.Hardswish()]))
        parts[f"{layer} {act}"] = nn.Sequential(layer, act)
    return parts


def sized(draw: st.DrawFn) -> tuple[int, int, int]:
    # Large enough that no padding leaves nothing.
    return 2 * draw(st.integers(1, 3)), draw(st.integers(10, 14)), draw(st.integers(10, 40))


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=4)
@given(st.data())
def test_transposed_convolutions(flags: str, data: st.DataObject) -> None:
    size = data.draw(st.composite(sized)())
    agree(data.draw(layers(size[0])), size, FLAGS[flags])


@pytest.mark.parametrize("flags", FLAGS)
def test_shuffled_pixels(flags: str) -> None:
    parts: Parts = {
        "out": lambda x: functional.hardswish(functional.pixel_shuffle(x, 3)),
        "in": lambda x: functional.pixel_unshuffle(x[:, :2], 2),
        "in and out": lambda x: functional.pixel_shuffle(functional.pixel_unshuffle(x, 2), 2),
        "of one pixel": lambda x: functional.pixel_shuffle(functional.adaptive_avg_pool2d(x, 1), 3),
        "to one pixel": lambda x: functional.pixel_unshuffle(functional.adaptive_avg_pool2d(x, 2), 2),
    }
    agree(parts, (9, 6, 22), FLAGS[flags])


def test_of_one_pixel() -> None:
    def enlarged(stride: int, kernel: int, padding: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.ConvTranspose2d(4, 5, kernel, stride, padding))

    agree({"4": enlarged(2, 4, 0), "as it was": enlarged(1, 3, 1), "3": enlarged(1, 3, 0)}, (4, 3, 5))


def test_as_many_convolutions_as_phases_and_an_activation_at_the_end() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 6, 2, 2), nn.ReLU())
    program = optimise(read(layer.eval(), (3, 5, 20)))
    assert [type(operation) for operation in program.operations] == [*[Conv] * 5, Weave]
    assert all(one.pointwise for one in program.operations if isinstance(one, Conv))
