"""Ghost modules against their equation, channel by channel."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.nn.ghost import GhostBottleneck, GhostModule


def warmed(module: nn.Module) -> nn.Module:
    """Norms with statistics and scales that cannot hide."""
    generator = torch.Generator().manual_seed(1)
    for m in module.double().modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean = torch.randn(m.num_features, generator=generator).double()
            m.running_var = torch.rand(m.num_features, generator=generator).double() + 0.5
            nn.init.normal_(m.weight, 1.0, 0.3, generator)
            nn.init.normal_(m.bias, 0.0, 0.3, generator)
    return module.eval()


def normed(x: Tensor, m: nn.BatchNorm2d) -> Tensor:
    assert m.running_mean is not None
    assert m.running_var is not None
    mean, var, scale, shift = (v.view(-1, 1, 1) for v in (m.running_mean, m.running_var, m.weight, m.bias))
    return (x - mean) / (var + m.eps).sqrt() * scale + shift


@pytest.mark.parametrize(("out", "ratio", "kernel", "cheap"), [(8, 2, 1, 3), (7, 2, 3, 5), (10, 3, 1, 1), (9, 4, 3, 3)])
def test_a_ghost_module_is_its_equation(out: int, ratio: int, kernel: int, cheap: int) -> None:
    torch.manual_seed(0)
    module = warmed(GhostModule(6, out, kernel, stride=2, ratio=ratio, cheap_kernel=cheap, act="RE"))
    x = torch.randn(2, 6, 9, 8).double()
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    intrinsic = -(-out // ratio)
    assert [m.out_channels for m in convs] == [intrinsic, intrinsic * (ratio - 1)]
    primary = normed(F.conv2d(x, convs[0].weight, stride=2, padding=kernel // 2), norms[0]).clamp(min=0)
    maps = []
    for i in range(intrinsic):  # every intrinsic map is filtered ratio - 1 times
        for j in range(ratio - 1):
            weight = convs[1].weight[i * (ratio - 1) + j][None]
            maps.append(F.conv2d(primary[:, i : i + 1], weight, padding=cheap // 2))
    ghosts = normed(torch.cat(maps, 1), norms[1]).clamp(min=0)
    expected = torch.cat((primary, ghosts), 1)[:, :out]
    torch.testing.assert_close(module(x), expected)


def test_without_ghosts_it_is_a_convolution() -> None:
    module = GhostModule(4, 6, 3, ratio=1)
    assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)] == [6]
    assert module(torch.randn(1, 4, 5, 5)).shape == (1, 6, 5, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"ratio": 0}, "cannot have ratio 0; give 1"), ({"cheap_kernel": 4}, "cheap_kernel 4 is even; give an odd")],
)
def test_impossible_ghosts_are_one_sentence(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        GhostModule(4, 8, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_a_bottleneck_keeps_its_layers_when_a_dense_task_takes_its_stride() -> None:
    strided = GhostBottleneck(8, 24, 8, 5, 2)
    dense = GhostBottleneck(8, 24, 8, 5, 1, down=True, dilation=2)
    plain = GhostBottleneck(8, 24, 8, 5, 1)
    assert {k: v.shape for k, v in dense.state_dict().items()} == {k: v.shape for k, v in strided.state_dict().items()}
    assert len(plain.state_dict()) < len(dense.state_dict())
    x = torch.randn(1, 8, 11, 10)
    assert strided(x).shape == (1, 8, 6, 5)
    assert dense(x).shape == plain(x).shape == x.shape


def test_a_bottleneck_adds_its_shortcut_after_the_last_activation() -> None:
    block = warmed(GhostBottleneck(8, 16, 8, 3))
    x = torch.randn(2, 8, 6, 6).double()
    with torch.no_grad():
        h = block.get_submodule("ghost1")(x)
        assert float(h.min()) == 0
        y = block.get_submodule("ghost2")(h)
        assert float(y.min()) < 0, "the second module has no activation"
        torch.testing.assert_close(block(x), y + x)
