"""SqueezeNext: sizes of maps, widths, groups, Caffe's files; test_official has the prototxt's own answers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from official import inputs, weights
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.models.squeezenext import SqueezeNextBlock
from pumice.models.weights import load_weights

FIXTURE = Path(__file__).parents[1] / "golden" / "official" / "squeezenext_23_100.json"


def on_meta(name: str, **options: Any) -> Any:
    with torch.device("meta"):
        return create_model(name, **options).eval()


@pytest.mark.parametrize(
    ("name", "size", "sides"),
    [
        ("squeezenext_23_100", 227, [111, 55, 28, 14, 7]),
        ("squeezenext_23v5_100", 227, [112, 56, 28, 14, 7]),
        ("squeezenext_23_100", 224, [109, 54, 27, 14, 7]),
        ("squeezenext_23_100", 9, [2, 1, 1, 1, 1]),
        ("squeezenext_23v5_100", 7, [2, 1, 1, 1, 1]),
    ],
)
def test_maps_have_caffes_sizes(name: str, size: int, sides: list[int]) -> None:
    """Convolutions round down, the pool rounds up."""
    trunk = on_meta(name, features_only=True)
    maps = trunk(torch.zeros(1, 3, size, size + 32, device="meta"))
    assert [m.shape[2] for m in maps] == sides
    assert trunk.feature_info.reduction() == [2, 4, 8, 16, 32]


@pytest.mark.parametrize(("name", "least"), [("squeezenext_23_100", 9), ("squeezenext_23v5_200", 7)])
def test_smaller_images_are_refused_in_one_sentence(name: str, least: int) -> None:
    model = on_meta(name)
    assert model(torch.zeros(1, 3, least, 40, device="meta")).shape == (1, 1000)
    with pytest.raises(BadInput, match=f"takes images whose sides are from {least} pixels, not 40 x {least - 1}"):
        model(torch.zeros(1, 3, 40, least - 1, device="meta"))


@pytest.mark.parametrize(
    ("width", "stages"), [(0.3, [16, 24, 40, 80]), (1.5, [48, 96, 192, 384]), (2, [64, 128, 256, 512])]
)
def test_the_width_scales_the_stages_alone(width: float, stages: list[int]) -> None:
    model = on_meta("squeezenext_g_23_100", width=width)
    assert model.feature_info.channels() == [64, *stages[:3], 128]
    assert [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)][-2] == stages[3]


def test_groups_and_pairs_are_those_of_the_prototxt() -> None:
    """Groups in the first 1 x 1 convolution and the pair; the pair turns round from block to block, anew a stage."""
    model = on_meta("squeezenext_g_23_100")
    blocks = [m for m in model.modules() if isinstance(m, SqueezeNextBlock)]
    starts = [i for i, block in enumerate(blocks) if not isinstance(block.shortcut, nn.Identity)]
    assert starts == [0, 6, 12, 20]
    for i, block in enumerate(blocks):
        convs = [m for m in block.branch.modules() if isinstance(m, nn.Conv2d)]
        assert [c.groups for c in convs] == [2, 1, 2, 2, 1]
        place = i - max(s for s in starts if s <= i)
        assert convs[2].kernel_size == ((1, 3) if place % 2 else (3, 1))
        assert convs[3].kernel_size == ((3, 1) if place % 2 else (1, 3))


@pytest.mark.parametrize("groups", [0, 3, 16])
def test_groups_that_fit_no_width(groups: int) -> None:
    with pytest.raises(BadInput, match=f"groups {groups} do not divide the channels of this net; choose 1 or 2"):
        create_model("squeezenext_23_100", groups=groups)


def test_caffes_sums_and_averages_are_the_same_file() -> None:
    """A file with Caffe's factors, one whose statistics are divided by them, and one in another order."""
    fixture = json.loads(FIXTURE.read_text(encoding="utf-8"))
    sums = weights(fixture["tensors"], fixture["seed"])
    averages: dict[str, Tensor] = {}
    for key, value in sums.items():
        if "scale_factor" not in key:
            averages[key] = value / sums[key.rpartition(".")[0] + ".scale_factor"] if "running" in key else value
    x = inputs(0, (64, 64))
    outputs = []
    for state in (sums, averages, dict(sorted(averages.items()))):
        model = create_model("squeezenext_23_100").double().eval()
        assert load_weights(model, state).source == "official"
        with torch.no_grad():
            outputs.append(model(x))
    assert float((outputs[0][0] - outputs[0][1]).abs().max()) > 0.01
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(outputs[2], outputs[1], rtol=0, atol=0)
    preprocess, config = preprocess_of(model), config_of(model)
    assert config is not None
    assert (config.bn_eps, preprocess.channels, preprocess.size) == (None, "BGR", (227, 227))
    assert preprocess.mean == pytest.approx((104 / 255, 117 / 255, 123 / 255))


def test_another_net_of_the_name_is_refused() -> None:
    """pytorchcv's 1.0-SqNxt-23 has biases beside its norms."""
    pytest.importorskip("pytorchcv")
    with torch.device("meta"):
        theirs = create_model("pytorchcv:sqnxt23_w1")
    with pytest.raises(BadInput, match="not weights of squeezenext_23_100"):
        load_weights(create_model("squeezenext_23_100"), theirs.state_dict())
