"""ESPNetV2: pytorchcv's nets, facts of the release, and its own options."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from official import inputs, sample, weights
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.espnet_v2 import widths_at
from pumice.models.espnet_v2_heads import GatedConv
from pumice.models.net import Net
from pumice.models.weights import load_weights

OFFICIAL = Path(__file__).parents[1] / "golden" / "official"


def net(name: str, **arguments: Any) -> Net:
    model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


def meta(name: str, **arguments: Any) -> Net:
    with torch.device("meta"):
        return net(name, **arguments)


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OFFICIAL / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("espnetv2_050", "espnetv2_wd2"),
        pytest.param("espnetv2_100", "espnetv2_w1", marks=pytest.mark.slow),
        pytest.param("espnetv2_125", "espnetv2_w5d4", marks=pytest.mark.slow),
        pytest.param("espnetv2_150", "espnetv2_w3d2", marks=pytest.mark.slow),
        pytest.param("espnetv2_200", "espnetv2_w2", marks=pytest.mark.slow),
    ],
)
def test_pytorchcv_runs_one_branch_more(
    ours: str, theirs: str, realistic: Callable[..., nn.Module], compare: Callable[[Tensor, Tensor], float]
) -> None:
    """Its last strided unit sees the image: ours does with an option, and its answers ours with the branch silent."""
    peer = realistic(create_model(f"pytorchcv:{theirs}"), (3, 224, 224), batches=1)
    x = inputs(0, (224, 224))
    seeing, blind = net(ours, image_at_32=True).double(), net(ours).double()
    assert load_weights(seeing, peer.state_dict()).source == "pytorchcv"
    with torch.no_grad():
        assert compare(seeing(x), peer(x)) < 1e-9
    with pytest.raises(BadInput, match="not weights of"):
        load_weights(blind, peer.state_dict())
    branch = "features.stage4.unit1.shortcut_block"
    load_weights(blind, {k: v for k, v in peer.state_dict().items() if not k.startswith(branch)}, "pytorchcv")
    with torch.no_grad():
        assert compare(blind(x), peer(x)) > 1e-3
        for name, parameter in peer.get_submodule(f"{branch}.conv2.bn").named_parameters():
            assert name in ("weight", "bias")
            parameter.zero_()
        assert compare(blind(x), peer(x)) < 1e-9


@pytest.mark.parametrize(
    ("name", "registered"),
    [("espnetv2_050", 1_241_332), ("espnetv2_seg_050", 80_342), ("espnetv2_ssd_200_voc", 4_750_878)],
)
def test_official_files_hold_tensors_that_nothing_reads(name: str, registered: int) -> None:
    """The sizes that the authors print; ours are smaller by the unused slopes and the uncalled image branch."""
    shapes = [s for key, s, *_ in fixture(name)["tensors"] if "running" not in key]
    assert sum(math.prod(shape) for shape in shapes) == registered
    assert sum(p.numel() for p in meta(name).parameters()) < registered


def test_official_detector_scores_as_theirs_did() -> None:
    """Boxes are compared by test_official.py."""
    given = fixture("espnetv2_ssd_200_voc")
    model = net("espnetv2_ssd_200_voc").double()
    load_weights(model, weights(given["tensors"], given["seed"]))
    with torch.no_grad():
        scores = model(inputs(given["seed"], tuple(given["size"])))[..., 4:]
    theirs = torch.tensor(given["scores"]["outputs"], dtype=torch.float64)
    assert list(scores.shape) == given["scores"]["shape"]
    assert (sample(scores) - theirs).abs().max() <= 1e-6 * (theirs[0] - theirs[1]).abs().max()


@pytest.mark.parametrize(
    ("name", "options", "size", "params", "madds"),
    [
        ("espnetv2_seg_050", {"num_classes": 21}, (384, 384), 80_241, 168_071_388),
        ("espnetv2_seg_200", {"num_classes": 21}, (384, 384), 788_773, 759_129_308),
        ("espnetv2_seg_100", {}, (256, 512), 233_786, 271_333_354),
        ("espnetv2_ssd_200_voc", {}, (512, 512), 4_749_886, 2_520_068_352),
        ("espnetv2_ssd_200_coco", {}, (512, 512), 5_811_886, 3_217_581_312),
        ("espnetv2_200", {"image_at_32": True}, (224, 224), 3_497_144, 286_240_725),
    ],
)
def test_counts_of_other_forms_of_the_release(
    name: str, options: dict[str, Any], size: tuple[int, int], params: int, madds: int
) -> None:
    """Counted in the authors' code, and in pytorchcv's for the last."""
    found = profile(meta(name, **options), (3, *size))
    assert (found.params, found.madds) == (params, madds)


def test_boxes_are_as_many_as_the_authors_priors() -> None:
    model = meta("espnetv2_ssd_200_voc")
    for side, count in ((300, 11_640), (512, 32_742)):
        assert model(torch.zeros(1, 3, side, side, device="meta")).shape == (1, count, 4 + 21)


def authors(width: float) -> list[int]:
    """The rule of the first release; its widths of levels 1 to 5."""
    b = math.ceil(int(32 * width) / 4) * 4
    return [min(32, b), *(b * 2**i for i in range(1, 5))]


def test_widths_are_the_authors_wherever_their_code_builds() -> None:
    agreed = 0
    for percent in range(50, 201):
        *ours, last = widths_at(percent / 100)
        assert last == (1024 if percent <= 150 else 1280)
        theirs = authors(percent / 100)
        for widths in (ours, theirs):
            # Strided units make O - C channels, others O: in 4 branches, each of which takes 4 groups.
            builds = all((b - a) % 16 == 0 and b % 16 == 0 for a, b in pairwise(widths))
            if widths is ours:
                assert builds
            elif builds:
                agreed += 1
                assert ours == theirs
    assert agreed > 20


@pytest.mark.parametrize("width", [0.6, 0.75, 1.1, 1.66])
def test_widths_between_the_published_ones_run(width: float) -> None:
    x = torch.zeros(1, 3, 64, 80, device="meta")
    assert meta("espnetv2_100", width=width)(x).shape == (1, 1000)
    assert meta("espnetv2_seg_100", width=width)(x).shape == (1, 20, 64, 80)


def test_classes_set_the_width_of_the_pyramids_and_leave_the_rest() -> None:
    model = net("espnetv2_seg_050", num_classes=20, decoder_base=32, bn_eps=1e-4)
    gate = model.head.gated3.gate[1].weight.clone()  # type: ignore[union-attr,index,operator]
    for classes, q in ((4, 2), (100, 32)):
        model.reset_classifier(classes)
        assert model.get_classifier().weight.shape == (classes, q, 1, 1)
        other = net("espnetv2_seg_050", num_classes=classes, decoder_base=32)
        assert [(k, v.shape) for k, v in model.state_dict().items()] == [
            (k, v.shape) for k, v in other.state_dict().items()
        ]
    assert torch.equal(model.head.gated3.gate[1].weight, gate)  # type: ignore[union-attr,index,arg-type]
    assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-4}


def test_gated_convolution_is_its_equation() -> None:
    torch.manual_seed(0)
    gated = GatedConv(8, 12).double().eval()
    for norm in (m for m in gated.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 0.0  # at its start a norm then changes nothing
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64) + 0.5
    weight = gated.gate[1].weight[:, :, 0, 0]
    gate = 1 / (1 + (-(x.mean((2, 3)) @ weight.T)).exp())
    y = torch.zeros(2, 12, 6, 5, dtype=torch.float64)
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    for o in range(12):
        for c in range(2):  # 4 groups: 3 outputs of 2 inputs each
            for dy in range(3):
                for dx in range(3):
                    kernel = gated.conv.conv.weight[o, c, dy, dx]
                    y[:, o] += kernel * padded[:, o // 3 * 2 + c, dy : dy + 6, dx : dx + 5]
    y = torch.where(y > 0, y, 0.25 * y) * gate[:, :, None, None]
    torch.testing.assert_close(gated(x), y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("espnetv2_050", {"width": 0.3}, "width must be from 0.5 to 2.0, not 0.3"),
        ("espnetv2_seg_050", {"width": 2.5}, "width must be from 0.5 to 2.0, not 2.5"),
        ("espnetv2_seg_050", {"num_classes": 1}, "at least 2 classes, not 1"),
        ("espnetv2_seg_050", {"num_classes": 0}, "at least 2 classes, not 0"),
        ("espnetv2_seg_050", {"decoder_base": 0}, "decoder_base must be from 1 on"),
        ("espnetv2_ssd_200_voc", {"num_classes": 0}, "at least 1 class, not 0"),
    ],
)
def test_bad_arguments_are_one_sentence(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        meta(name, **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_decoder_says_which_sizes_it_takes() -> None:
    with pytest.raises(BadInput, match="sides are multiples of 16 from 16 pixels, not 64 x 72"):
        meta("espnetv2_seg_050")(torch.zeros(1, 3, 64, 72, device="meta"))
