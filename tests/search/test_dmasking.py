"""DMaskingNAS: masked widths, scattered pixels, effective costs, and searches whose best is known."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.data.digits import open_digits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.fbnet_blocks import Pool
from pumice.models.spaces.fbnet_v2 import BLOCKS, FBNetV2Space, MaskableSpace, Stage
from pumice.models.spaces.macro import MacroSpace
from pumice.models.spaces.space import Position
from pumice.search.dmasking import dmasking, effective
from pumice.search.problem import Problem
from pumice.search.supernet.alternate import alternate
from pumice.search.supernet.gates import Gates, gumbel, one_hot
from pumice.search.supernet.images import Feeding
from pumice.search.supernet.masked import width_of
from pumice.search.supernet.masked_net import Counted, MaskedNet
from pumice.search.supernet.relaxed import Relaxed
from pumice.search.supernet.scattered import at_sides, dispersed, subsampled
from pumice.search.supernet.schedule import Schedule

SMALL = MaskableSpace(
    (Stage((4, 8), 1, 1), Stage((8, 12, 16), 2, 2), Stage((20, 24), 2, 1)),
    expands=(0.75, 1.5, 3.0),
    sides=(32, 48, 64),
    last=32,
    head=Pool(40, 2),
)
RNG = np.random.default_rng(0)
RANDOM = [SMALL.random(RNG) for _ in range(6)]
EXTREMES = [(0,) * len(SMALL.positions), tuple(len(p.options) - 1 for p in SMALL.positions)]


def unlike(net: nn.Module) -> None:
    """Weights, norms and statistics of which no two are alike."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    nn.init.normal_(net.head.classifier.weight)  # type: ignore[union-attr, arg-type]


# --- the space


def test_the_space_has_the_papers_candidates() -> None:
    space = FBNetV2Space()
    assert list(BLOCKS) == ["k3", "k3_hs", "k3_se", "k3_se_hs", "k5", "k5_hs", "k5_se", "k5_se_hs", "skip"]
    assert len(space.places) == 24
    assert space.size > 1e40
    names = [position.name for position in space.positions]
    assert names[:5] == ["input side", "stage 1 width", "layer 1 block", "layer 1 expansion", "stage 2 width"]
    assert space.positions[0].options == ("128", "160", "192", "224", "256")
    assert (space.image, FBNetV2Space(64).image) == ((256, 256), (64, 64))
    with pytest.raises(BadInput, match="no eighths"):
        FBNetV2Space(7)
    assert space.image_of((1,) + (0,) * (len(names) - 1)) == (160, 160)
    choice = space.random(np.random.default_rng(3))
    with torch.device("meta"):
        net = ConvNet(space.spec(choice), num_classes=10)
    assert [place.width_in == place.width for place in space.places[:3]] == [True, False, True]
    assert net.num_features == 1984


def test_the_rows_are_those_of_a_choice() -> None:
    words = {"stage 1 width": "8", "stage 2 width": "12", "layer 2 block": "k5_se_hs", "layer 2 expansion": "3.0"}
    choice = tuple(p.options.index(words[p.name]) if p.name in words else 0 for p in SMALL.positions)
    row = SMALL.spec(choice).rows[2]
    assert (row.kernel_size, row.out_channels, row.stride, row.expand) == (5, 12, 2, 3.0)  # type: ignore[attr-defined]
    assert (row.se, row.act) == ("hidden", "HS")  # type: ignore[attr-defined]


def test_stages_that_a_residual_could_join_are_refused() -> None:
    with pytest.raises(BadInput, match="stages 1 and 2 are joined at stride 1 and can both be 16 wide"):
        MaskableSpace((Stage((8, 16), 1, 1), Stage((16, 24), 1, 1)), (3.0,), (32,), 32, Pool(40, 2))


# --- masked widths


@pytest.mark.parametrize("training", [True, False])
def test_one_hot_gates_are_the_narrow_network_of_the_sliced_weights(training: bool) -> None:
    torch.manual_seed(0)
    net = MaskedNet(SMALL, num_classes=5).double()
    unlike(net)
    net.train(training)
    x, outputs = torch.randn(4, 3, 64, 64, dtype=torch.double), []
    for choice in [*RANDOM, *EXTREMES]:
        plain = net.plain(choice).train(training)
        gates = [gate.double() for gate in one_hot(SMALL, choice)]
        with torch.no_grad():
            expected = plain(subsampled(x, SMALL.image_of(choice)[0]))
            torch.testing.assert_close(net(x, gates), expected, rtol=0, atol=1e-10 * float(expected.abs().max()))
        outputs.append(expected)
    assert min((a - b).abs().max() for a, b in pairwise(outputs)) > 0.1
    assert all(output.abs().max() < 1e4 for output in outputs)  # so that 1e-10 of it is under 1e-6


def test_a_mask_is_the_sum_of_its_options() -> None:
    width = width_of(torch.tensor([0.2, 0.3, 0.5]), (2, 1, 4))
    assert width.mask.flatten().tolist() == pytest.approx([1.0, 0.7, 0.5, 0.5])
    assert float(width.effective) == pytest.approx(2.7)


def kept_bytes(space: MaskableSpace) -> tuple[int, int]:
    """Of a training pass, the distinct storages that autograd keeps; and the parameters."""
    torch.manual_seed(0)
    net = MaskedNet(space, num_classes=5)
    weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = net(torch.randn(4, 3, 64, 64), gumbel(list(net.theta), 5.0)).sum()
    loss.backward()
    return sum(kept.values()), sum(p.numel() for name, p in net.named_parameters() if not name.startswith("theta"))


def test_memory_does_not_grow_with_the_number_of_widths_and_expansions() -> None:
    def space(count: int) -> MaskableSpace:
        widths = [tuple(range(24 - 2 * (count - 1), 25, 2)), tuple(range(32 + 24 - (count - 1), 57))]
        expands = tuple(3.0 - 0.25 * i for i in range(count))
        stages = (Stage(widths[0], 1, 1), Stage(widths[1], 2, 2))
        return MaskableSpace(stages, expands=expands, sides=(64,), last=64, head=Pool(40, 2))

    (one, weights_of_one), (nine, weights_of_nine) = kept_bytes(space(1)), kept_bytes(space(9))
    assert one > 10_000_000
    assert nine == pytest.approx(one, rel=0.02)  # masks and their gates, for 81 pairs of width and expansion
    assert weights_of_nine == weights_of_one


# --- scattered pixels


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("full", "side"), [(12, 8), (16, 8), (12, 12), (14, 6)])
def test_a_scattered_operation_is_one_at_low_resolution_put_in_place(stride: int, full: int, side: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, stride, 1)
    x = torch.randn(2, 3, full, full)
    with torch.no_grad():
        found = at_sides(conv, x, torch.tensor([1.0]), [side], stride)
        rows = [i * full // side for i in range(side)]
        low = torch.stack([torch.stack([x[:, :, r, c] for c in rows], -1) for r in rows], -2)
        expected = torch.zeros(2, 5, full // stride, full // stride)
        result = conv(low)
        for i in range(side // stride):
            for j in range(side // stride):
                places = [k * (full // stride) // (side // stride) for k in (i, j)]
                expected[:, :, places[0], places[1]] = result[:, :, i, j]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert int((found != 0).sum()) == 2 * 5 * (side // stride) ** 2
    assert torch.equal(subsampled(dispersed(result, full), side // stride), result)


def test_sides_are_added_with_their_gates() -> None:
    x, gates = torch.randn(1, 2, 8, 8), torch.tensor([0.3, 0.7])
    found = at_sides(lambda part: 2 * part, x, gates, [4, 8], 1)
    torch.testing.assert_close(found, 0.7 * 2 * x + 0.3 * 2 * dispersed(subsampled(x, 4), 8))


# --- effective costs


@pytest.mark.parametrize("counted", ["madds", "params"])
def test_the_cost_of_one_hot_gates_is_the_networks_own(counted: Counted) -> None:
    net = MaskedNet(SMALL, num_classes=5, counted=counted, unit=1000).double()
    for choice in [*RANDOM, *EXTREMES]:
        plain = ConvNet(SMALL.spec(choice), num_classes=5)
        true = getattr(profile(plain, (3, *SMALL.image_of(choice))), counted)
        assert float(net.cost([gate.double() for gate in one_hot(SMALL, choice)])) * 1000 == pytest.approx(
            true, rel=1e-12
        )


def test_the_cost_has_the_gradient_of_finite_differences() -> None:
    net = MaskedNet(SMALL, num_classes=5).double()
    torch.manual_seed(0)
    theta = [torch.randn(len(p.options), dtype=torch.double) for p in SMALL.positions]
    leaves = [t.clone().requires_grad_() for t in theta]

    def cost(theta: list[Tensor]) -> Tensor:
        return net.cost([torch.softmax(t, 0) for t in theta])

    gradients = torch.autograd.grad(cost(leaves), leaves)
    for i, position in enumerate(SMALL.positions):
        for option in range(len(position.options)):
            moved = []
            for step in (1e-5, -1e-5):
                shifted = [t.clone() for t in theta]
                shifted[i][option] += step
                moved.append(float(cost(shifted)))
            assert float(gradients[i][option]) == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-5, abs=1e-10)
        assert gradients[i].abs().max() > 0, position.name


def test_effective_values_lie_between_the_options() -> None:
    theta = [[0.0] * len(p.options) for p in SMALL.positions]
    values = effective(SMALL, theta)
    assert values["input side"] == pytest.approx(48)
    assert values["layer 3 expansion"] == pytest.approx(1.75)
    assert "layer 3 block" not in values


# --- a toy of which every width has been trained


class Toy(Relaxed):
    """y = B (A x * mask): a linear net of 1 to 8 hidden channels, to reproduce x whose axes have known spreads.

    The least error of each width is known (Eckart and Young, 1936): what the axes beyond it hold.
    """

    spreads = torch.tensor([2.0, 1.6, 1.3, 0.2, 0.15, 0.1, 0.1, 0.1])

    def __init__(self) -> None:
        space = MacroSpace()
        space.positions = (Position("width", tuple("12345678")),)  # type: ignore[misc]
        super().__init__(space)
        self.inner = nn.Conv2d(8, 8, 1, bias=False)
        self.outer = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        return self.outer(self.inner(x) * width_of(gates[0], range(1, 9)).mask)

    def error(self, x: Tensor, labels: Tensor, gates: Gates) -> Tensor:
        return 0.5 + (self(x, gates) - x).square().sum(1).mean()  # as a cross-entropy, never 0

    def cost(self, gates: Gates) -> Tensor:
        return 1.5 + width_of(gates[0], range(1, 9)).effective

    @classmethod
    def batches(cls, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        for i in range(20):
            generator = torch.Generator().manual_seed(1000 * epoch + i)
            x = torch.randn(256, 8, 1, 1, generator=generator) * cls.spreads[:, None, None]
            yield x, torch.zeros(256)


def test_the_best_of_all_trained_widths_is_found() -> None:
    tails = [float(Toy.spreads[width:].square().sum()) for width in range(1, 9)]
    losses = [(0.5 + tail) * 0.2 * np.log(1.5 + width) ** 0.6 for width, tail in enumerate(tails, 1)]
    assert int(np.argmin(losses)) == 2
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = Toy()
        schedule = Schedule(epochs=24, warmup=4, cooling=0.15, lr=0.02, theta_lr=0.1, decay=0.0)
        history = alternate(net, net.batches, net.batches, schedule, seed=seed)
        assert history[-1]["choice"] == [2], history[-1]["probabilities"]
        assert max(history[-1]["probabilities"][0]) > 0.5
        with torch.no_grad():
            error = float(net.error(next(iter(net.batches(99)))[0], torch.zeros(1), one_hot(net.space, (2,))))
        assert error == pytest.approx(0.5 + tails[2], abs=0.1)


# --- whole searches

TINY = MaskableSpace(
    (Stage((4, 8), 1, 1), Stage((12, 16), 1, 2)), expands=(0.75, 1.5), sides=(8, 16), last=24, head=Pool(24, 1)
)


def test_a_search_resumes_to_the_same_bits(tmp_path: Path) -> None:
    splits = open_digits()
    splits = replace(splits, train=splits.train.subset(range(80)))
    settings = {
        "schedule": Schedule(epochs=2, warmup=0, theta_lr=0.05),
        "feeding": Feeding(Preprocess((16, 16), crop_pct=1.0), batch_size=16, augment="none"),
        "unit": 1e3,
    }
    whole = dmasking(Problem(TINY), splits, **settings)  # type: ignore[arg-type]

    class Killed(Exception):
        pass

    def kill(record: dict[str, object]) -> None:
        raise Killed

    with pytest.raises(Killed):
        dmasking(Problem(TINY), splits, **settings, folder=tmp_path, told=kill)  # type: ignore[arg-type]
    again = dmasking(Problem(TINY), splits, **settings, folder=tmp_path)  # type: ignore[arg-type]
    assert (again.theta, again.choice, again.effective) == (whole.theta, whole.choice, whole.effective)
    assert whole.theta[0] != (0.0, 0.0)
    drawn = again.searcher.propose(1, [])
    assert drawn == TINY.check(drawn)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="images of 16 x 16 pixels, the largest side of its space, not 8 x 8"):
        dmasking(Problem(TINY), splits, feeding=Feeding(Preprocess((8, 8))))
    with pytest.raises(BadInput, match="logarithm of a number above 1; give a smaller unit"):
        dmasking(Problem(TINY), splits, **{**settings, "unit": 1e9})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="not of macro"):
        dmasking(Problem(MacroSpace()), splits)
