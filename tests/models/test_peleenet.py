"""PeleeNet and its detectors against the authors' nets, the released prototxt and pytorchcv's."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from official import inputs, sample, weights
from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.families import spec_of
from pumice.models.peleenet import BOXES, Pelee
from pumice.models.peleenet_blocks import PRIORS, StemFork, TwoWayStage, bottleneck
from pumice.models.weights import load_weights, source_of

PROTOTXT: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "official" / "pelee.json").read_text(encoding="utf-8")
)
Compare = Callable[[Tensor, Tensor], float]


def test_logits_are_those_of_the_prototxt() -> None:
    """test_official.py compares the boxes."""
    ours = create_model("pelee_voc").double().eval()
    load_weights(ours, weights(PROTOTXT["tensors"], PROTOTXT["seed"]), "official")
    with torch.no_grad():
        boxes, logits = ours(inputs(PROTOTXT["seed"], (304, 304))).split((4, 21), dim=2)
    assert (list(boxes.shape), list(logits.shape)) == (PROTOTXT["shape"], PROTOTXT["logits_shape"])
    theirs = torch.tensor(PROTOTXT["logits"], dtype=torch.float64)
    assert (sample(logits) - theirs).abs().max() <= 1e-6 * (theirs[0] - theirs[1]).abs().max()


def test_boxes_are_those_of_the_prototxt_and_of_the_builder() -> None:
    for ours, theirs in zip(BOXES["coco"], PROTOTXT["prior_boxes"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-7)
    # What the training scripts compute: shares of the side in percent, rising by even steps.
    for name, first, start, step in (("voc", (10, 20), 20, 17), ("coco", (7, 15), 15, 18)):
        shares = [first, *((share, share + step) for share in range(start, start + 5 * step, step))]
        for found, share in zip(BOXES[name], shares, strict=True):
            assert found == pytest.approx([304 * s / 100 for s in share])
        spec = spec_of(f"pelee_{name}", {})
        assert isinstance(spec, Pelee)
        assert spec.boxes == BOXES[name]
    cells = [h * w for h, w in PROTOTXT["prior_maps"]]
    assert PRIORS * sum(cells) == 5142 == PROTOTXT["shape"][1]


@pytest.mark.parametrize("name", ["pelee_voc", "pelee_coco"])
def test_priors_grow_with_the_image(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, num_classes=5).eval()
        for height, width in ((304, 304), (257, 257), (300, 411)):
            boxes, logits = model(torch.zeros(1, 3, height, width)).split((4, 5), dim=2)
            sides = [[math.ceil(side / 16), math.ceil(side / 32)] for side in (height, width)]
            levels = [(h, w) for h, w in zip(*sides, strict=True)]
            h, w = (math.ceil(side[1] / 2) for side in sides)
            levels = [levels[0], *levels, (h, w), (h - 2, w - 2), (h - 4, w - 4)]
            priors = 6 * sum(h * w for h, w in levels)
            assert boxes.shape == (1, priors, 4)
            assert logits.shape == (1, priors, 5)
    with pytest.raises(BadInput, match="from 257 pixels, not 256 x 304"):
        model(torch.zeros(1, 3, 256, 304, device="meta"))


def test_a_wider_kernel_predicts_as_many() -> None:
    with torch.device("meta"):
        y = create_model("pelee_voc", kernel_size=3).eval()(torch.zeros(1, 3, 304, 304))
    assert y.shape == (1, 5142, 4 + 21)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("peleenet", {"growth": 7}, "growth 7 cannot be had; choose an even number from 8 on"),
        ("peleenet", {"stem": 4}, "stem 4 cannot be had"),
        ("pelee_voc", {"kernel_size": 2}, "kernel_size 2 cannot be had; choose an odd number"),
        ("pelee_voc", {"boxes": "kitti"}, "boxes must be 'voc' or 'coco', not 'kitti'"),
        ("pelee_voc", {"num_classes": 1}, "cannot have 1 classes; the background is one"),
        ("pelee_coco", {"num_classes": 0}, "cannot have 0 classes"),
    ],
)
def test_what_cannot_be_had(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model(name, **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_stem_is_its_equation_on_odd_sides_too() -> None:
    torch.manual_seed(0)
    stem = StemFork(8, 2, 1).double().eval()
    x = torch.randn(2, 8, 13, 17, dtype=torch.float64)
    a, b = (block.conv for block in stem.branch)
    scale = 1 / math.sqrt(1 + 1e-5)  # fresh norms
    h = F.relu(F.conv2d(F.relu(F.conv2d(x, a.weight) * scale), b.weight, stride=2, padding=1) * scale)
    pooled = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-math.inf), 2)
    expected = F.relu(F.conv2d(torch.cat((pooled, h), dim=1), stem.mix.conv.weight) * scale)
    torch.testing.assert_close(stem(x), expected)


def test_a_stage_keeps_what_it_was_given() -> None:
    """Layers join at the end; the pool stands before the first, rounding as asked."""
    x = torch.randn(1, 16, 7, 7)
    for ceil, side in ((False, 3), (True, 4)):
        pool, layer, transition = TwoWayStage(1, 1, 32, 2, ceil).build(16).eval()
        small = pool(x)
        assert small.shape[2:] == (side, side)
        grown = layer(small)
        assert grown.shape == (1, 48, side, side)
        assert torch.equal(grown[:, :16], small)
        assert transition(grown).shape == grown.shape
    assert pool(x)[0, 0, 3, 3] == x[0, 0, 6, 6], "a window that leaves the map is the mean of what is inside"


def test_bottlenecks_are_dynamic() -> None:
    """The widths of the prototxt, and the guard of the torch code, which no published width meets."""
    assert [bottleneck(32, 16, factor) for factor in (1, 2, 4)] == [16, 16, 16]
    assert [bottleneck(c, 16, f) for c, f in ((128, 2), (256, 4), (512, 4))] == [32, 64, 64]
    assert bottleneck(8, 16, 1) == 4


def test_pytorchcv_joins_the_stem_the_other_way_round(
    realistic: Callable[..., nn.Module], images: Callable[..., Tensor], compare: Compare
) -> None:
    pytest.importorskip("pytorchcv")
    theirs = realistic(create_model("pytorchcv:peleenet"), (3, 224, 224), batches=1)
    ours = create_model("peleenet").double().eval()
    assert source_of(theirs.state_dict(), ours) == "pytorchcv"
    load_weights(ours, theirs.state_dict())
    x = images(2, (3, 224, 224), 9)
    with torch.no_grad():
        assert compare(ours(x), theirs(x)) < 1e-9
        stem = ours.get_submodule("blocks.1.mix.conv")
        stem.weight.copy_(torch.cat(stem.weight.chunk(2, dim=1)[::-1], dim=1))
        assert compare(ours(x), theirs(x)) > 0.01


def test_a_detector_and_a_classifier_share_their_trunk() -> None:
    with torch.device("meta"):
        trunk = create_model("pelee_voc", features_only=True).state_dict()
        classifier = create_model("peleenet").state_dict()
    backbone = [value.shape for key, value in classifier.items() if key.startswith("blocks.")]
    assert [value.shape for value in trunk.values()] == backbone
