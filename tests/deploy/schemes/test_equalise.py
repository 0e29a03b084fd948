"""Equalisation: the same outputs, even ranges, and only where it is exact."""

import torch
from torch import Tensor, nn

from pumice.deploy.schemes.equalise import equalise, pairs_of

SIZE = (3, 16, 16)


def uneven(net: nn.Module) -> nn.Module:
    """Weights whose channels differ by up to a thousand, as folded norms leave them."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            scale = torch.exp(3.5 * (2 * torch.rand(len(module.weight), generator=generator) - 1))
            module.weight.data *= scale.view(-1, 1, 1, 1)
    return net.eval()


def test_outputs_stay_and_ranges_are_even() -> None:
    torch.manual_seed(0)
    net = uneven(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.LeakyReLU(0.1, inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 1, groups=4),
            nn.ReLU(),
            nn.Conv2d(24, 8, 1),
        )
    )
    x = torch.randn(4, *SIZE)
    even, pairs = equalise(net, SIZE)
    assert pairs == 3
    with torch.inference_mode():
        want, got = net(x), even(x)
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()
    before = net[2].weight.abs().amax((1, 2, 3))
    assert before.max() / before.min() > 50
    # What leaves channel i of one layer and what reads it in the next have the same largest weight.
    first, second = even[0].weight.abs().amax((1, 2, 3)), even[2].weight.abs().amax((1, 2, 3))
    assert torch.allclose(first, second, rtol=1e-2)
    leaving = even[5].weight.abs().amax((1, 2, 3))
    assert torch.allclose(leaving, even[7].weight.abs().amax((0, 2, 3)), rtol=1e-2)
    entering = even[5].weight.unflatten(0, (4, 6)).abs().amax((1, 3, 4)).flatten()
    assert torch.allclose(second, entering, rtol=1e-2)
    assert not torch.equal(net[0].weight, even[0].weight)


class Branch(nn.Module):
    """The first layer's result is read twice, the second layer runs twice, the third weighs by its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)
        self.twice = nn.Conv2d(3, 3, 1)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y + self.twice(torch.relu(y))
        return self.last(torch.relu(self.twice(y)))


def test_layers_are_left_alone_where_it_would_not_be_exact() -> None:
    for between in (nn.ReLU6(), nn.Hardswish(), nn.SiLU(), nn.Hardsigmoid(), nn.BatchNorm2d(4), nn.Softmax(1)):
        net = nn.Sequential(nn.Conv2d(3, 4, 1), between, nn.Conv2d(4, 3, 1))
        assert pairs_of(net.eval(), SIZE) == []
        assert equalise(net, SIZE)[1] == 0
    assert pairs_of(Branch().eval(), SIZE) == []
    assert pairs_of(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval(), SIZE) == [("0", "2")]


def test_dead_channels_do_no_harm() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    net[0].weight.data[1] = 0
    net[2].weight.data[:, 2] = 0
    x = torch.randn(2, *SIZE)
    even, pairs = equalise(net, SIZE)
    assert pairs == 1
    with torch.inference_mode():
        assert torch.allclose(even(x), net(x), rtol=1e-5, atol=1e-6)
