"""MobileNets: scaling at widths and depths that no name has, the papers' ablations, settings of weights."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.count import Profile, profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.families import spec_of
from pumice.models.mobilenet_v3 import LARGE, SMALL
from pumice.models.weights import load_weights

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]
TOLERANCE = 1e-9


def on_meta(name: str, **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **arguments)


def counts(name: str, side: int = 224, **options: Any) -> Profile:
    return profile(on_meta(name, **options), (3, side, side))


def shapes(model: nn.Module) -> list[torch.Size]:
    return [value.squeeze().shape for key, value in model.state_dict().items() if "num_batches" not in key]


@pytest.mark.parametrize(
    ("name", "side", "millions"),
    [
        *(("mobilenetv1_100", 192, 418.12), ("mobilenetv1_075", 160, 166.40), ("mobilenetv1_025", 128, 13.57)),
        *(("mobilenetv2_100", 96, 56.29), ("mobilenetv2_075", 160, 107.30), ("mobilenetv2_035", 128, 20.22)),
    ],
)
def test_counts_at_the_papers_other_sizes(name: str, side: int, millions: float) -> None:
    assert counts(name, side).madds / 1e6 == pytest.approx(millions, abs=0.006)


# ---- MobileNetV1


def v1_by_hand(state: dict[str, Tensor], x: Tensor, strides: Sequence[int], separable: bool) -> Tensor:
    """Table 1, from the tensors in order of execution."""
    left = [value for key, value in state.items() if "num_batches" not in key]

    def layer(x: Tensor, stride: int = 1) -> Tensor:
        weight, scale, shift, mean, var = (left.pop(0) for _ in range(5))
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, groups)
        x = (x - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + 1e-5).sqrt() * scale.view(-1, 1, 1)
        return (x + shift.view(-1, 1, 1)).clamp(0, 6)

    x = layer(x, 2)
    for stride in strides:
        x = layer(x, stride)
        x = layer(x) if separable else x
    x = x.mean((2, 3)) @ left.pop(0).T + left.pop(0)
    assert not left
    return x


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("mobilenetv1_025", (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)),
        ("mobilenetv1_100_shallow", (1, 2, 1, 2, 1, 2, 2, 1)),
        ("mobilenetv1_100_full", (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)),
    ],
)
def test_mobilenet_v1_is_its_table(
    name: str, strides: tuple[int, ...], realistic: Make, images: Images, compare: Compare
) -> None:
    model = realistic(create_model(name, width=0.25))
    x = images(3, (3, 64, 75), 9)
    with torch.no_grad():
        assert compare(model(x), v1_by_hand(model.state_dict(), x, strides, "full" not in name)) < TOLERANCE


@pytest.mark.parametrize(
    ("width", "channels"),
    [(0.33, [21, 42, 84, 168, 337]), (0.1, [8, 12, 25, 51, 102]), (1.7, [108, 217, 435, 870, 1740])],
)
def test_mobilenet_v1_cuts_widths_down(width: float, channels: list[int]) -> None:
    assert on_meta("mobilenetv1_100", width=width).feature_info.channels() == channels


def test_the_activation_of_mobilenet_v1_belongs_to_the_weights(
    realistic: Make, images: Images, compare: Compare
) -> None:
    """pytorchcv's nets are the paper's, with ReLU; slim's, ours by default, stop at 6."""
    pytest.importorskip("pytorchcv")
    theirs = create_model("pytorchcv:mobilenet_wd4")
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)
    realistic(theirs)
    right, wrong = (create_model("mobilenetv1_025", act=act).double().eval() for act in ("RE", "R6"))
    for model in (right, wrong):
        assert load_weights(model, theirs.state_dict()).source == "pytorchcv"
    x = images(3, (3, 51, 78), 9)
    with torch.no_grad():
        assert compare(right(x), theirs(x)) < TOLERANCE
        assert compare(wrong(x), theirs(x)) > 1e-4


# ---- MobileNetV2


@pytest.mark.parametrize("width", [0.1, 0.25, 0.6, 0.9, 1.15, 2.0])
def test_mobilenet_v2_scales_as_torchvision(width: float) -> None:
    pytest.importorskip("torchvision")
    theirs = on_meta("torchvision:mobilenet_v2", width_mult=width)
    assert shapes(on_meta("mobilenetv2_100", width=width)) == shapes(theirs)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("width", "depth"), [(1.0, 1.3), (1.3, 2.2), (0.7, 0.5)])
def test_mobilenet_v2_deepens_as_timm(width: float, depth: float, fixed: bool) -> None:
    efficientnet = pytest.importorskip("timm.models.efficientnet")
    with torch.device("meta"):
        theirs = efficientnet._gen_mobilenet_v2("mobilenetv2_100", width, depth_multiplier=depth, fix_stem_head=fixed)
    assert shapes(on_meta("mobilenetv2_100", width=width, depth=depth, fix_stem_head=fixed)) == shapes(theirs)


def test_pytorchcvs_mobilenet_v2_has_no_bias_in_its_classifier(
    realistic: Make, images: Images, compare: Compare
) -> None:
    pytest.importorskip("pytorchcv")
    theirs = create_model("pytorchcv:mobilenetv2b_w1")
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)
    realistic(theirs)
    ours = create_model("mobilenetv2_100").double().eval()
    nn.init.constant_(ours.get_classifier().bias, 3.0)
    load_weights(ours, theirs.state_dict())
    x = images(2, (3, 64, 64), 9)
    with torch.no_grad():
        assert compare(ours(x), theirs(x)) < TOLERANCE


# ---- MobileNetV3


def test_the_defaults_of_mobilenet_v3_are_its_tables() -> None:
    assert spec_of("mobilenetv3_large_100", {}).rows == LARGE
    assert spec_of("mobilenetv3_small_100", {}).rows == SMALL


@pytest.mark.parametrize("depth", [0.4, 1.4, 2.5])
@pytest.mark.parametrize("kind", ["large", "small"])
def test_mobilenet_v3_deepens_as_timm(kind: str, depth: float) -> None:
    mobilenetv3 = pytest.importorskip("timm.models.mobilenetv3")
    name = f"mobilenetv3_{kind}_100"
    with torch.device("meta"):
        theirs = mobilenetv3._gen_mobilenet_v3(name, 1.0, depth_multiplier=depth)
    assert shapes(on_meta(name, depth=depth)) == shapes(theirs)


# Added up by hand from tables 1 and 2 at 224 pixels.  A gate of h channels and q hidden costs 2hq + h + q weights, 2hq
# multiply-adds; Large has (72, 24), (120, 32) x 2, (480, 120), (672, 168) x 2, (960, 240) x 2, Small (16, 8), (96, 24),
# (240, 64) x 2, (120, 32), (144, 40), (288, 72), (576, 144) x 2.
SE_LARGE = (-1_512_280, -1_507_200)
SE_SMALL = (-461_640, -458_752)
# A stem of 32 adds 16 filters of 27 weights, 16 depthwise ones of 9 and 16 x 16 weights of the projection, each with
# 112 x 112 outputs, and scales and shifts of two norms.
STEM_LARGE = (16 * (27 + 9 + 16) + 2 * 32, 16 * (27 + 9 + 16) * 112**2)
# The original tail adds 9 x 960 + 960 x 320 + 320 x 1280 weights at 7 x 7 and three norms, and has no hidden layer, of
# 960 x 1280 weights and 1280 biases; the 1 x 1 convolution to 960 is in both.
TAIL = (-499_520, 34_317_760)


@pytest.mark.parametrize(
    ("name", "options", "change"),
    [
        ("mobilenetv3_large_100", {"se": False}, SE_LARGE),
        ("mobilenetv3_small_100", {"se": False}, SE_SMALL),
        ("mobilenetv3_large_100", {"stem": 32}, STEM_LARGE),
        ("mobilenetv3_large_100", {"tail": "original"}, TAIL),
        ("mobilenetv3_large_100", {"act": "RE"}, (0, 0)),
        ("mobilenetv3_large_100", {"hswish_from": 16}, (0, 0)),
    ],
)
def test_what_an_ablation_costs(name: str, options: dict[str, Any], change: tuple[int, int]) -> None:
    whole, changed = counts(name), counts(name, **options)
    assert (changed.params - whole.params, changed.madds - whole.madds) == change


def test_ablations_cost_what_the_paper_says() -> None:
    """Section 5.1: 10 million multiply-adds for the stem, 30 for the tail."""
    assert STEM_LARGE[1] == pytest.approx(10e6, rel=0.05)
    assert TAIL[1] == pytest.approx(30e6, rel=0.15)


def test_ablations_scale_with_the_width() -> None:
    """A gate of a narrower net is that of its own expansion; the tail's 320 scale, its 1280 do not."""
    model = on_meta("mobilenetv3_large_075", tail="original", stem=32)
    assert [c.out_channels for c in model.modules() if isinstance(c, nn.Conv2d)][:3] == [24, 24, 16]
    last = [c for c in model.modules() if isinstance(c, nn.Conv2d)][-4:]
    assert [(c.in_channels, c.out_channels) for c in last] == [(120, 720), (720, 720), (720, 240), (240, 1280)]
    assert model.num_features == model.get_classifier().in_features == 1280


@pytest.mark.parametrize("options", [{"se": False, "stem": 32, "hswish_from": 16}, {"tail": "original", "act": "RE"}])
def test_ablated_nets_serve_dense_tasks(options: dict[str, Any]) -> None:
    """As maps and at a finer output, on an image of odd sides."""
    x = torch.zeros(1, 3, 75, 131)
    maps = create_model("mobilenetv3_large_100", width=0.35, features_only=True, **options).eval()(x)
    assert [tuple(m.shape[2:]) for m in maps] == [(38, 66), (19, 33), (10, 17), (5, 9), (3, 5)]
    finer = create_model("mobilenetv3_large_100", width=0.35, output_stride=8, **options).eval()
    assert finer.forward_features(x).shape[2:] == (10, 17)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 21),  # stem, 2 in each of 9 blocks, last convolution, head
        ({"hswish_from": 112}, 13),  # 5 blocks
        ({"hswish_from": 16}, 32),  # 15 blocks, of which the first has no expansion
        ({"act": "RE"}, 0),
        ({"minimal": True}, 0),
        ({"tail": "original"}, 22),  # 10 blocks, no hidden layer
        ({"tail": "original", "act": "RE"}, 0),
    ],
)
def test_where_h_swish_is(options: dict[str, Any], count: int) -> None:
    model = on_meta("mobilenetv3_large_100", **options)
    assert sum(isinstance(m, nn.Hardswish) for m in model.modules()) == count


def test_h_swish_from_112_is_the_table_with_relu_in_the_blocks_of_80(
    realistic: Make, images: Images, compare: Compare
) -> None:
    later = create_model("mobilenetv3_large_100", hswish_from=112)
    realistic(later)
    whole = create_model("mobilenetv3_large_100").double().eval()
    whole.load_state_dict(later.state_dict())
    x = images(2, (3, 64, 64), 9)
    with torch.no_grad():
        assert compare(whole(x), later(x)) > 1e-3
        for block in whole.blocks[7:11]:  # the four blocks of 80
            block.expand.act = block.depthwise.act = nn.ReLU()
        assert compare(whole(x), later(x)) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "mobilenetv3_small_100",
            {"stem": 0},
            "stem must have at least 1 channel, not 0; the paper compares 16 and 32",
        ),
        ("mobilenetv3_large_100", {"tail": "short"}, "tail must be 'efficient' or 'original', not 'short'"),
        ("mobilenetv3_large_100", {"act": "R6"}, "act must be 'HS' or 'RE', not 'R6'"),
        ("mobilenetv3_small_100", {"tail": "original"}, "mobilenetv3_small_100 has no option 'tail'"),
        ("mobilenetv1_100", {"act": "HS"}, "act must be 'R6' or 'RE', not 'HS'"),
        ("mobilenetv2_100", {"depth": 0}, "depth must be a number above 0, not 0"),
    ],
)
def test_bad_options_are_one_sentence(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model(name, **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
