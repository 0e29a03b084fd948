"""A pruned network is built again from its record: in files, with other classes, and never from a record of another."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pumice.errors import BadInput
from pumice.graph.channels import channel_groups
from pumice.graph.cut import cut
from pumice.graph.trace import trace
from pumice.models.build import become, rebuild, reset_classes
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import config_of
from pumice.models.manifest import Manifest, ModelConfig
from pumice.models.narrow import classifier_of, inputs_of, narrow, widths_of
from pumice.models.network_file import NetworkFile
from pumice.models.source import load_source
from pumice.search.prune.prune import describe_cut

SIZE = (3, 32, 32)
# Indices that a cut numbers anew: Shift-Max, shuffles; selections of channels; a head of two layers; others' nets.
NETS = (
    "micronet_m0",
    "condensenet50_cifar",
    "mobilenetv3_small_035",
    "timm:mobilenetv3_small_050",
    "torchvision:resnet18",
)


def halved(model: nn.Module) -> nn.Module:
    """Every other channel of each cell gone, the first ones, so that numbers of channels change."""
    groups = channel_groups(trace(model, SIZE))
    kept = {
        g.name: sorted(c for cell in g.cells for c in cell[len(cell) // 2 :])
        for g in groups
        if not g.frozen and len({len(cell) for cell in g.cells}) == 1
    }
    small = cut(model, groups, kept)
    describe_cut(small, model)
    return small.eval()


@pytest.mark.parametrize("name", NETS)
def test_a_file_gives_the_same_network_again(
    name: str, tmp_path: Path, realistic: Callable[..., nn.Module], images: Callable[..., torch.Tensor]
) -> None:
    model = create_model(name, num_classes=10)
    small = halved(realistic(model, SIZE, batches=1))
    record = manifest_of(small, classes=tuple("abcdefghij"))
    assert sum(p.numel() for p in small.parameters()) < 0.7 * sum(p.numel() for p in model.parameters())
    assert len(record.dumps()) < 20_000
    file = save_checkpoint(tmp_path / "small.safetensors", small.float(), record)
    x = images(2, SIZE, 5).float()
    want = small(x).detach()
    assert float((want[0] - want[1]).abs().max()) > 1e-3 * float(want.abs().max())

    again, manifest = load_checkpoint(file)
    assert manifest == record
    assert torch.equal(again(x), want)
    by_name = create_model(name, num_classes=10, checkpoint_path=str(file)).eval()
    assert torch.equal(by_name(x), want)
    assert config_of(by_name) == config_of(small)

    other = reset_classes(again, 7).eval()
    assert other(x).shape == (2, 7)
    assert config_of(other) == replace(record.model, num_classes=7)
    # The trunk is the same: what reaches the classifier.
    twice = halved(other)
    assert twice(x).shape == (2, 7)
    save_checkpoint(tmp_path / "twice.safetensors", twice, manifest_of(twice))
    assert torch.equal(load_source(tmp_path / "twice.safetensors")[0](x), twice(x))


@pytest.mark.parametrize("name", ["micronet_m0", "shufflenetv2_050", "timm:mobilenetv3_small_050"])
def test_a_network_file_is_a_pruned_network_too(name: str, tmp_path: Path) -> None:
    small = halved(create_model(name, num_classes=10))
    manifest = manifest_of(small, classes=tuple("abcdefghij")).at(*SIZE[1:])
    save_checkpoint(tmp_path / "best.safetensors", small, manifest)
    file = str(NetworkFile.of(manifest, {"method": "prune"}).write(tmp_path / "best.json"))
    x = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(1))
    assert torch.equal(load_source(file)[0](x), small(x))
    fresh = create_model(file).eval()
    assert config_of(fresh) == config_of(small)
    assert not torch.equal(fresh(x), small(x))
    indices = {k: v for k, v in small.state_dict().items() if v.dtype == torch.int64 and "tracked" not in k}
    assert indices or name.startswith("timm:")
    assert all(torch.equal(fresh.state_dict()[k], v) for k, v in indices.items())
    assert create_model(file, num_classes=3).eval()(x).shape == (2, 3)
    without = create_model(file, num_classes=0).eval()
    assert without(x).shape[1] == inputs_of(classifier_of(small))
    with pytest.raises(BadInput, match="no published weights"):
        create_model(file, pretrained=True)
    trunk = pytest.raises(BadInput, match="leave out features_only") if name.startswith("timm:") else nullcontext()
    with trunk:
        maps: Any = create_model(file, features_only=True)
        assert [m.shape[1] for m in maps.eval()(x)] == maps.feature_info.channels()
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(BadInput, match="beside it"):
        load_source(file)


TOLD = ("mobilenetv2_035", "shufflenetv2_050", "mobilenetv3_small_035", "espnet_a_p2_q8", "timm:mobilenetv3_small_050")


@pytest.mark.parametrize("name", TOLD)
def test_widths_that_are_told_are_those_of_the_maps(name: str, tmp_path: Path) -> None:
    model = create_model(name, num_classes=10)
    small = halved(model)
    file = save_checkpoint(tmp_path / "small.safetensors", small, manifest_of(small))
    again: Any = load_checkpoint(file)[0]
    told = [info["num_chs"] for info in again.feature_info]
    assert [info["num_chs"] for info in small.feature_info] == told
    assert all(a < b["num_chs"] for a, b in zip(told, model.feature_info, strict=True))
    x = torch.zeros(1, 3, 64, 64)
    features = again.forward_features(x)
    assert again.num_features == small.num_features
    if name.startswith("timm:"):
        assert (again.num_features, told) == (features.shape[1], [8, 4, 8, 12, 144])
        with pytest.raises(BadInput, match="leave out features_only"):
            create_model(name, num_classes=10, features_only=True, checkpoint_path=str(file))
        return
    if name != "espnet_a_p2_q8":
        assert again.forward_head(features, pre_logits=True).shape == (1, again.num_features)
    trunk = create_model(name, num_classes=10, features_only=True, checkpoint_path=str(file))
    maps = trunk.eval()(x)
    assert [m.shape[1] for m in maps] == told == trunk.feature_info.channels()
    last = features[-1] if isinstance(features, list) else features
    assert torch.equal(maps[-1], last)  # the same weights, not only the same shape
    assert again.training is False


@pytest.mark.parametrize("name", ["espnet_a_p2_q8", "lraspp:mobilenetv3_small_100"])
def test_a_pruned_dense_net_takes_other_classes(name: str) -> None:
    small: Any = halved(create_model(name, num_classes=4))
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    before = small.head.state_dict()
    assert small(x).shape[1] == 4
    other: Any = reset_classes(small, 7)
    assert other(x).shape[1] == 7
    after = other.head.state_dict()
    kept = [key for key in before if not key.startswith("classifier.")]
    assert all(torch.equal(before[key], after[key]) for key in kept)
    config = config_of(other)
    assert config is not None
    assert {k: v.shape for k, v in rebuild(config).state_dict().items()} == {
        k: v.shape for k, v in other.state_dict().items()
    }


def test_layers_that_do_not_fit_together_are_no_network() -> None:
    model = create_model("mobilenetv2_035", num_classes=10)
    with pytest.raises(BadInput, match="do not fit together"):
        become(model, {"blocks.0.conv": {"out_channels": 4}})


def test_the_record_says_what_differs_and_nothing_else() -> None:
    model = create_model("mobilenetv2_035", num_classes=10)
    assert widths_of(model, rebuild(config_of(model) or ModelConfig(""))) == {}
    small = halved(model)
    widths = widths_of(small, model)
    assert widths["head.classifier"] == {"in_features": 640}
    assert widths["head"] == {"num_features": 640}
    assert all(isinstance(value, int) for sizes in widths.values() for value in sizes.values())
    assert json.loads(json.dumps(widths)) == widths
    before = {name: p.shape for name, p in small.named_parameters()}
    narrow(small, widths)  # what is narrow already stays
    assert {name: p.shape for name, p in small.named_parameters()} == before


def test_a_record_without_widths_is_read_as_before() -> None:
    manifest = manifest_of(create_model("mobilenetv2_035"))
    old = manifest.to_json()
    del old["model"]["widths"]
    assert Manifest.from_json(old) == manifest


@pytest.mark.parametrize(
    "widths",
    [
        {"nowhere": {"in_channels": 4}},
        {"head.classifier": {"in_features": 4_000}},
        {"head.classifier": {"in_features": -1}},
        {"head.classifier": {"in_features": True}},
        {"head.classifier": {"forward": 3}},
        {"head.classifier": {"weight": [10]}},
        {"head.classifier": {"weight": ["int64", 1 << 40]}},
        {"head.classifier": [3]},
        {"blocks.0.conv": {"groups": 0}},
    ],
)
def test_a_record_of_another_network_is_refused_and_changes_nothing(widths: Any) -> None:
    model = create_model("mobilenetv2_035", num_classes=10)
    before = {name: value.shape for name, value in model.state_dict().items()}
    good = {"head.classifier": {"in_features": 8}}
    with pytest.raises(BadInput, match="pruned network"):
        narrow(model, {**good, **widths} if "head.classifier" not in widths else widths)
    assert {name: value.shape for name, value in model.state_dict().items()} == before


def test_a_pruned_network_takes_no_weights_of_another_width(tmp_path: Path) -> None:
    model = create_model("mobilenetv2_035", num_classes=10)
    small = halved(model)
    file = save_checkpoint(tmp_path / "small.safetensors", small, manifest_of(small))
    full = save_checkpoint(tmp_path / "full.safetensors", model, manifest_of(model))
    with pytest.raises(BadInput, match="not weights of"):
        create_model("mobilenetv2_050", num_classes=10, checkpoint_path=str(file))
    again = create_model("mobilenetv2_035", num_classes=10)
    become(again, (config_of(small) or ModelConfig("")).widths)
    from pumice.models.weights import load_weights

    with pytest.raises(BadInput, match="not weights of"):
        load_weights(again, full)
