"""The nets of ShuffleNetV2's Table 8 that nobody published: their multiply-adds by hand, and the solved widths."""

import pytest
import torch
from reconstructions import KINDS, densenet_like, madds, reconstruct, solved, xception_like

from pumice.models.catalogue import entry

LEVELS = {
    "xception_like": {40: 69, 140: 143, 300: 213, 500: 278},
    "densenet_like": {40: 9.25, 140: 21, 300: 32.25, 500: 42.375},
}


@pytest.mark.parametrize(("kind", "level"), [(kind, level) for kind, levels in LEVELS.items() for level in levels])
def test_every_level_is_met(kind: str, level: int) -> None:
    found = madds(KINDS[kind].spec(LEVELS[kind][level]))
    assert found == pytest.approx(level * 1e6, rel=0.02)
    step = KINDS[kind].step
    for other in (LEVELS[kind][level] - step, LEVELS[kind][level] + step):
        assert abs(found - level * 1e6) < abs(madds(KINDS[kind].spec(other)) - level * 1e6)


@pytest.mark.parametrize("kind", LEVELS)
def test_the_search_finds_the_width(kind: str) -> None:
    assert solved(kind, 140) == LEVELS[kind][140]


def test_xception_like_is_shufflenet_v1_with_one_group() -> None:
    assert madds(xception_like(144)) == entry("shufflenetv1_g1_100").madds


def test_densenet_like_by_hand() -> None:
    """Growth 6: stem 24; 4, 8 and 4 layers of 1 x 1 to 24 and 3 x 3 to 6 at 28, 14 and 7 pixels; halved between."""
    total, width = 112 * 112 * 27 * 24, 24
    for stage, (layers, side) in enumerate(((4, 28), (8, 14), (4, 7))):
        if stage:
            total += (2 * side) ** 2 * width * (width // 2)
            width //= 2
        for _ in range(layers):
            total += side * side * (width * 24 + 9 * 24 * 6)
            width += 6
    total += 7 * 7 * width * 1024 + 1024 * 1000
    assert madds(densenet_like(6)) == total


def test_fractional_growth_takes_turns() -> None:
    stages = [row for row in densenet_like(9.25).rows if hasattr(row, "growths")]
    assert [sum(stage.growths) for stage in stages] == [37, 74, 37]
    assert {growth for stage in stages for growth in stage.growths} == {9, 10}


def test_they_answer() -> None:
    torch.manual_seed(0)
    for kind in LEVELS:
        out = reconstruct(kind, 140).eval()(torch.randn(2, 3, 64, 96))
        assert out.shape == (2, 1000)
        assert (out[0] - out[1]).abs().max() > 1e-2 * out.abs().max()
