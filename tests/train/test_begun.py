"""A dense net that starts from the weights of what it is built on."""

from pathlib import Path

import pytest
import torch

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import describe, preprocess_of
from pumice.train.config import TrainConfig
from pumice.train.net import build_net


def saved(path: Path, name: str, **options) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    net = create_model(name, **options)
    describe(net, preprocess=Preprocess((96, 96), mean=(0.1, 0.2, 0.3), channels="BGR"))
    file = path / f"{name.replace(':', '_')}.safetensors"
    save_checkpoint(file, net, manifest_of(net))
    return file, net.state_dict()


@pytest.mark.parametrize(
    ("first", "second", "task"),
    [
        ("micronet_m0", "mraspp:micronet_m0", "segment"),
        ("micronet_m0", "micronet_m0_mraspp", "segment"),
        ("mobilenetv3_small_035", "lraspp:mobilenetv3_small_035", "segment"),
        ("lraspp:mobilenetv2_035", "raspp:mobilenetv2_035", "segment"),
        ("espnet_c_p2_q3", "espnet_p2_q3", "segment"),
    ],
)
def test_the_trunk_is_that_of_the_file(first: str, second: str, task: str, tmp_path: Path) -> None:
    file, there = saved(tmp_path, first, num_classes=7, padding="same")
    net = build_net(TrainConfig(model=second, task=task, weights=str(file), img_size=64), tuple("abcdef"))
    own = net.state_dict()
    trunk = [key for key in own if key.startswith("encoder.")]
    assert trunk
    for key in trunk:
        assert torch.equal(own[key], there[key if key in there else key.removeprefix("encoder.")]), key
    assert net.num_classes == 6
    assert net.config.padding == "same"
    fed = preprocess_of(net)
    assert (fed.size, fed.mean, fed.channels, fed.resize) == ((64, 64), (0.1, 0.2, 0.3), "BGR", "stretch")


def test_espnet_goes_on_with_the_encoders_classes(tmp_path: Path) -> None:
    file, there = saved(tmp_path, "espnet_c_p2_q3", num_classes=6)
    config = TrainConfig(model="espnet_p2_q3", task="segment", weights=str(file))
    net = build_net(config, tuple("abcdef"))
    assert torch.equal(net.head.project3.weight, there["head.classifier.weight"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mobilenetv3_small_035", "lraspp:mobilenetv3_small_050"),
        ("mobilenetv2_035", "lraspp:mobilenetv3_small_035"),
        ("espnet_c_p2_q3", "espnet_p2_q5"),
        ("mobilenetv2_035", "lraspp:timm:resnet18"),
    ],
)
def test_another_trunk_is_refused(first: str, second: str, tmp_path: Path) -> None:
    file, _ = saved(tmp_path, first)
    with pytest.raises(BadInput, match=f"holds {first}, not {second}; train that network, or give other weights"):
        build_net(TrainConfig(model=second, task="segment", weights=str(file)), tuple("abcdef"))
