"""Feature reuse: ShuffleNetV2 passes r^j c channels on, and weights are laid at the right layers' door."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pumice.cost.reuse import channel_numbers, passings, readings
from pumice.deploy.direct import tensors_of
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.nn.shuffle import ChannelShuffle


@pytest.mark.parametrize(
    ("name", "widths"), [("shufflenetv2_100", (116, 232, 464)), ("shufflenetv2_050", (48, 96, 192))]
)
def test_shufflenet_passes_half_at_each_unit(name: str, widths: tuple[int, ...]) -> None:
    model = create_model(name).eval()
    found = passings(trace(model, (3, 224, 224)), tensors_of(model))
    assert tuple(one.channels for one in found) == widths
    assert [len(one.units) for one in found] == [4, 8, 4]  # table 5: a unit of stride 2 and 3, 7, 3 of stride 1
    for one in found:
        for i in range(len(one.units)):
            for j in range(i, len(one.units)):
                # odd halves round to either side, never by a channel in all
                assert abs(one.passed[i, j] - 0.5 ** (j - i) * one.channels) < 1, (one.stage, i, j)
        assert not np.tril(one.passed, -1).any()


def test_without_shuffle_the_same_half_passes_for_ever() -> None:
    class Unit(nn.Module):
        def __init__(self, shuffle: bool) -> None:
            super().__init__()
            self.conv, self.shuffle = nn.Conv2d(4, 4, 1), ChannelShuffle(2) if shuffle else nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            kept, changed = x.chunk(2, 1)
            return self.shuffle(torch.cat((kept, self.conv(changed)), 1))

    rows = []
    for shuffle in (True, False):
        model = nn.Sequential(*(Unit(shuffle) for _ in range(4))).eval()
        (found,) = passings(trace(model, (8, 4, 4)), {})
        rows.append(found.passed[0].tolist())
    assert rows == [[8, 4, 2, 1], [8, 4, 4, 4]]


class Dense(nn.Module):
    """cat(x, a(x)) is read by b; cat of all three by c."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 2, 3, padding=1, bias=False)
        self.norm, self.b = nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1, groups=2, bias=False)
        self.c = nn.Conv2d(8, 5, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat((x, self.a(x)), 1)
        return self.c(torch.cat((x, self.b(self.norm(x).relu())), 1))


def test_strength_is_the_sum_of_absolute_weights_over_the_channels_read() -> None:
    model = Dense().eval()
    with torch.no_grad():
        model.a.weight.fill_(0.5)
        model.b.weight.copy_(torch.tensor([1.0, -2.0, 3.0, 4.0, -5.0, 6.0]).view(2, 3, 1, 1))
        model.c.weight.copy_(torch.arange(8.0).view(1, 8, 1, 1).expand(5, 8, 1, 1))
    (found,) = readings(trace(model, (3, 6, 6)), tensors_of(model))
    assert (found.sources, found.targets) == (("stem", "a", "b"), ("a", "b", "c"))
    expected = [
        [2 * 9 * 0.5, (1 + 2 + 3 + 4) / 4, 5 * (0 + 1 + 2 + 3) / 4],
        [np.nan, (5 + 6) / 2, 5 * (4 + 5) / 2],
        [np.nan, np.nan, 5 * (6 + 7) / 2],
    ]
    np.testing.assert_allclose(found.strength, expected, rtol=1e-6)


def test_numbers_follow_selections() -> None:
    class Select(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("order", torch.tensor([2, 0, 1]))

        def forward(self, x: Tensor) -> Tensor:
            return x.index_select(1, self.order)

    model = Select()
    graph = trace(model, (3, 4, 4))
    numbers, makers = channel_numbers(graph, tensors_of(model))
    assert numbers[graph.outputs[0]].tolist() == [2, 0, 1]
    assert makers == ["input"] * 3


def test_condensenet_reads_every_earlier_layer_of_its_stage() -> None:
    model = create_model("condensenet50_cifar").eval()
    found = readings(trace(model, (3, 32, 32)), tensors_of(model))
    assert len(found) == 3
    assert all(np.isfinite(one.strength[:, -1]).any() and np.nanmin(one.strength) >= 0 for one in found)
    assert len(found[0].targets) > 5
