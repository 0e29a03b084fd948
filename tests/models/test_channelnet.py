"""ChannelNets: both graphs, and what the convolutional classification layer asks for."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.net import Net

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]


def on_meta(name: str, **arguments: object) -> Net:
    with torch.device("meta"):
        model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "options", "params", "madds"),
    [
        ("channelnet_v1", {"groups": 4}, 3_310_312, 393_024_000),
        ("channelnet_v2", {"concat": True}, 2_824_552, 486_802_944),
        ("channelnet_v3", {"concat": True}, 1_800_777, 487_003_944),
    ],
)
def test_options_have_the_sizes_of_other_counts(name: str, options: dict[str, object], params: int, madds: int) -> None:
    found = profile(on_meta(name, **options), (3, 224, 224))
    assert (found.params, found.madds) == (params, madds)


def separable(x: Tensor, layers: list[nn.Module], stride: int = 1) -> Tensor:
    depthwise, pointwise, norm = (layers.pop(0) for _ in range(3))
    assert isinstance(depthwise, nn.Conv2d)
    assert isinstance(pointwise, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    x = F.conv2d(x, depthwise.weight, None, stride, 1, 1, x.shape[1])
    groups = x.shape[1] // pointwise.weight.shape[1]
    parts = zip(x.chunk(groups, 1), pointwise.weight.chunk(groups), strict=True)
    x = torch.cat([torch.einsum("ncyx,oc->noyx", part, weight[:, :, 0, 0]) for part, weight in parts], 1)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias).clamp(0, 6)


def channelwise(x: Tensor, layers: list[nn.Module], before: int, after: int, stride: int) -> Tensor:
    """Kernels along the channels by unfolding: (N, C, H, W) -> group-major (N, C, H, W)."""
    conv = layers.pop(0)
    assert isinstance(conv, nn.Conv3d)
    kernels = conv.weight.flatten(1)
    windows = F.pad(x, (0, 0, 0, 0, before, after)).unfold(1, kernels.shape[1], stride)
    return torch.einsum("ncyxk,gk->ngcyx", windows, kernels).flatten(1, 2)


def reference(model: nn.Module, x: Tensor, version: int) -> Tensor:
    """The paper's graph with 2 groups."""
    kinds = nn.Conv2d | nn.Conv3d | nn.BatchNorm2d | nn.Linear
    layers = [m for m in model.modules() if isinstance(m, kinds)]
    stem, norm = layers.pop(0), layers.pop(0)
    assert isinstance(norm, nn.BatchNorm2d)
    x = F.conv2d(x, stem.weight, None, 2, 1)
    x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)  # no activation
    for stride in (1, 2, 1, 2, 1, 2):
        x = separable(x, layers, stride)
    x = x + separable(separable(x, layers), layers)
    x = separable(separable(channelwise(x, layers, 3, 3, 2), layers), layers)
    x = x + separable(separable(channelwise(x, layers, 3, 3, 2), layers), layers)
    x = separable(x, layers, 2)
    if version == 1:
        x = separable(x, layers)
    else:
        x = F.conv2d(x, layers.pop(0).weight, None, 1, 1, 1, x.shape[1])
        x = channelwise(x, layers, 31, 32, 1)
    last = layers.pop(0)
    if version < 3:
        return F.linear(x.mean((2, 3)), last.weight, last.bias)
    windows = x.unfold(1, last.weight.shape[2], 1)  # (N, classes, 7, 7, k)
    return torch.einsum("ncyxk,kyx->nc", windows, last.weight[0, 0])


@pytest.mark.parametrize(("version", "side"), [(1, 64), (2, 64), (3, 200)])
def test_the_papers_graph(version: int, side: int, realistic: Make, images: Images, compare: Compare) -> None:
    options = {"num_classes": 200} if version == 3 else {}
    model = create_model(f"channelnet_v{version}", width=0.25, **options)
    realistic(model, (3, side, side), batches=1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)
        x = images(3, (3, side, side), 9)
        assert compare(model(x), reference(model, x, version)) < 1e-9


def test_concatenation_keeps_the_input_before_the_output() -> None:
    model = on_meta("channelnet_v1_concat")
    assert model.feature_info.channels() == [96, 256, 512, 512, 1024]
    row = model.spec.rows[1]
    block = row.build(32)
    x = torch.randn(1, 32, 5, 5)
    assert torch.equal(block(x)[:, :32], x)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("channelnet_v1", {"groups": 3}, "3 groups do not divide the 512 channels of this ChannelNet; choose 1, 2, 4"),
        ("channelnet_v1", {"groups": 0}, "0 groups do not divide"),
        (
            "channelnet_v3",
            {"num_classes": 1025},
            "on 1024 channels has at most 1024 classes, not 1025; take channelnet_v1",
        ),
        ("channelnet_v3", {"width": 0.5}, "on 512 channels has at most 512 classes, not 1000"),
    ],
)
def test_impossible_nets_are_one_sentence(name: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model(name, **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_classification_layer_reads_maps_of_7_pixels() -> None:
    model = on_meta("channelnet_v3")
    for side in (193, 224):
        assert model(torch.zeros(1, 3, side, side, device="meta")).shape == (1, 1000)
    for side in (192, 225):
        with pytest.raises(BadInput, match="sides are from 193 to 224 pixels"):
            model(torch.zeros(1, 3, side, side, device="meta"))
    model.reset_classifier(1024)
    assert model.get_classifier().get_parameter("weight").shape == (1, 1, 1, 7, 7)
    with pytest.raises(BadInput, match="at most 1024 classes"):
        model.reset_classifier(1100)
