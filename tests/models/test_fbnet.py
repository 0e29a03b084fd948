"""FBNet V1, V2, V3: what the fixtures of the release do not show."""

import pytest
import torch
from torch import nn

from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.fbnet_blocks import Skip, rounded
from pumice.models.net import Net
from pumice.models.weights import load_weights, source_of
from pumice.nn.gate import SqueezeExcite
from pumice.nn.inverted_residual import InvertedResidual
from pumice.nn.shuffle import ChannelShuffle


def on_meta(name: str, **arguments: object) -> Net:
    with torch.device("meta"):
        model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


def sides_of_maps(model: Net, size: int) -> list[int]:
    return [m.shape[2] for m in model.trunk(None)(torch.zeros(1, 3, size, size, device="meta"))]


def hidden_widths(model: Net) -> list[int]:
    return [m.depthwise.conv.out_channels for m in model.modules() if isinstance(m, InvertedResidual)]


def squeezed_widths(model: Net) -> list[int]:
    return [m.reduce.out_channels for m in model.modules() if isinstance(m, SqueezeExcite)]


def test_widths_round_as_in_the_release() -> None:
    # 0.95, not the usual 0.9: 8.45 times 8 is 67.6, whose nearest multiple of 8 is 64, too little.
    assert [rounded(w) for w in (1, 12, 11.9, 67.6, 67, 96.0, 43.65)] == [8, 16, 16, 72, 64, 96, 48]


def test_hidden_and_squeezed_widths_are_those_of_the_release() -> None:
    f1, f4, a = on_meta("fbnetv2_f1"), on_meta("fbnetv2_f4"), on_meta("fbnetv3_a")
    assert hidden_widths(f1) == [8, 48, 112, 128, 144, 136, 232, 288, 360, 144, 368, 840, 992]
    assert squeezed_widths(f1) == [32, 40, 72, 88, 40, 96, 208, 248]
    assert hidden_widths(f4) == [
        *(16, 88, 48, 48, 128, 112, 144, 144, 184, 136, 320),
        *(264, 184, 392, 624, 520, 896),
    ]
    pairs = {
        (m.depthwise.conv.out_channels, m.se.reduce.out_channels)
        for m in a.modules()
        if isinstance(m, InvertedResidual) and isinstance(m.se, SqueezeExcite)
    }
    assert {(120, 8), (120, 16), (720, 32), (736, 48)} <= pairs, "a quarter of the input, not of the hidden width"
    assert [f.head.expand.conv.out_channels for f in (f1, f4)] == [1344, 1344]


@pytest.mark.parametrize(
    ("name", "size", "sides"),
    [
        ("fbnetv3_a", 224, [112, 56, 28, 13, 6]),
        ("fbnetv3_b", 248, [124, 62, 31, 15, 7]),
        ("fbnetv3_c", 248, [124, 62, 31, 15, 7]),
        ("fbnetv3_d", 248, [124, 62, 31, 16, 8]),
        ("fbnetv3_e", 264, [132, 66, 33, 16, 8]),
        ("fbnetv3_f", 272, [136, 68, 34, 17, 8]),
        ("fbnetv3_g", 320, [160, 80, 40, 20, 10]),
    ],
)
def test_odd_paddings_shrink_the_maps(name: str, size: int, sides: list[int]) -> None:
    assert sides_of_maps(on_meta(name), size) == sides


@pytest.mark.parametrize(
    ("name", "least"), [("fbnetv3_a", 49), ("fbnetv3_c", 49), ("fbnetv3_e", 17), ("fbnetv3_f", 33)]
)
def test_odd_paddings_set_the_least_side(name: str, least: int) -> None:
    model = on_meta(name)
    model(torch.zeros(1, 3, least, 96, device="meta"))
    with pytest.raises(RuntimeError):  # the limit is no smaller than it must be
        model.forward_head(model.forward_features(torch.zeros(1, 3, least - 1, 96, device="meta")))
    with pytest.raises(BadInput, match=f"from {least} pixels, not {least - 1} x 96; resize or pad"):
        model(torch.zeros(1, 3, least - 1, 96, device="meta"))


@pytest.mark.parametrize("name", ["fbnetv3_a", "fbnetv3_c", "fbnetv3_f"])
def test_a_lost_stride_takes_its_odd_padding_along(name: str) -> None:
    assert sides_of_maps(on_meta(name, output_stride=8), 64) == [32, 16, 8, 8, 8]


def test_skip_is_nothing_or_a_convolution_with_relu() -> None:
    assert isinstance(Skip(24).build(24), nn.Identity)
    for block in (Skip(32).build(24), Skip(24, stride=2).build(24)):
        assert [type(m) for m in block.children()] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert block.get_parameter("conv.weight").shape[2:] == (1, 1)
        assert not dict(block.named_parameters()).get("conv.bias")


def test_biases_stand_under_norms_where_the_release_has_them() -> None:
    def biased(name: str) -> list[bool]:
        return [m.bias is not None for m in on_meta(name).blocks.modules() if isinstance(m, nn.Conv2d)]

    assert all(biased("fbnet_b"))
    small = biased("fbnet_96")
    assert small[0]
    assert small[-1]
    assert not any(small[1:-1])
    assert not any(biased("fbnetc_100"))


def test_the_shuffle_stays_where_the_first_convolution_goes() -> None:
    a, timm = on_meta("fbnet_a"), on_meta("fbnet_a", layout="timm")
    for model, kept in ((a, False), (timm, True)):
        grouped = [
            b for b in model.modules() if isinstance(b, InvertedResidual) and isinstance(b.shuffle, ChannelShuffle)
        ]
        assert len(grouped) == 3
        assert all(isinstance(b.expand, nn.Identity) != kept for b in grouped)
        assert all(b.project.conv.groups == 2 for b in grouped)


def test_width_follows_the_release() -> None:
    wide = on_meta("fbnetv2_f1", width=0.75)
    # int(0.75 c), to the nearest 8 unless that takes more than 5 %: 8 -> 8, 24 -> 18 -> 24, 80 -> 60 -> 64
    assert [info["num_chs"] for info in wide.feature_info] == [8, 24, 24, 64, 168]
    assert wide.num_features == 1200
    assert on_meta("fbnet_c", width=0.35).feature_info.channels() == [8, 16, 16, 40, 1984]
    assert on_meta("fbnet_c", width=1.25).num_features == 2480
    same = on_meta("fbnetv3_a0", width=1.0).state_dict()
    assert [v.shape for v in same.values()] == [v.shape for v in on_meta("fbnetv3_a0").state_dict().values()]


def test_residual_blocks_of_v2_and_v3_start_as_nothing() -> None:
    for name, starts in (("fbnetv3_a0", True), ("fbnet_96", False)):
        blocks = [
            m for m in create_model(name).modules() if isinstance(m, InvertedResidual) and m.drop_path is not None
        ]
        assert blocks
        assert all((float(b.project.norm.weight.detach().abs().max()) == 0) == starts for b in blocks)


def test_the_teacher_convolves_in_wide_groups() -> None:
    blocks = [m for m in on_meta("fbnetv3_20g").modules() if isinstance(m, InvertedResidual)]
    assert [b.depthwise.conv.groups for b in blocks][:4] == [1, 1, 2, 2]
    assert {b.depthwise.conv.groups for b in blocks[-10:]} == {10}


@pytest.mark.parametrize(("name", "arguments"), [("fbnet_a", {"layout": "tf"}), ("fbnetv2_f1", {"width": 0})])
def test_bad_options_are_one_sentence(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=f"{name}: option {next(iter(arguments))} must be") as raised:
        create_model(name, **arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["fbnet_a", "fbnetv2_f1", "fbnetv3_a0"])
def test_keys_tell_the_release(name: str) -> None:
    keys = {f"backbone.stages.xif0_0.conv.{kind}": torch.zeros(1) for kind in ("weight", "bias")}
    assert source_of(keys, on_meta(name)) == "official"


def test_pytorchcvs_weights_come_with_their_eps() -> None:
    pytest.importorskip("pytorchcv")
    theirs = create_model("pytorchcv:fbnet_cb")
    ours = create_model("fbnetc_100")
    assert load_weights(ours, theirs.state_dict()).source == "pytorchcv"
    assert {m.eps for m in ours.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}
    assert {m.eps for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}
