"""GhostNet's widths and options, and the Ghost nets that are built from the paper's text."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.ghost_resnet import PlainShortcut
from pumice.models.net import Net
from pumice.models.rows import MaxPool
from pumice.nn.gate import SqueezeExcite
from pumice.nn.ghost import GhostBottleneck

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]


def on_meta(name: str, **arguments: object) -> Net:
    with torch.device("meta"):
        model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


def size_of(model: Net, side: int) -> tuple[int, int]:
    found = profile(model, (3, side, side))
    return found.params, found.madds


def test_widths_are_those_of_the_release() -> None:
    net = on_meta("ghostnet_130")
    assert [r.hidden for r in net.spec.rows[1:-1]] == [
        *(20, 64, 92, 92, 156, 312, 260, 240, 240, 624, 872, 872),
        *(1248, 1248, 1248, 1248),
    ]
    squeezed = [m.reduce.out_channels for m in net.modules() if isinstance(m, SqueezeExcite)]
    assert squeezed == [24, 40, 156, 220, 220, 312, 312]
    assert on_meta("ghostnet_050").num_features == net.num_features == 1280, "the hidden layer does not scale"


@pytest.mark.parametrize(
    ("ratio", "params", "madds"),
    [(3, 5_218_476, 107_240_040), (4, 3_982_362, 80_432_640), (5, 3_269_697, 65_665_296)],
)
def test_ratios_of_ghost_vgg_meet_the_published_sizes(ratio: int, params: int, madds: int) -> None:
    assert size_of(on_meta("ghost_vgg16_s2_cifar", ratio=ratio), 32) == (params, madds)


def test_ghost_resnet56_with_pointwise_ghosts_meets_the_published_size() -> None:
    assert size_of(on_meta("ghost_resnet56_s2_cifar", cheap_kernel=1), 32) == (430_090, 63_222_400)


def test_ratio_1_is_the_plain_net() -> None:
    """ResNet-50 with its projections has 25,557,032 parameters and 4,089,184,256 multiply-adds."""
    assert size_of(on_meta("ghost_resnet50_s2", ratio=1), 224) == (25_557_032, 4_089_184_256)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ratio": 0}, "a ghost module cannot have ratio 0"),
        ({"cheap_kernel": 2}, "cheap_kernel 2 is even"),
        ({"ratio": 2.5}, "option ratio must be a whole number"),
    ],
)
def test_bad_options_are_one_sentence(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        create_model("ghostnet_100", **arguments)
    assert "\n" not in str(raised.value)


def test_narrow_nets_keep_their_layers_when_a_stride_goes() -> None:
    """At this width a strided block has as many channels before as after."""
    usual, dense = on_meta("ghostnet_050", width=0.1), on_meta("ghostnet_050", width=0.1, output_stride=8)
    shapes = [v.shape for v in usual.state_dict().values()]
    assert [v.shape for v in dense.state_dict().values()] == shapes
    assert [row.out_channels for row in usual.spec.rows][:6] == [4, 4, 4, 4, 4, 4]
    blocks = [m for m in dense.modules() if isinstance(m, GhostBottleneck)]
    assert sum(not isinstance(b.depthwise, nn.Identity) for b in blocks) == 4


# ---- the reconstructions, computed once more with bare functions


class Layers:
    """A net's convolutions, norms and linear layers in order, each used once."""

    def __init__(self, model: nn.Module) -> None:
        kinds = nn.Conv2d | nn.BatchNorm2d | nn.Linear
        self.rest: Iterator[nn.Module] = iter([m for m in model.modules() if isinstance(m, kinds)])

    def conv(self, x: Tensor, stride: int = 1) -> Tensor:
        conv, norm = next(self.rest), next(self.rest)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        x = F.conv2d(x, conv.weight, None, stride, conv.weight.shape[2] // 2, 1, x.shape[1] // conv.weight.shape[1])
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    def ghost(self, x: Tensor, stride: int = 1, relu: bool = True) -> Tensor:
        act = F.relu if relu else lambda t: t
        primary = act(self.conv(x, stride))
        return torch.cat((primary, act(self.conv(primary))), 1)

    def linear(self, x: Tensor) -> Tensor:
        layer = next(self.rest)
        assert isinstance(layer, nn.Linear)
        return F.linear(x, layer.weight, layer.bias)


def vgg16(net: Layers, x: Tensor) -> Tensor:
    for n in (2, 2, 3, 3, 3):
        for _ in range(n):
            x = net.ghost(x)
        x = F.max_pool2d(x, 2)
    return net.linear(F.relu(net.linear(x.flatten(1))))


def resnet56(net: Layers, x: Tensor) -> Tensor:
    x = F.relu(net.conv(x))
    for stage in range(3):
        for i in range(9):
            stride = 2 if stage > 0 and i == 0 else 1
            y = net.ghost(net.ghost(x, stride), relu=False)
            if stride == 2:
                x = torch.cat((x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])), 1)
            x = F.relu(x + y)
    return net.linear(x.mean((2, 3)))


def resnet50(net: Layers, x: Tensor) -> Tensor:
    x = F.max_pool2d(F.relu(net.conv(x, 2)), 3, 2, 1)
    for stage, n in enumerate((3, 4, 6, 3)):
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            y = net.ghost(net.ghost(net.ghost(x), stride), relu=False)
            x = F.relu(y + (net.ghost(x, stride, relu=False) if i == 0 else x))
    return net.linear(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("name", "function", "side"),
    [
        ("ghost_vgg16_s2_cifar", vgg16, 32),
        ("ghost_resnet56_s2_cifar", resnet56, 32),
        pytest.param("ghost_resnet50_s2", resnet50, 64, marks=pytest.mark.slow),
    ],
)
def test_reconstructions_are_the_papers_text(
    name: str,
    function: Callable[[Layers, Tensor], Tensor],
    side: int,
    realistic: Make,
    images: Images,
    compare: Compare,
) -> None:
    model = realistic(create_model(name), (3, side, side))
    with torch.no_grad():
        x = images(3, (3, side, side), 9)
        assert compare(model(x), function(Layers(model), x)) < 1e-9


def test_the_plain_shortcut_takes_every_second_pixel() -> None:
    x = torch.randn(1, 4, 7, 6)
    y = PlainShortcut(4, 10, 2)(x)
    assert y.shape == (1, 10, 4, 3)
    assert torch.equal(y[:, :4], x[:, :, ::2, ::2])
    assert float(y[:, 4:].abs().max()) == 0


@pytest.mark.parametrize("dilation", [1, 2])
def test_an_even_pool_of_a_dense_task_keeps_the_map(dilation: int) -> None:
    pool = MaxPool(2, 2).dilated(dilation, stride=1).build(4)
    x = torch.randn(1, 4, 6, 7) - 10
    y = pool(x)
    assert y.shape == x.shape
    first = 0 if dilation == 1 else 1  # the window of pixel 2 begins there, half of its reach before
    window = x[:, :, 2 - first : 3 - first + dilation : dilation, 2 - first : 3 - first + dilation : dilation]
    assert window.shape[2:] == (2, 2)
    assert torch.equal(y[:, :, 2, 2], window.amax((2, 3)))
