"""MnasNet's space: the published nets of the search lie in it, and every option does what its name says."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.create import create_model
from pumice.models.efficientnet import net as efficientnet
from pumice.models.mbconv import MBConv
from pumice.models.mnasnet import a1, b1
from pumice.models.spaces.mnasnet import BLOCKS, OPTIONS, MnasnetSpace, layer
from pumice.models.spaces.space import Choice
from pumice.models.spec import NetSpec
from pumice.search.costs import MAdds

# op, kernel, SE, skip, filters, layers of the five blocks
A1 = (
    ("mbconv6", "3", "0", "identity", "1", "0"),
    ("mbconv3", "5", "0.25", "identity", "1.25", "0"),
    ("mbconv6", "3", "0", "identity", "1.25", "0"),
    ("mbconv6", "3", "0.25", "identity", "1.25", "-1"),
    ("mbconv6", "5", "0.25", "identity", "1", "0"),
)
B1 = (
    ("mbconv3", "3", "0", "identity", "1", "+1"),
    ("mbconv3", "5", "0", "identity", "1.25", "0"),
    ("mbconv6", "5", "0", "identity", "1.25", "-1"),
    ("mbconv6", "3", "0", "identity", "1", "-1"),
    ("mbconv6", "5", "0", "identity", "1.25", "+1"),
)
B0 = (
    ("mbconv6", "3", "0.25", "identity", "1", "0"),
    ("mbconv6", "5", "0.25", "identity", "1.25", "-1"),
    ("mbconv6", "3", "0.25", "identity", "1.25", "-1"),
    ("mbconv6", "5", "0.25", "identity", "1.25", "0"),
    ("mbconv6", "5", "0.25", "identity", "1.25", "+1"),
)


def chosen(blocks: tuple[tuple[str, ...], ...]) -> Choice:
    return tuple(options.index(word) for block in blocks for word, options in zip(block, OPTIONS.values(), strict=True))


def modules(spec: NetSpec) -> str:
    with torch.device("meta"):
        return repr(ConvNet(spec, num_classes=1000))


def test_a_block_has_432_choices_and_the_space_some_ten_to_the_thirteen() -> None:
    assert np.prod([len(options) for options in OPTIONS.values()]) == 432
    assert MnasnetSpace().size == 432**5
    assert len(MnasnetSpace().positions) == 30
    assert len({position.name for position in MnasnetSpace.positions}) == 30


@pytest.mark.parametrize("width", [1.0, 0.5, 1.4])
def test_a1_is_in_the_space_at_any_width(width: float) -> None:
    assert MnasnetSpace(width).spec(chosen(A1)) == a1(width)


def test_b1_and_efficientnet_b0_are_in_the_space() -> None:
    assert modules(MnasnetSpace().spec(chosen(B1))) == modules(b1())
    assert modules(MnasnetSpace(act="SI", gated_ends=True).spec(chosen(B0))) == modules(efficientnet())


def test_mobilenetv2_is_in_the_middle_of_the_space() -> None:
    spec = MnasnetSpace().spec(chosen((("mbconv6", "3", "0", "identity", "1", "0"),) * 5))
    widths = [row.out_channels for row in spec.rows if isinstance(row, MBConv)]
    assert widths == [16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
    assert [row.stride for row in spec.rows] == [2, 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def test_the_widths_of_a_block_are_three() -> None:
    found = []
    for filters in OPTIONS["filters"]:
        rows = MnasnetSpace().spec(chosen((("mbconv3", "3", "0", "none", filters, "-1"),) * 5)).rows
        found.append(list(dict.fromkeys(row.out_channels for row in rows[2:-2] if isinstance(row, MBConv))))
    assert found == [[16, 24, 48, 72, 120], [24, 32, 64, 96, 160], [32, 40, 80, 112, 192]]


@pytest.mark.parametrize(("op", "skip"), list(product(OPTIONS["op"], OPTIONS["skip"])))
@pytest.mark.parametrize(("stride", "out"), [(1, 16), (2, 16), (1, 24)])
def test_a_skip_is_what_its_name_says(op: str, skip: str, stride: int, out: int) -> None:
    """With the body silenced, what is left of a layer is its skip."""
    module = layer(op, 5, stride, out, True, skip, "RE").build(16).eval()  # type: ignore[arg-type]
    x = torch.rand(2, 16, 9, 9)
    alive = module(x)
    last = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)][-1]
    nn.init.zeros_(last.weight)
    left = module(x)
    assert left.shape == alive.shape == (2, out, -(-9 // stride), -(-9 // stride))
    assert not torch.allclose(left, alive)
    expected = torch.zeros_like(left)
    if out == 16 and skip == "pool":
        expected = nn.functional.avg_pool2d(x, 3, stride, 1)
    if out == 16 and skip == "identity" and stride == 1:
        expected = x
    assert torch.equal(left, expected)


def test_operations_differ_by_their_weights() -> None:
    def weights(op: str, kernel: int, se: bool) -> int:
        module = layer(op, kernel, 1, 24, se, "none", "RE").build(16)
        return sum(p.numel() for p in module.parameters())

    norms = 2 * 24
    gate = 24 * 4 + 4 + 4 * 24 + 24
    assert weights("conv", 3, False) == 16 * 24 * 9 + norms
    assert weights("conv", 5, True) == 16 * 24 * 25 + norms + gate
    assert weights("sepconv", 3, False) == 16 * 9 + 16 * 2 + 16 * 24 + norms
    assert weights("mbconv3", 5, False) == 16 * 48 + 48 * 2 + 48 * 25 + 48 * 2 + 48 * 24 + norms
    assert weights("mbconv6", 3, True) == 16 * 96 + 96 * 4 + 96 * 9 + 96 * 24 + norms + 96 * 4 + 4 + 4 * 96 + 96


def test_random_choices_are_networks() -> None:
    space = MnasnetSpace(0.25)
    for seed in range(4):
        spec = space.spec(space.random(np.random.default_rng(seed)))
        assert 2 + len(BLOCKS) + 2 <= len(spec.rows) <= 2 + sum(n + 1 for _, n, _ in BLOCKS) + 2
        with torch.device("meta"):
            model = ConvNet(spec, num_classes=10)
        assert profile(model, (3, 64, 64)).madds > 0


def test_a_net_is_dilated_for_dense_tasks() -> None:
    """A pooled skip follows the layer whose stride it shares."""
    space = MnasnetSpace(0.25)
    for op in OPTIONS["op"]:
        spec = space.spec(chosen(((op, "3", "0.25", "pool", "1", "0"),) * 5))
        net = ConvNet(spec, num_classes=0, output_stride=8).eval()
        assert net.forward_features(torch.rand(1, 3, 64, 64)).shape[2:] == (8, 8)
        assert replace(spec.rows[5], dilation=2).build(8)(torch.rand(1, 8, 8, 8)).shape[2:] == (8, 8)


def test_a_choice_is_a_network_by_name() -> None:
    with torch.device("meta"):
        model = create_model("space:mnasnet", choice=chosen(A1))
        wide = create_model("space:mnasnet", choice=chosen(B0), act="SI", gated_ends=True)
    assert profile(model, (3, 224, 224)).madds / 1e6 == pytest.approx(311.58, abs=0.006)
    assert profile(wide, (3, 224, 224)).madds < 400e6  # what EfficientNet's search allowed


@pytest.mark.parametrize("seed", range(3))
def test_its_cost_as_a_sum_of_rows_is_that_of_the_whole_network(seed: int) -> None:
    space = MnasnetSpace(0.35)
    choice = space.random(np.random.default_rng(seed))
    with torch.device("meta"):
        model = create_model("space:mnasnet", choice=choice, width=0.35)
    assert MAdds(space).of(choice) == profile(model, (3, 224, 224)).madds


def test_choices_that_the_space_does_not_have() -> None:
    with pytest.raises(BadInput, match="30 numbers, not 3"):
        MnasnetSpace().check((0, 1, 2))
    with pytest.raises(BadInput, match="block 1 kernel has the options 0 to 1, not 2"):
        MnasnetSpace().check((0, 2, *[0] * 28))
