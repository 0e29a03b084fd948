"""SSD and SSDLite on any backbone: maps, prior boxes, the record in the file, torchvision's net."""

import numpy as np
import pytest
import torch

from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.dense.decoding import decoding_of
from pumice.tasks.detect.priors import corners, priors_of


def test_the_same_net_as_torchvisions():
    """To the bit, with its weights; their boxes are ours to float32's rounding."""
    detection = pytest.importorskip("torchvision.models.detection")
    torch.manual_seed(0)
    theirs = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    ours = create_model("ssdlite:mobilenetv3_large_100", reduced=True, first_boxes=6, bn_eps=1e-3).eval()
    assert sum(p.numel() for p in ours.parameters()) == 3_440_060
    weights = theirs.state_dict()
    keys = [k for part in ("backbone", "head.regression", "head.classification") for k in weights if k.startswith(part)]
    own = ours.state_dict()
    ours.load_state_dict({a: weights[b] for a, b in zip(own, keys, strict=True)})
    x = torch.rand(2, 3, 320, 320)
    with torch.no_grad():
        maps = list(theirs.backbone(x).values())
        said = theirs.head(maps)
        found = ours(x)
        images = detection.image_list.ImageList(x, [(320, 320)] * 2)
        anchors = theirs.anchor_generator(images, maps)[0]
    expected = torch.cat((said["bbox_regression"], said["cls_logits"]), dim=2)
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-5
    assert (found[0] - found[1]).abs().max() > 1e-2  # it depends on the image
    assert np.abs(corners(priors_of(decoding_of(ours, 320, 320))) * 320 - anchors.numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "size", "grids"),
    [
        ("ssdlite:mobilenetv2_035", (320, 320), [20, 10, 5, 3, 2, 1]),
        ("ssd:mobilenetv1_025", (300, 300), [19, 10, 5, 3, 2, 1]),
        ("ssdlite:squeezenet1_1", (320, 320), [39, 19, 10, 5, 3, 2]),  # whose pools round as they do
        ("ssdlite:peleenet", (300, 300), [18, 9, 5, 3, 2, 1]),
        ("ssdlite:espnetv2_050", (128, 128), [8, 4, 2, 1, 1, 1]),
        ("ssdlite:timm:mobilenetv3_small_050", (96, 96), [6, 3, 2, 1, 1, 1]),
    ],
)
def test_boxes_are_as_many_as_rows(name, size, grids):
    net = create_model(name, num_classes=3).eval()
    decode = decoding_of(net, *size)
    assert [level["grid"] for level in decode["levels"]] == [[g, g] for g in grids]
    with torch.no_grad():
        y = net(torch.rand(2, 3, *size))
    assert y.shape == (2, len(priors_of(decode)), 4 + 3)
    assert (y[0] - y[1]).abs().max() > 1e-6


def test_c4_is_the_expansion_of_the_right_block():
    for name, channels in (("mobilenetv2_100", (576, 1280)), ("mobilenetv3_large_100", (672, 960))):
        net = create_model(f"ssdlite:{name}")
        assert net.encoder.channels == channels
        assert net.encoder.reductions == (16, 32)
    net = create_model("ssdlite:mobilenetv3_small_100", reduced=True)
    assert net.encoder.channels == (288, 288)
    # Without an expansion there: the last map before it.
    assert create_model("ssdlite:mobilenetv1_100").encoder.channels == (512, 1024)


def test_asking_for_boxes_leaves_the_net_alone():
    net = create_model("ssdlite:mobilenetv3_small_050", num_classes=3, output_stride=16)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    decode = decoding_of(net, 96, 128)
    assert [level["grid"] for level in decode["levels"]] == [[6, 8], [6, 8], [3, 4], [2, 2], [1, 1], [1, 1]]
    assert all(module.training for module in net.modules())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net(torch.rand(2, 3, 96, 128)).shape == (2, len(priors_of(decode)), 7)
    assert decoding_of(create_model("mobilenetv3_small_050"), 96, 128) == {}


def test_three_boxes_on_the_finest_map():
    levels = decoding_of(create_model("ssdlite:mobilenetv2_035"), 320, 320)["levels"]
    assert np.allclose(levels[0]["boxes"], [[0.1, 0.1], [0.2 * 2**0.5, 0.2 / 2**0.5], [0.2 / 2**0.5, 0.2 * 2**0.5]])
    assert [len(level["boxes"]) for level in levels] == [3, 6, 6, 6, 6, 6]
    assert np.allclose(levels[5]["boxes"][:2], [[0.95, 0.95], [0.95**0.5] * 2])


def test_smaller_boxes_for_small_objects():
    net = create_model("ssdlite:mobilenetv2_035", first_scale=0.1)
    firsts = [level["boxes"][0][0] for level in decoding_of(net, 320, 320)["levels"]]
    assert np.allclose(firsts, [0.05, 0.27, 0.44, 0.61, 0.78, 0.95])


def test_a_file_says_how_it_is_read(tmp_path):
    net = create_model("ssdlite:mobilenetv2_035", num_classes=3, multiplier=0.35)
    manifest = manifest_of(net)
    assert manifest.task == "detect"
    assert priors_of(manifest.decode).shape == (20 * 20 * 3 + 6 * (100 + 25 + 9 + 4 + 1), 4)
    save_checkpoint(tmp_path / "net.safetensors", net, manifest)
    again, read = load_checkpoint(tmp_path / "net.safetensors")
    assert read == manifest
    x = torch.rand(1, 3, 320, 320)
    assert torch.equal(again(x), net.eval()(x))


def test_new_classes_keep_the_rest():
    net = create_model("ssdlite:mobilenetv2_035", num_classes=3)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.reset_classifier(6)
    changed = {k for k, v in net.state_dict().items() if v.shape != before[k].shape}
    assert all(k.startswith("head.classifier") for k in changed)
    assert net(torch.rand(2, 3, 64, 64)).shape[2] == 10


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ssdlite:mobilenetv2_035", {"num_classes": 1}, "cannot have 1 classes; the background is one"),
        ("ssdlite:shufflenetv2_050", {"reduced": True}, "which this backbone is not; leave it out"),
        ("ssdlite:timm:resnet18", {"reduced": True}, "which this backbone is not; leave it out"),
        ("ssdlite:mobilenetv2_035", {"first_boxes": 4}, "first_boxes must be 3 or 6, not 4"),
        ("ssdlite:mobilenetv2_035", {"first_scale": 0.95}, "first_scale must be below 0.95, not 0.95"),
        ("ssd:mobilenetv2_035", {"kernel_size": 2}, "kernel_size must be 1 or 3, not 2"),
        ("ssdlite:mobilenetv2_035", {"kernel_size": 3}, "has no option 'kernel_size'"),
        ("ssdlite:mobilenetv2_035", {"multiplier": 0.0}, "option multiplier must be a number above 0"),
    ],
)
def test_what_cannot_be_had(name, options, said):
    with pytest.raises(BadInput, match=said):
        create_model(name, **options)


@pytest.mark.parametrize(
    ("name", "size", "count"),
    [
        ("pelee_voc", 304, 5142),
        ("pelee_coco", 304, 5142),
        ("espnetv2_ssd_200_voc", 300, 11_640),
        ("espnetv2_ssd_200_voc", 512, 32_742),
    ],
)
def test_published_detectors_say_their_boxes(name, size, count):
    with torch.device("meta"):
        net = create_model(name)
    decode = decoding_of(net, size, size)
    assert len(priors_of(decode)) == count
    assert decode["match"] == (0.5 if name.startswith("pelee") else 0.45)


def test_pelees_boxes_are_those_of_its_table():
    with torch.device("meta"):
        found = priors_of(decoding_of(create_model("pelee_voc"), 304, 304)) * 304
    assert np.allclose(found[0], [8, 8, 30.4, 30.4])  # a step of 16 pixels
    assert np.allclose(found[1], [8, 8, (30.4 * 60.8) ** 0.5, (30.4 * 60.8) ** 0.5])
    assert np.allclose(found[6], [24, 8, 30.4, 30.4])  # the next place is to the right
    assert np.allclose(found[361 * 6, 2:], 60.8)  # the same map again, with larger boxes
    assert np.allclose(found[-1], [152, 152, 267.52 / 3**0.5, 267.52 * 3**0.5])


def test_espnetv2s_boxes_are_the_authors():
    with torch.device("meta"):
        net = create_model("espnetv2_ssd_200_voc")
        found, large = (priors_of(decoding_of(net, side, side)) * side for side in (300, 512))
    assert np.allclose(found[0], [4, 4, 30, 30])
    assert np.allclose(found[6 * 37, :2], [300, 4])  # 38 pixels, 8 apart
    firsts = np.cumsum([0] + [6 * n * n for n in (38, 19, 10, 5, 3)])
    assert np.allclose(found[firsts, 2], [30, 77, 125, 172, 220, 267])
    assert np.allclose(found[firsts[4], :2], [50, 50])
    assert np.allclose(found[-5, 2], (267 * 315) ** 0.5)
    assert found[:, 2:].max() == 300  # clipped
    firsts = np.cumsum([0] + [6 * n * n for n in (64, 32, 16, 8, 4)])
    assert np.allclose(large[firsts, 2], [52, 133, 214, 295, 376, 457])
