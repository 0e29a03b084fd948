"""ShuffleNetV1: pytorchcv's nets answer the same, and what the release's fixtures do not show."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.convnet import ConvNet
from pumice.models.create import create_model
from pumice.models.shufflenet_v1 import AveragePool, Unit
from pumice.models.weights import load_weights
from pumice.nn.shuffle import ChannelShuffle

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]

PEERS = [
    ("shufflenetv1_g1_025", 0.25, "g1_wd4"),
    ("shufflenetv1_g3_025", 0.25, "g3_wd4"),
    ("shufflenetv1_g4_100", 1.0, "g4_w1"),
    ("shufflenetv1_g1_100", 0.5, "g1_wd2"),
    ("shufflenetv1_g3_100", 0.5, "g3_wd2"),
    ("shufflenetv1_g1_100", 0.75, "g1_w3d4"),
    ("shufflenetv1_g3_100", 0.75, "g3_w3d4"),
    ("shufflenetv1_g1_100", 1.0, "g1_w1"),
    ("shufflenetv1_g2_100", 1.0, "g2_w1"),
    ("shufflenetv1_g3_100", 1.0, "g3_w1"),
    ("shufflenetv1_g8_100", 1.0, "g8_w1"),
]
FAST = {"g3_wd4", "g4_w1"}


@pytest.mark.parametrize(
    ("name", "width", "peer"),
    [pytest.param(*case, marks=() if case[2] in FAST else pytest.mark.slow, id=case[2]) for case in PEERS],
)
def test_pytorchcvs_layout_answers_what_pytorchcv_does(
    name: str, width: float, peer: str, realistic: Make, images: Images, compare: Compare
) -> None:
    pytest.importorskip("pytorchcv")
    theirs = realistic(create_model(f"pytorchcv:shufflenet_{peer}"), (3, 224, 224), batches=1)
    ours = create_model(name, width=width, layout="pytorchcv").double().eval()
    assert load_weights(ours, theirs.state_dict()).source == "pytorchcv"
    x = images(2, (3, 224, 219), 9)
    with torch.no_grad():
        assert compare(ours(x), theirs(x)) < 1e-9


def test_pytorchcvs_weights_are_refused_by_the_releases_layout() -> None:
    pytest.importorskip("pytorchcv")
    theirs = create_model("pytorchcv:shufflenet_g3_w1")
    with pytest.raises(BadInput, match="has 246 tensors; these are 247"):
        load_weights(create_model("shufflenetv1_g3_100"), theirs.state_dict())


@pytest.mark.parametrize("layout", ["official", "pytorchcv"])
@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_every_group_reads_every_group(groups: int, layout: Any) -> None:
    """Without the shuffle a group of the last convolution sees nothing but its own."""
    seen = {}
    for shuffle in (True, False):
        row = Unit(16 * groups * groups, 1, groups, groups, False, False, shuffle, layout)
        unit = row.build(row.out_channels).double().eval()
        for parameter in unit.parameters():
            parameter.data.abs_()  # so that nothing is cut off
        x = torch.zeros(groups, row.out_channels, 1, 1, dtype=torch.float64)
        for g in range(groups):  # one sample an input group
            x[g, g * 16 * groups : (g + 1) * 16 * groups] = 1
        with torch.no_grad():
            moved = unit.branch(x) - unit.branch(torch.zeros_like(x))
        seen[shuffle] = moved.view(groups, groups, -1).abs().amax(2) > 1e-9
    assert bool(seen[True].all())
    assert torch.equal(seen[False], torch.eye(groups, dtype=torch.bool))


def test_the_release_shuffles_the_other_way_round() -> None:
    """Its reshape to (C / g, g) undoes the paper's to (g, C / g)."""
    c, g = 30, 3
    x = torch.arange(float(c)).view(1, c, 1, 1)
    theirs = x.view(1, c // g, g, 1, 1).permute(0, 2, 1, 3, 4).reshape(1, c, 1, 1)
    row = Unit(4 * c, 1, g, g, False, False, True, "official")
    shuffles = [m for m in row.build(4 * c).modules() if isinstance(m, ChannelShuffle)]
    assert len(shuffles) == 1
    assert torch.equal(shuffles[0](x), theirs)
    assert torch.equal(ChannelShuffle(g)(shuffles[0](x)), x)
    assert not torch.equal(ChannelShuffle(g)(x), theirs)


@pytest.mark.parametrize(("height", "width"), [(9, 12), (5, 4)])
def test_a_dilated_average_is_one_with_holes(height: int, width: int) -> None:
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    holes = torch.full((3, 1, 3, 3), 1 / 9, dtype=torch.float64)
    expected = F.conv2d(x, holes, padding=2, dilation=2, groups=3)
    torch.testing.assert_close(AveragePool(1, 2)(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(AveragePool(1, 1)(x)[:, :, ::2, ::2], AveragePool(2, 1)(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["shufflenetv1_g3_025", "shufflenetv2_rf_050"])
def test_a_dense_net_goes_through_the_strided_nets_pixels(
    name: str, output_stride: int, realistic: Make, images: Images
) -> None:
    """Dilation puts the same numbers closer together."""
    strided = realistic(create_model(name))
    dense = create_model(name, output_stride=output_stride).double().eval()
    dense.load_state_dict(strided.state_dict())
    assert isinstance(strided, ConvNet)
    assert isinstance(dense, ConvNet)
    x, step = images(2, (3, 75, 96), 9), 32 // output_stride
    with torch.no_grad():
        few, every = strided.forward_features(x), dense.forward_features(x)
    assert every.shape[2] > few.shape[2]
    torch.testing.assert_close(every[:, :, ::step, ::step], few, rtol=1e-9, atol=1e-9)


def test_the_shallow_net_has_half_the_units() -> None:
    kinds = [type(row).__name__ for row in create_model("shufflenetv1_g3_050_shallow").spec.rows]
    assert kinds.count("Unit") == 2 + 4 + 2
    assert [type(row).__name__ for row in create_model("shufflenetv1_g3_050").spec.rows].count("Unit") == 4 + 8 + 4


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_widths_between_the_published_ones(groups: int) -> None:
    """Every width builds, and the grouped convolutions divide."""
    for width in (0.1, 0.33, 0.6, 1.7):
        with torch.device("meta"):
            model = create_model("shufflenetv1_g3_100", width=width, groups=groups)
            assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
        channels = model.feature_info.channels()
        assert channels[3] == 2 * channels[2] == channels[4] / 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"groups": 5}, "cannot have 5 groups; choose 1, 2, 3, 4, 8"),
        ({"groups": 0}, "cannot have 0 groups"),
        ({"groups": 8, "width": 0.3, "layout": "pytorchcv"}, "cannot have width 0.3 with 8 groups: 7 channels do not"),
        ({"layout": "paper"}, "layout must be 'official' or 'pytorchcv'"),
    ],
)
def test_impossible_options_are_one_sentence(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model("shufflenetv1_g3_100", **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
