"""Every rewrite is exact, does what it says, and keeps its hands off where it would not be exact."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pumice.errors import BadInput
from pumice.graph.fold import fold_norms
from pumice.graph.rewrites.program import operator_of
from pumice.graph.rewrites.rewrite import PASSES, USUAL, rewritten
from pumice.models.create import create_model
from pumice.models.families import variant, variants
from pumice.nn.shuffle import ChannelShuffle
from tests.graph.cutting import lively
from tests.graph.rewrites.nets import SIZE, random_net


def operators(module: nn.Module) -> Counter[str]:
    assert isinstance(module, fx.GraphModule)
    return Counter(filter(None, map(operator_of, module.graph.nodes)))


def checked(model: nn.Module, size: tuple[int, int, int], passes: tuple[str, ...], tolerance: float) -> Counter[str]:
    """The operators after rewriting, once both networks are seen to answer alike and not to ignore the image."""
    dtype = next((p.dtype for p in model.parameters()), torch.float64)
    x = torch.randn((2, *size), generator=torch.Generator().manual_seed(1)).to(dtype)
    program = rewritten(model, size, batch=2, passes=passes)
    with torch.no_grad():
        want, got = model(x), program(x)
    assert float((want[0] - want[1]).abs().max()) > 0.01 * float(want.abs().max())
    assert float((want - got).abs().max()) <= tolerance * float(want.abs().max())
    return operators(program)


class Of(nn.Module):
    """A function of the image and its layers."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def of(function: Callable[..., Tensor], *layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for layer in layers:
        for values in [*layer.parameters(), *layer.buffers()]:
            if values.is_floating_point():
                values.data.uniform_(0.2, 1.2)
    return Of(function, *layers).eval().double()


SMALL = (4, 6, 6)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_keep_their_answers(seed: int) -> None:
    for passes in (("relabel",), USUAL, ("selections", "depthwise_norms", "relabel_to_slices")):
        model = random_net(seed)
        x = torch.randn((2, *SIZE), dtype=torch.float64)
        with torch.no_grad():
            want, got = model(x), rewritten(model, SIZE, batch=2, passes=passes)(x)
        assert float((want - got).abs().max()) <= 1e-12 * float(want.abs().max())


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x * (F.relu6(x + 3) / 6), "hardswish"),
        (lambda x: x * F.relu6(x + 3) / 6, "hardswish"),
        (lambda x: F.hardtanh(3 + x, 0, 6) * (1 / 6) * x, "hardswish"),
        (lambda x: (x / 6 + 0.5).clamp(0, 1), "hardsigmoid"),
        (lambda x: x * F.hardsigmoid(x), "hardswish"),
    ],
)
def test_any_spelling_becomes_one_operator(function: Callable[[Tensor], Tensor], left: str) -> None:
    assert checked(of(function), SMALL, ("activations",), 1e-14) == {left: 1}


def test_what_only_looks_like_an_activation_stays() -> None:
    assert checked(of(lambda x: x * F.relu6(x + 2.5) / 6), SMALL, ("activations",), 1e-14).total() == 4
    assert checked(of(lambda x: (x + 1) * F.hardsigmoid(x)), SMALL, ("activations",), 1e-14)["hardsigmoid"] == 1


def test_what_does_nothing_is_dropped() -> None:
    def idle(x: Tensor) -> Tensor:
        x = F.dropout(x, 0.5, False).contiguous().clone() * 1 + 0
        return x.reshape(x.shape)[:, :].relu()

    assert checked(of(idle), SMALL, ("noops",), 0) == {"relu": 1}
    assert checked(of(lambda x: x * 1.5 + x[:, 1:].sum()), SMALL, ("noops",), 1e-14)["mul"] == 1


def test_constants_are_computed_once() -> None:
    def standardised(x: Tensor, conv: nn.Conv2d) -> Tensor:
        weight = conv.weight - conv.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight / weight.std(), conv.bias)

    assert checked(of(standardised, nn.Conv2d(4, 6, 3)), SMALL, ("constants",), 1e-14) == {"conv2d": 1}


def norm(c: int) -> nn.Module:
    return nn.BatchNorm2d(c)


@pytest.mark.parametrize(
    ("model", "passes", "left"),
    [
        (of(lambda x, n, c: c(n(x)), norm(4), nn.Conv2d(4, 6, 3, groups=2)), ("norms",), {"conv2d": 1}),
        # Padding puts zeros where the norm would have put its shift.
        (
            of(lambda x, n, c: c(n(x)), norm(4), nn.Conv2d(4, 6, 3, padding=1)),
            ("norms",),
            {"batch_norm": 1, "conv2d": 1},
        ),
        (
            of(lambda x, n, c, d: n(torch.cat((c(x), d(x)), 1)), norm(8), nn.Conv2d(4, 6, 1), nn.Conv2d(4, 2, 1)),
            ("norms",),
            {"conv2d": 2, "cat": 1},
        ),
        # One part of the concatenation is the image itself.
        (
            of(lambda x, n, c: n(torch.cat((c(x), x), 1)), norm(8), nn.Conv2d(4, 4, 1)),
            ("norms",),
            {"conv2d": 1, "cat": 1, "batch_norm": 1},
        ),
        (of(lambda x, n: n(x).relu(), norm(4)), ("norms", "multiply_add"), {"mul": 1, "add": 1, "relu": 1}),
        (of(lambda x, n: n(x).relu(), norm(4)), ("norms", "depthwise_norms"), {"conv2d": 1, "relu": 1}),
    ],
)
def test_norms_fold_where_that_is_exact(model: nn.Module, passes: tuple[str, ...], left: dict[str, int]) -> None:
    assert checked(model, SMALL, passes, 1e-13) == left


def test_arithmetic_on_coefficients_shrinks() -> None:
    def coefficients(x: Tensor, linear: nn.Linear) -> Tensor:
        y = 4 * (F.hardsigmoid(linear(x.mean((2, 3)))) - 0.5)
        return (y.view(2, 2, 4) + torch.tensor([[1.0], [0.5]], dtype=x.dtype)).view(2, 8, 1, 1)

    left = checked(of(coefficients, nn.Linear(4, 8)), SMALL, ("noops", "constants", "arithmetic"), 1e-13)
    assert left == {"mean": 1, "linear": 1, "hardtanh": 1, "add": 1, "reshape": 1}


def test_indexing_is_one_selection() -> None:
    order = torch.tensor([2, 0, 3, 1])
    model = of(lambda x: x[:, order][:, order].index_select(1, order) * 2)
    assert checked(model, SMALL, ("noops", "constants", "indexing"), 0) == {"index_select": 1, "mul": 1}


MOVES = ("transpose", "index_select", "cat", "slice", "split_with_sizes")


def test_a_shuffle_between_convolutions_goes_into_their_weights() -> None:
    layers = nn.Conv2d(4, 12, 3), nn.BatchNorm2d(12), nn.Conv2d(12, 12, 3, groups=12), nn.Conv2d(12, 8, 1)

    def between(x: Tensor, first: nn.Module, bn: nn.Module, depth: nn.Module, last: nn.Module) -> Tensor:
        x = ChannelShuffle(4)(bn(ChannelShuffle(3)(first(x))))
        return last(depth(x.relu()))

    left = checked(of(between, *layers), SMALL, ("relabel",), 1e-13)
    assert left == {"conv2d": 3, "batch_norm": 1, "relu": 1}


def test_what_cannot_move_is_copied_once() -> None:
    def fixed(x: Tensor) -> Tensor:
        return ChannelShuffle(2)(x)  # what goes in and what comes out lie as written

    left = checked(of(fixed), SMALL, ("relabel",), 0)
    assert sum(left[move] for move in ("transpose", "index_select")) + left["cat"] == 1


def test_shufflenet_v2_is_left_with_slices_of_what_branches_read() -> None:
    model = fold_norms(lively(create_model("shufflenetv2_050")), (3, 64, 64)).eval()
    left = checked(model, (3, 64, 64), ("noops", "relabel_to_slices"), 1e-10)
    assert left["transpose"] == left["index_select"] == left["slice"] == 0
    assert left["cat"] == 16  # one for each of 13 units that split, one for each stage's end


def test_blocks_that_remain_keep_a_program_from_slices() -> None:
    model = of(
        lambda x, a, b: b(ChannelShuffle(8)(a(x))), nn.Conv2d(4, 64, 1, groups=4), nn.Conv2d(64, 64, 1, groups=8)
    )
    assert checked(model, SMALL, ("relabel_to_slices",), 0) == checked(model, SMALL, (), 0)
    assert checked(model, SMALL, ("relabel",), 1e-13)["transpose"] == 1


def test_nodes_bear_the_names_of_layers() -> None:
    program = rewritten(create_model("shufflenetv2_050").eval(), (3, 64, 64), passes=("relabel",))
    assert isinstance(program, fx.GraphModule)
    paths = {n.meta["path"] for n in program.graph.nodes if operator_of(n) == "conv2d"}
    assert "blocks.13.branch.0.conv" in paths
    assert len(paths) == 56


def test_unknown_passes_and_networks_are_refused() -> None:
    with pytest.raises(BadInput, match="no rewrite 'relable'"):
        rewritten(of(lambda x: x), SMALL, passes=("relable",))
    with pytest.raises(BadInput, match="cannot rewrite Of"):
        rewritten(of(lambda x: x if float(x.sum()) > 0 else -x), SMALL)
    with pytest.raises(BadInput, match="one tensor"):
        rewritten(of(lambda x: (x, x + 1)), SMALL)

    def exact(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return x.relu() @ x.mT

    with pytest.raises(BadInput, match="autocast"):
        rewritten(of(exact), SMALL)


def fresh(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    size = (3, 32, 32) if variant(name).input_size == 32 else (3, 64, 64)
    return fold_norms(lively(create_model(name)), size).eval(), size


@pytest.mark.parametrize("name", ["igcv3_100", "micronet_m1", "condensenet50_cifar"])
def test_a_family_keeps_its_answers(name: str) -> None:
    checked(*fresh(name), USUAL, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(variants()))
def test_every_network_keeps_its_answers(name: str) -> None:
    model, size = fresh(name)
    checked(model, size, USUAL, 1e-10)
    checked(model, size, ("selections", "depthwise_norms", "relabel_to_slices"), 1e-10)
    program = rewritten(single := model.float(), size, passes=USUAL)
    x = torch.randn((1, *size), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        want = single.double()(x.double())
        rounding = float((single.float()(x) - want).abs().max() / want.abs().max())
        assert float((program(x) - want).abs().max()) <= max(1e-5, 3 * rounding) * float(want.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv1_100", "fbnetc_100"])
def test_no_norm_of_timm_is_left(name: str) -> None:
    timm = pytest.importorskip("timm")
    model = fold_norms(timm.create_model(name, num_classes=10).eval(), (3, 64, 64)).eval()
    assert operators(rewritten(model, (3, 64, 64)))["batch_norm"] == 0


def test_every_pass_runs_alone_on_a_network_that_gives_it_nothing() -> None:
    for name in PASSES:
        checked(of(lambda x, conv: conv(x), nn.Conv2d(4, 4, 1)), SMALL, (name,), 1e-13)
