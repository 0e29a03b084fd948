"""WeightNet's networks against a second implementation, fed with files in MegEngine's layout.

The release runs on MegEngine alone, so its forward is written here once more: functional, one sample at a time, with
matrices in place of grouped convolutions.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.described import preprocess_of
from pumice.models.weightnet import Bottleneck, BottleneckUnit
from pumice.models.weights import load_weights

Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]
State = dict[str, Tensor]
TOLERANCE = 1e-7  # attention amplifies rounding from unit to unit


# ---- a file in MegEngine's layout


def bn(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{t}": (1, channels, 1, 1) for t in ("weight", "bias", "running_mean", "running_var")}


def conv(name: str, c: int, o: int, k: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (o, c, k, k), f"{name}.bias": (1, o, 1, 1)}


def wnet(name: str, r: int, c: int, o: int, m: int = 2, g: int = 2) -> dict[str, tuple[int, ...]]:
    made = {f"{name}.wn_fc2.weight": (g * o, c // g, m // g, 1, 1)}
    return conv(f"{name}.wn_fc1", r, m * o, 1) | made


def wnet_dw(name: str, r: int, c: int, m: int = 2, g: int = 2) -> dict[str, tuple[int, ...]]:
    return conv(f"{name}.wn_fc1", r, m // g * c, 1) | {f"{name}.wn_fc2.weight": (c, 9, m // g, 1, 1)}


def shapes(stages: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    found = conv("first_conv.0", 3, 24, 3) | bn("first_conv.1", 24)
    before, i = 24, 0
    for o, repeats in zip(stages, (4, 8, 4), strict=True):
        for unit in range(repeats):
            c, mid, p = before if unit == 0 else o // 2, o // 2, f"features.{i}"
            out, r = o - c, max(16, c // 16)
            found |= conv(f"{p}.reduce", c, r, 1)
            found |= wnet(f"{p}.wnet1", r, c, mid) | bn(f"{p}.bn1", mid)
            found |= wnet_dw(f"{p}.wnet2", r, mid) | bn(f"{p}.bn2", mid)
            found |= wnet(f"{p}.wnet3", r, mid, out) | bn(f"{p}.bn3", out)
            if unit == 0:
                found |= wnet_dw(f"{p}.wnet_proj_1", r, c) | bn(f"{p}.bn_proj_1", c)
                found |= wnet(f"{p}.wnet_proj_2", r, c, c) | bn(f"{p}.bn_proj_2", c)
            i += 1
        before = o
    found |= conv("conv_last.0", before, 1024, 1) | bn("conv_last.1", 1024)
    return found | {"classifier.0.weight": (1000, 1024), "classifier.0.bias": (1000,)}


def megengine_file(stages: tuple[int, int, int]) -> State:
    """Random tensors, keys sorted as MegEngine sorts them."""
    draw, state = torch.Generator().manual_seed(0), {}
    for key, shape in sorted(shapes(stages).items()):
        value = torch.randn(shape, generator=draw, dtype=torch.float64)
        if "bn" in key or "_conv.1" in key or "conv_last.1" in key:
            state[key] = value * 0.2 + (1 if key.endswith(("weight", "running_var")) else 0)
        elif "wn_fc2" in key:
            inputs = 9 if shape[1] == 9 else 2 * shape[1]  # of the convolution whose kernels it makes
            state[key] = value * 1.25 * (2 / inputs) ** 0.5
        else:
            state[key] = value * (2 / max(1, shape[1])) ** 0.5 if key.endswith("weight") else value * 0.3
    assert all(float(v.min()) > 0 for k, v in state.items() if k.endswith("running_var"))
    return state


# ---- the second implementation: x is one sample, (1, C, H, W)


def norm(x: Tensor, state: State, name: str) -> Tensor:
    mean, var, w, b = (state[f"{name}.{t}"] for t in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * w + b


def attention(s: Tensor, state: State, name: str) -> Tensor:
    weight, bias = state[f"{name}.wn_fc1.weight"].flatten(1), state[f"{name}.wn_fc1.bias"].flatten()
    return torch.sigmoid(weight @ s + bias)


def kernel(s: Tensor, state: State, name: str) -> Tensor:
    """Each group's matrix, (outputs, inputs), times its own attention values."""
    matrices = state[f"{name}.wn_fc2.weight"].flatten(2)
    a = attention(s, state, name).view(len(matrices), -1)
    return torch.stack([matrix @ values for matrix, values in zip(matrices, a, strict=True)]).flatten()


def full(x: Tensor, s: Tensor, state: State, name: str) -> Tensor:
    c = x.shape[1]
    return F.conv2d(x, kernel(s, state, name).view(-1, c, 1, 1))


def deep(x: Tensor, s: Tensor, state: State, name: str, stride: int) -> Tensor:
    c = x.shape[1]
    return F.conv2d(x, kernel(s, state, name).view(c, 1, 3, 3), stride=stride, padding=1, groups=c)


def unit(x: Tensor, state: State, p: str) -> Tensor:
    strided = f"{p}.bn_proj_1.weight" in state
    stride = 2 if strided else 1
    kept, b = (x, x) if strided else (x[:, 0::2], x[:, 1::2])
    s = state[f"{p}.reduce.weight"].flatten(1) @ b.mean((0, 2, 3)) + state[f"{p}.reduce.bias"].flatten()
    y = norm(full(b, s, state, f"{p}.wnet1"), state, f"{p}.bn1").relu()
    y = norm(deep(y, s, state, f"{p}.wnet2", stride), state, f"{p}.bn2")
    y = norm(full(y, s, state, f"{p}.wnet3"), state, f"{p}.bn3").relu()
    if strided:
        kept = norm(deep(kept, s, state, f"{p}.wnet_proj_1", 2), state, f"{p}.bn_proj_1")
        kept = norm(full(kept, s, state, f"{p}.wnet_proj_2"), state, f"{p}.bn_proj_2").relu()
    return torch.cat((kept, y), 1)


def release(x: Tensor, state: State) -> Tensor:
    first, last = "first_conv", "conv_last"
    x = F.conv2d(x, state[f"{first}.0.weight"], state[f"{first}.0.bias"].flatten(), 2, 1)
    x = F.max_pool2d(norm(x, state, f"{first}.1").relu(), 3, 2, 1)
    for i in range(16):
        x = unit(x, state, f"features.{i}")
    x = F.conv2d(x, state[f"{last}.0.weight"], state[f"{last}.0.bias"].flatten())
    x = norm(x, state, f"{last}.1").relu().mean((2, 3))
    return x @ state["classifier.0.weight"].T + state["classifier.0.bias"]


@pytest.mark.parametrize(("name", "stages"), [("050", (48, 96, 192)), ("100", (112, 224, 448))])
def test_megengine_files_answer_what_the_release_does(
    name: str, stages: tuple[int, int, int], images: Images, compare: Compare
) -> None:
    state = megengine_file(stages)
    ours = create_model(f"weightnet_shufflenetv2_{name}").double().eval()
    assert load_weights(ours, state).source == "official"
    x = images(3, (3, 64, 78), 9)
    with torch.no_grad():
        assert compare(ours(x), torch.cat([release(x[n : n + 1], state) for n in range(3)])) < TOLERANCE
        assert compare(ours(x)[:2], ours(x[:2])) < TOLERANCE, "a sample's kernels are its own"
    preprocess = preprocess_of(ours)
    assert (preprocess.channels, preprocess.mean) == ("BGR", (0.0, 0.0, 0.0))


def test_a_file_of_another_width_is_refused() -> None:
    ours = create_model("weightnet_shufflenetv2_100")
    with pytest.raises(BadInput, match=r"features\.0\.wnet1\.wn_fc1\.weight has shape"):
        load_weights(ours, megengine_file((48, 96, 192)), "official")
    with pytest.raises(BadInput, match="not weights of weightnet_shufflenetv2_100"):
        load_weights(
            ours, {**megengine_file((112, 224, 448)), "features.99.strange.weight": torch.zeros(3)}, "official"
        )


@pytest.mark.parametrize(("down", "stride", "dilation"), [(True, 2, 1), (False, 1, 2)])
def test_bottlenecks_are_their_equation(down: bool, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    block = Bottleneck(32, stride, down, 4, 2).dilated(dilation).build(24 if down else 32).double().eval()
    assert isinstance(block, BottleneckUnit)
    torch.nn.init.normal_(block.squeeze.reduce.weight)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 24 if down else 32, 8, 6, generator=draw, dtype=torch.float64)
    x += torch.randn(2, x.shape[1], 1, 1, generator=draw, dtype=torch.float64)

    def made(layer: torch.nn.Module, y: Tensor, s: Tensor, k: int, step: int) -> Tensor:
        own = layer.conv
        a = torch.sigmoid(own.attend.weight.flatten(1) @ s + own.attend.bias).view(own.generate.groups, -1)
        weights = own.generate.weight.view(own.generate.groups, -1, a.shape[1])
        kernels = torch.einsum("goi,gi->go", weights, a).reshape(-1, y.shape[1], k, k)
        y = F.conv2d(y, kernels, stride=step, padding=k // 2 * dilation, dilation=dilation)
        return y / (1 + 1e-5) ** 0.5  # a fresh norm

    expected = []
    for n in range(2):
        one = x[n : n + 1]
        s = block.squeeze.reduce.weight.flatten(1) @ one.mean((0, 2, 3)) + block.squeeze.reduce.bias
        y = made(block.reduce, one, s, 1, stride).relu()
        y = made(block.expand, made(block.spatial, y, s, 3, 1).relu(), s, 1, 1)
        expected.append((block.shortcut(one) + y).relu())
    torch.testing.assert_close(block(x), torch.cat(expected), rtol=0, atol=1e-12)
    assert not torch.allclose(block(x)[0], block.act(block.shortcut(x))[0])


def test_m_and_g_change_the_weights_and_hardly_the_cost() -> None:
    counts = {}
    for m, g in ((1, 1), (2, 2), (8, 2)):
        model = create_model("weightnet_shufflenetv2_050", m=m, g=g, num_classes=0)
        counts[m, g] = sum(p.numel() for n, p in model.named_parameters() if "generate" in n)
    assert counts[1, 1] == counts[2, 2] == counts[8, 2] / 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"m": 3}, "m 3 and g 2"),
        ({"m": 2, "g": 4}, "m 2 and g 4"),
        ({"m": 0}, "m 0 and g 2"),
        ({"m": 7, "g": 7}, "g 7 cannot make kernels of 24 weights"),
        ({"g": 0}, "g 0"),
    ],
)
def test_impossible_m_and_g_are_one_sentence(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model("weightnet_shufflenetv2_050", **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("width", [0.1, 0.35, 0.77, 1.25, 3.0])
def test_every_width_can_be_built(width: float) -> None:
    with torch.device("meta"):
        model = create_model("weightnet_shufflenetv2_100", width=width)
        assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
    channels = model.feature_info.channels()
    assert channels[1:-1] == sorted(set(channels[1:-1]))
