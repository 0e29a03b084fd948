"""Reading networks: what each operator becomes computes what torch computes, and what there is no code for is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pumice.errors import BadInput
from pumice.native.interpret import interpret
from pumice.native.ir import Conv, Linear, Map, MaxPool, Mean, Program, Spread
from pumice.native.read import read
from pumice.nn.gate import SqueezeExcite
from pumice.nn.shift_max import DynamicShiftMax, StaticShiftMax
from pumice.nn.shuffle import ChannelShuffle

SIZE = (8, 6, 10)
TOLERANCE = 1e-6
EACH = torch.arange(1.0, 9.0).view(1, 8, 1, 1)
EVERYWHERE = torch.arange(60.0).view(1, 1, 6, 10)
BY = torch.tensor([7, 7, 2, 5])


class Does(nn.Module):
    """A function of one image as a network, perhaps with layers behind and before it."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **dict(self.layers.items()))


def checked(model: nn.Module, size: tuple[int, int, int] = SIZE) -> Program:
    """Read, and compared with torch in double precision on two images."""
    torch.manual_seed(0)
    with torch.no_grad():
        for part in [*model.parameters(), *model.buffers()]:
            if part.is_floating_point():
                part.uniform_(0.5, 1.5) if part.ndim == 1 else part.normal_()
    model.eval()
    program = read(model, size, name="net")
    x = torch.randn(2, *size)
    with torch.no_grad():
        wanted = model.double()(x.double())
    assert program.output_shape == tuple(wanted.shape[1:])
    scale = float(wanted.abs().max())
    assert scale > 0
    assert not torch.allclose(wanted[0], wanted[1], atol=1e-3 * scale), "it does not look at its input"
    for i in range(2):
        got = interpret(program, x[i].numpy())
        assert np.abs(got - wanted[i].numpy()).max() <= TOLERANCE * scale
    return program


def kinds(program: Program) -> list[type]:
    return [type(operation) for operation in program.operations]


CONVOLUTIONS = {
    "dense": nn.Conv2d(8, 5, 3, padding=1),
    "no bias": nn.Conv2d(8, 5, 3, bias=False),
    "single pixels": nn.Conv2d(8, 7, 1),
    "groups": nn.Conv2d(8, 12, 3, padding=1, groups=4),
    "depthwise": nn.Conv2d(8, 8, (3, 5), stride=2, padding=(1, 2), groups=8),
    "two a channel": nn.Conv2d(8, 16, 3, groups=8),
    "tall": nn.Conv2d(8, 8, (5, 1), padding=(2, 0)),
    "wide": nn.Conv2d(8, 8, (1, 5), stride=(1, 2), padding=(0, 2)),
    "dilated": nn.Conv2d(8, 8, 3, padding=(2, 3), dilation=(2, 3)),
    "same": nn.Conv2d(8, 8, (3, 4), padding="same"),
    "same, dilated": nn.Conv2d(8, 8, (2, 3), padding="same", dilation=(3, 2)),
    "valid": nn.Conv2d(8, 8, 3, padding="valid"),
    "to one pixel": nn.Conv2d(8, 8, (6, 10)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    assert kinds(checked(CONVOLUTIONS[name])) == [Conv]


ONE_PIXEL = {
    "single pixel": nn.Conv2d(8, 5, 1),
    "middle of a window": nn.Conv2d(8, 5, 3, padding=1),
    "middle of a dilated window": nn.Conv2d(8, 5, 3, padding=2, dilation=2),
    "middle of an even window": nn.Conv2d(8, 5, 2, padding="same"),
    "groups": nn.Conv2d(8, 12, 3, padding=1, groups=4),
    "groups, dilated": nn.Conv2d(8, 12, 5, padding=6, dilation=3, groups=4),
    "a stride": nn.Conv2d(8, 6, 3, padding=1, stride=2),
    "larger than before": nn.Conv2d(8, 6, 1, padding=1),
    "norm": nn.BatchNorm2d(8),
    "max pool": nn.MaxPool2d(3, 1, 1),
    "average pool": nn.AvgPool2d(1),
    "mean": Does(lambda x: x.mean((2, 3))),
    "mean, kept": Does(lambda x: x.mean((2, 3), keepdim=True)),
    "adaptive": nn.AdaptiveAvgPool2d(1),
}


@pytest.mark.parametrize("name", ONE_PIXEL)
def test_images_of_one_pixel(name: str) -> None:
    checked(nn.Sequential(nn.AdaptiveAvgPool2d(1), ONE_PIXEL[name]))


def test_a_dense_layer_of_one_pixel_is_fully_connected() -> None:
    assert kinds(checked(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 5, 3, padding=1)))) == [Mean, Linear]


POOLS = {
    "max": (nn.MaxPool2d(2), MaxPool),
    "max, padded": (nn.MaxPool2d(3, 2, 1), MaxPool),
    "max, rounded up": (nn.MaxPool2d(3, 2, ceil_mode=True), MaxPool),
    "max, rounded up and padded": (nn.MaxPool2d((3, 4), (2, 3), (1, 2), ceil_mode=True), MaxPool),
    "max, to one pixel": (nn.MaxPool2d((6, 10)), MaxPool),
    "average": (nn.AvgPool2d(2), Conv),
    "average, padded": (nn.AvgPool2d((3, 5), 2, (1, 2)), Conv),
    "average, divided by 5": (nn.AvgPool2d(3, 2, 1, divisor_override=5), Conv),
    "average, padding does not count": (nn.AvgPool2d(3, 1, 0, count_include_pad=False), Conv),
    "average, to one pixel": (nn.AvgPool2d((6, 10)), Conv),
    "adaptive": (nn.AdaptiveAvgPool2d((3, 2)), Conv),
    "adaptive, to one pixel": (nn.AdaptiveAvgPool2d(1), Mean),
    "mean": (Does(lambda x: x.mean((2, 3))), Mean),
    "mean, kept": (Does(lambda x: x.mean((-1, -2), keepdim=True)), Mean),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name: str) -> None:
    layer, kind = POOLS[name]
    assert kinds(checked(layer)) == [kind]


PADS = {
    "before a stride, as TensorFlow does": lambda x, layer: layer(functional.pad(x, (0, 1, 0, 1))),
    "two sides": lambda x, layer: layer(functional.pad(x, (2, 1))),
    "all sides": lambda x, layer: layer(functional.pad(x, (3, 0, 1, 2))),
}


@pytest.mark.parametrize("name", PADS)
def test_pads(name: str) -> None:
    checked(Does(PADS[name], layer=nn.Conv2d(8, 6, 3, stride=2)))


POINTS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": functional.relu6,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "neg": torch.neg,
    "abs": torch.abs,
    "clamp": lambda x: x.clamp(-0.5, 0.75),
    "clamp_min": lambda x: x.clamp(min=-0.25),
    "clamp_max": lambda x: x.clamp(max=0.25),
    "hardtanh": functional.hardtanh,
    "leaky relu": lambda x: functional.leaky_relu(x, 0.2),
    "1 - x": lambda x: 1 - x,
    "2 / x": lambda x: 2 / (x.abs() + 10),
    "number": lambda x: (x * 3 + 2) / 4 - 0.5,
    "product added": lambda x: torch.addcmul(x, x.abs(), x * x, value=0.5),
    "alpha": lambda x: torch.add(x, x.abs(), alpha=-3),
    "maximum": lambda x: torch.maximum(x, x * 0.5),
    "minimum": lambda x: torch.minimum(x, x * 0.5),
    "written by hand": lambda x: x * functional.relu6(x + 3) / 6,
    "constant of each channel": lambda x: x * EACH,
    "constant without images": lambda x: x + EACH[0].to(x.dtype),
    "in place": lambda x: (x * 2).relu_().add_(1).mul_(x),
    "channels against each other": lambda x: x[:, :1] * x,
    "double and back": lambda x: x.to(torch.float64).to(x.dtype) * 2,
}


@pytest.mark.parametrize("name", POINTS)
def test_points(name: str) -> None:
    assert set(kinds(checked(Does(POINTS[name])))) == {Map}


LAYERS = {
    "one slope": nn.PReLU(),
    "slopes": nn.PReLU(8),
    "norm": nn.BatchNorm2d(8),
    "norm without weights": nn.BatchNorm2d(8, affine=False),
    "norm of another epsilon": nn.BatchNorm2d(8, eps=0.5),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_point_by_point(name: str) -> None:
    assert kinds(checked(LAYERS[name])) == [Map]


def test_slopes_and_norms_of_numbers() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), nn.PReLU(6), nn.BatchNorm1d(6))
    assert kinds(checked(head)) == [Mean, Linear, Map, Map]


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "concatenation": lambda x: torch.cat([x, x[:, 2:5]], 1),
    "halves": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "uneven chunks": lambda x: torch.cat(x.chunk(3, 1)[::-1], 1),
    "pieces of three": lambda x: torch.cat(x.split(3, 1)[::-1], 1),
    "pieces of given sizes": lambda x: torch.cat(x.split([1, 5, 2], 1)[::-1], 1),
    "pieces cut at places": lambda x: torch.cat(torch.tensor_split(x, (1, 5), 1)[::-1], 1),
    "pieces as even as can be": lambda x: torch.cat(torch.tensor_split(x, 3, 1)[::-1], 1),
    "counted from behind": lambda x: torch.cat([x[:, -3:], x[:, :-3]], -3),
    "every other": lambda x: x[:, 1::2],
    "channel shuffle": lambda x: functional.channel_shuffle(x, 4),
    "shuffle by hand": lambda x: x.view(-1, 2, 4, 6, 10).transpose(1, 2).reshape(-1, 8, 6, 10),
    "swapped axes": lambda x: x.view(-1, 2, 4, 6, 10).swapaxes(2, 1).flatten(1, 2),
    "by a constant that is computed": lambda x: x.index_select(1, BY.flip(0)[:3]),
    "permutation": lambda x: x.view(-1, 2, 2, 2, 6, 10).permute(0, 3, 1, 2, 4, 5).reshape(-1, 8, 6, 10),
    "selection": lambda x: x.index_select(1, torch.tensor([7, 0, 3])),
    "selection with repeats": lambda x: x.index_select(1, torch.tensor([2, 2, 0, 7, 2])),
    "index": lambda x: x[:, [5, 1, 1]],
    "narrow": lambda x: torch.narrow(x, 1, 2, 4),
    "select and stack": lambda x: torch.stack([x.select(1, 3), x.select(1, -1), x[:, 0]], 1),
    "unbind": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "squeezed": lambda x: x.unsqueeze(1).squeeze(1).unsqueeze(2).flatten(1, 2) * 1,
    "unflattened": lambda x: x.unflatten(1, (4, 2))[:, :, 1],
    "copied": lambda x: functional.dropout(x.clone().contiguous().detach(), 0.5, training=False),
    "expanded": lambda x: x[:, :1].expand(-1, 5, -1, -1),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_no_operations(name: str) -> None:
    assert kinds(checked(Does(MOVES[name]))) == []


def test_moves_of_a_layers_own() -> None:
    assert kinds(checked(ChannelShuffle(4))) == []


FLATTENED = {
    "2 x 2": nn.Sequential(nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(32, 5)),
    "rows": nn.Sequential(nn.AdaptiveAvgPool2d((3, 1)), nn.Flatten(), nn.Linear(24, 5)),
    "by shape": Does(lambda x: x[:, ::2].reshape(len(x), 4 * 60)[:, 7:80]),
    "by channel": Does(lambda x: x.flatten(2)),
    "transposed": Does(lambda x: x.flatten(2).transpose(1, 2).flatten(1)),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_pixels_become_numbers(name: str) -> None:
    assert Spread in kinds(checked(FLATTENED[name]))


def test_fully_connected_layers() -> None:
    assert kinds(checked(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 40, bias=False)))) == [
        Mean,
        Linear,
    ]


def branches(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = torch.cat([a(x), x[:, :3]], 1)
    return functional.relu(b(y) + y) + x


def test_residuals_over_concatenation() -> None:
    checked(Does(branches, a=nn.Conv2d(8, 5, 3, padding=1), b=nn.Conv2d(8, 8, 1)))


GATES: dict[str, nn.Module] = {
    "squeeze and excitation": SqueezeExcite(8, 4),
    "by hand": Does(lambda x, f: x * torch.sigmoid(f(x.mean((2, 3)))).view(-1, 8, 1, 1), f=nn.Linear(8, 8)),
    "expanded as the image": Does(
        lambda x, f: x * torch.sigmoid(f(x.mean((2, 3)))).view(-1, 8, 1, 1).expand_as(x), f=nn.Linear(8, 8)
    ),
    "expanded to a size": Does(
        lambda x, f: x + f(x.mean((2, 3))).view(-1, 8, 1, 1).expand(-1, -1, 6, 10), f=nn.Linear(8, 8)
    ),
    "Dynamic Shift-Max": DynamicShiftMax(8, 2, 4, (1.0, 0.5), (0.25, 0.0)),
    "Dynamic Shift-Max of the paper": DynamicShiftMax(8, 4, 4, (1.0, 0.0), (0.0, 0.5), form="paper"),
    "Dynamic Shift-Max, three copies": DynamicShiftMax(8, 4, 4, (1.0, 0.0), (0.0, 0.5), (0.3, 0.2)),
    "Dynamic Shift-Max, one term": DynamicShiftMax(8, 4, 4, (1.0,), (0.5,)),
    "Static Shift-Max": StaticShiftMax(8, 2, (1.0, 0.0), (0.0, 0.5)),
}


@pytest.mark.parametrize("name", GATES)
def test_gates(name: str) -> None:
    checked(GATES[name])


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "an image as weights": (Does(lambda x: functional.conv2d(x, x.view(1, 8, 6, 10))), "conv2d whose weights are"),
    "computed matrix": (Does(lambda x: functional.linear(x.mean((2, 3)), x.mean((2, 3)))), "linear whose weights"),
    "norm of the batch": (nn.BatchNorm2d(8, track_running_stats=False), "batch_norm without statistics"),
    "dilated max pool": (nn.MaxPool2d(2, 1, dilation=(2, 3)), "max_pool2d dilated"),
    "constants joined": (Does(lambda x: torch.cat([x, EVERYWHERE], 1)), "cat with a constant"),
    "different everywhere": (
        Does(lambda x: x * EVERYWHERE),
        "mul of a constant that varies along rows or columns",
    ),
    "rows through a matrix": (Does(lambda x, f: f(x), f=nn.Linear(10, 3)), "linear over rows"),
    "whole numbers": (Does(lambda x: x.to(torch.int32).to(x.dtype) * 2), "to whole numbers"),
    "written in place, a part": (Does(lambda x: torch.cat([(y := x * 2)[:, :3].mul_(3), y], 1)), "slice_scatter"),
    "rounded quotient": (Does(lambda x: torch.div(x, 2, rounding_mode="floor")), "div with rounding"),
    "two answers": (Does(lambda x: (x, x * 2)), "one tensor"),  # type: ignore[arg-type, return-value]
    "an answer without the image": (Does(lambda x: torch.ones(1, 3)), "tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    model, said = REFUSED[name]
    with pytest.raises(BadInput, match=said):
        read(model.eval(), SIZE, name="net")


def test_refusals_say_what_to_do() -> None:
    model: Any = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sequential(nn.ReLU(), nn.Tanhshrink(), nn.Hardshrink()))
    with pytest.raises(BadInput) as refused:
        read(model, SIZE, name="upnet")
    said = str(refused.value)
    assert said.startswith("upnet cannot be compiled: no native code for hardshrink")
    assert "in 1.2" in said
    assert said.endswith("choose another format")


CHANNELWISE = {
    "along channels": (nn.Conv3d(1, 1, (5, 1, 1)), (0, 0)),
    "of several features": (nn.Conv3d(1, 3, (4, 1, 1), stride=(2, 1, 1), bias=False), (2, 1)),
    "with pixels": (nn.Conv3d(1, 2, (3, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)), (1, 1)),
}


@pytest.mark.parametrize("name", CHANNELWISE)
def test_convolutions_along_channels(name: str) -> None:
    conv, around = CHANNELWISE[name]

    def along(x: Tensor, conv: nn.Module) -> Tensor:
        return conv(functional.pad(x[:, None], (0, 0, 0, 0, *around))).flatten(1, 2)

    checked(Does(along, conv=conv))


def test_padding_along_channels_is_refused_by_name() -> None:
    layers = {"conv": nn.Conv3d(1, 1, (3, 1, 1), padding=(1, 0, 0))}
    with pytest.raises(BadInput, match="no native code for conv3d in groups, padded or dilated along channels"):
        checked(Does(lambda x, conv: conv(x[:, None])[:, 0], **layers))
