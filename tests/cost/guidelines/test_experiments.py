"""The experiments have the papers' settings: widths, equal multiply-adds, published figures; their nets compute."""

from typing import Any

import pytest
import torch
from torch import nn

from pumice.cost.count import profile
from pumice.cost.guidelines.experiment import Column
from pumice.cost.guidelines.experiments import DEFAULT, EXPERIMENTS, check_names, experiment
from pumice.cost.guidelines.mobilenet_v3 import WrittenHardswish
from pumice.cost.guidelines.shufflenet_v2 import Parallel
from pumice.cost.guidelines.stack import nearest_width, stack
from pumice.errors import BadInput

PIXELS = 56 * 56


def columns(name: str, widths: Any = "arm") -> dict[str, Column]:
    return {column.title: column for column in experiment(name).columns(widths)}


def madds(column: Column) -> list[int]:
    return [profile(case.build(), size).madds for case, size in zip(column.cases, column.input_sizes, strict=True)]


@pytest.mark.parametrize("name", list(EXPERIMENTS))
@pytest.mark.parametrize("widths", ["arm", "gpu", "aligned"])
def test_every_claim_names_cases_of_its_column(name: str, widths: Any) -> None:
    one = experiment(name)
    assert one.name == name
    for column in one.columns(widths):
        labels = [case.label for case in column.cases]
        assert len(set(labels)) == len(labels) == len(column.input_sizes)
        assert column.claims
        assert all({claim.fast, claim.slow} <= set(labels) and claim.fast != claim.slow for claim in column.claims)
        assert all(case.paper.keys() == one.paper.keys() for case in column.cases)


# Independent arithmetic, from the table: ten blocks on 56 x 56 pixels.
@pytest.mark.parametrize(
    ("name", "widths", "title", "expected"),
    [
        ("g1", "arm", "x1", [20 * PIXELS * p for p in (32 * 32, 22 * 44, 13 * 78, 9 * 108)]),
        ("g1", "gpu", "x2", [20 * PIXELS * 4 * p for p in (128 * 128, 90 * 180, 52 * 312, 36 * 432)]),
        ("g2", "arm", "x4", [10 * PIXELS * p for p in (256**2, 360**2 // 2, 512**2 // 4, 736**2 // 8)]),
        ("g2", "gpu", "x1", [10 * PIXELS * p for p in (128**2, 180**2 // 2, 256**2 // 4, 360**2 // 8)]),
        ("g3", "arm", "c = 64", [10 * PIXELS * p for p in (64**2, 2 * 45**2, 4 * 32**2, 2 * 45**2, 4 * 32**2)]),
        ("g4", "arm", "c = 128", [10 * PIXELS * (2 * 128 * 32 + 9 * 32 * 32)] * 4),
    ],
)
def test_multiply_adds_are_those_of_the_table(name: str, widths: str, title: str, expected: list[int]) -> None:
    assert madds(columns(name, widths)[title]) == expected


@pytest.mark.parametrize(
    ("name", "widths", "within"),
    [
        *[("g1", w, 0.06) for w in ("arm", "gpu")],  # the paper's own rounding
        *[("g2", w, 0.035) for w in ("arm", "gpu")],
        *[("g3", w, 0.012) for w in ("arm", "gpu")],
        ("g4", "arm", 0.0),
        ("units", "arm", 0.065),  # ShuffleNetV1's width comes in steps of 12
        ("h-swish", "arm", 0.0),
    ],
)
def test_multiply_adds_of_a_column_are_equal_within_rounding(name: str, widths: str, within: float) -> None:
    for column in columns(name, widths).values():
        counted = madds(column)
        assert max(abs(one / counted[0] - 1) for one in counted) <= within


def test_kernels_have_equal_channels_or_equal_multiply_adds() -> None:
    for title, column in columns("kernels").items():
        square, one, factorised = madds(column)
        if title.startswith("equal channels"):
            assert (square, factorised) == (9 * one, 6 * one)
        else:
            assert [one / square, factorised / square] == pytest.approx([1, 1], abs=0.06)


def test_aligned_widths_are_multiples_of_four_a_group() -> None:
    for name in ("g1", "g2", "g3"):
        for column in columns(name, "aligned").values():
            for case in column.cases:
                for module in case.build().modules():
                    if isinstance(module, nn.Conv2d):
                        assert module.in_channels // module.groups % 4 == module.out_channels // module.groups % 4 == 0


def test_published_figures_by_spot() -> None:
    assert columns("g1")["x4"].cases[3].paper == {"GPU": 163, "ARM": 4.4}
    assert columns("g2")["x2"].cases[2].paper == {"GPU": 644, "ARM": 8.7}
    assert columns("g3")["c = 64"].cases[4].paper == {"GPU": 691, "ARM": 35.0}
    assert columns("g4")["c = 32"].cases[1].paper == {"GPU": 2647, "ARM": 61.9}
    assert columns("units")["c = 128, 28x28"].cases[2].paper == {"GPU": 286, "ARM": 46.2}
    assert [case.paper["Pixel 1"] for case in columns("h-swish")["V3-Large"].cases] == [
        50.5, 51.0, 54.4, 51.4, 57.5, 53.5, 68.9,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["g1", "g2", "g3", "g4", "units", "kernels"])
def test_nets_depend_on_their_input(name: str) -> None:
    torch.manual_seed(0)
    column = next(iter(columns(name).values()))
    for case, (c, h, w) in zip(column.cases, column.input_sizes, strict=True):
        with torch.inference_mode():
            y = case.build().eval()(torch.randn(2, c, h, w))
        assert 1e-3 < y.abs().max() < 1e9
        assert (y[0] - y[1]).abs().max() > 1e-3 * y.abs().max()


def test_parallel_fragments_have_weights_of_their_own_and_are_added() -> None:
    module = Parallel(6, 3)
    weights = [fragment.weight for fragment in module.fragments]
    assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[i + 1 :])
    x = torch.randn(1, 6, 4, 4)
    summed = nn.functional.conv2d(x, sum(weights))
    assert torch.allclose(module(x), summed, atol=1e-6)


def test_written_h_swish_is_the_same_function() -> None:
    x = torch.linspace(-6, 6, 1001)
    assert torch.allclose(WrittenHardswish()(x), nn.Hardswish()(x), atol=1e-6)
    cases = {case.label: case.build() for case in columns("h-swish")["V3-Large"].cases}
    counts = {
        label: [sum(isinstance(m, kind) for m in net.modules()) for kind in (nn.Hardswish, WrittenHardswish)]
        for label, net in cases.items()
    }
    assert counts["ReLU"] == [0, 0]
    assert counts["@112, one op"] == [13, 0]  # two in each of blocks 11 to 15, stem, last convolution and head
    assert counts["@80, as written"] == [0, 21]  # blocks 7 to 10 too
    assert counts["@16, one op"] == [32, 0]  # and 1 to 6, of which the first has one


def test_what_tail_and_stem_save_is_counted() -> None:
    original, efficient = madds(columns("tail")["V3-Large"])
    # 1 x 1 and 3 x 3 of the block, its projection, the convolution to 1280; against the linear layer on one pixel.
    block = 49 * (160 * 960 + 9 * 960 + 960 * 320)
    assert original - efficient == block + 49 * 320 * 1280 - 49 * 160 * 960 - 960 * 1280
    wide, also_wide, narrow = madds(columns("stem")["V3-Large"])
    pixels = 112 * 112
    first_block = {c: pixels * (9 * c + c * 16) for c in (16, 32)}
    assert wide == also_wide
    assert wide - narrow == pixels * 27 * 16 + first_block[32] - first_block[16]
    stems = [case.build().blocks[0].act for case in columns("stem")["V3-Large"].cases]
    assert [type(act) for act in stems] == [nn.ReLU, nn.Hardswish, nn.Hardswish]


def test_stack_and_width() -> None:
    net = stack(lambda: nn.Conv2d(3, 3, 1), 4)
    assert net(torch.randn(2, 3, 8, 8)).shape == (2, 3, 1, 1)
    assert len({module.weight for module in net if isinstance(module, nn.Conv2d)}) == 4
    assert nearest_width(lambda c: c * c, 50) == 7
    assert nearest_width(lambda c: c * c, 60, step=4) == 8
    assert nearest_width(lambda c: c * c, 1, step=4) == 4


def test_names() -> None:
    assert check_names([]) == list(DEFAULT) == ["g1", "g2", "g3", "g4"]
    assert check_names(["stem", "g1", "stem"]) == ["stem", "g1"]
    with pytest.raises(BadInput, match="did you mean 'h-swish'"):
        check_names(["h-swich"])
    with pytest.raises(BadInput, match="choose g1, g2"):
        check_names(["zzz"])
