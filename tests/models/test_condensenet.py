"""CondenseNet's two forms, the way from one to the other, and what the authors' code makes of the same weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official import inputs, sample, weights
from torch import Tensor, nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.condense import condense, group_lasso, is_pruned, learned, prunings_due, set_progress
from pumice.models.create import create_model
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.manifest import ModelConfig
from pumice.models.weights import load_weights, source_of
from pumice.nn.learned_group import LearnedGroupConv, SelectChannels

OFFICIAL = Path(__file__).parents[1] / "golden" / "official"
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("condensenet74_c4_g4", {"growth": 4}),
    ("condensenet74_c8_g8", {"groups": 8, "condense_factor": 4}),
    ("condensenet50_cifar", {"layers": 2}),
    ("condensenet50_cifar", {"layers": 2, "groups": 2, "condense_factor": 4}),
    ("condensenet50_cifar", {"layers": 2, "groups": 4, "condense_factor": 2}),
    ("condensenet_light94_cifar", {"layers": 3}),
]
Realistic = Callable[..., nn.Module]


def pruned(name: str, realistic: Realistic, **options: Any) -> nn.Module:
    """A trainable net with weights and statistics, pruned through; double, evaluation mode."""
    torch.manual_seed(0)
    model = realistic(create_model(name, condensed=False, **options), (3, 32, 32))
    set_progress(model, 1.0)
    return model


def apart(a: Tensor, b: Tensor, reference: Tensor) -> float:
    """The largest difference, of that between the answers to two inputs."""
    return float((a - b).abs().max() / (reference[0] - reference[1]).abs().max())


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_the_full_conversion_answers_the_same(name: str, options: dict[str, Any], realistic: Realistic) -> None:
    model = pruned(name, realistic, **options)
    net = condense(model, "full")
    assert not list(learned(net))
    x = inputs(0, (64, 64))
    with torch.no_grad():
        masked = model(x)
        assert apart(net(x), masked, masked) < 1e-9
        single = net.float()(x.float()).double()
        assert apart(single, masked, masked) < 1e-5
    costs = [profile(m, (3, 64, 64)) for m in (model, net)]
    assert costs[1].params < costs[0].params
    assert costs[1].madds < costs[0].madds


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_the_half_conversion_is_the_authors(name: str, options: dict[str, Any], realistic: Realistic) -> None:
    """The classifier's inputs with the largest weights are kept, the others are as if they were zero."""
    model = pruned(name, realistic, **options)
    net = condense(model, "half")
    classifier = model.get_submodule("head.classifier")
    strength = classifier.weight.detach().abs().sum(0).tolist()
    order = sorted(range(len(strength)), key=lambda i: strength[i])
    gone = order[: len(order) - len(order) // 2]
    classifier.weight.data[:, gone] = 0.0
    x = inputs(0, (64, 64))
    with torch.no_grad():
        expected = model(x)
        assert apart(net(x), expected, expected) < 1e-9
    assert net.get_submodule("head.classifier").in_features == len(order) // 2
    if "light" not in name:
        assert config_of(net) == ModelConfig(name, config_of(model).num_classes, options=options)  # type: ignore[union-attr]


def test_the_authors_conversion_of_the_same_weights() -> None:
    """Their training form, converted by their code, against ours converted by ours."""
    path = OFFICIAL / "condensenet_light94_cifar_learning.json"
    fixture = json.loads(path.read_text(encoding="utf-8"))
    ours = create_model(fixture["model"], **fixture["options"]).double().eval()
    state = weights(fixture["tensors"], fixture["seed"])
    assert source_of(state, ours) == "official"
    load_weights(ours, state)
    assert is_pruned(ours)
    small = condense(ours, "half")
    theirs = torch.tensor(fixture["condensed_outputs"], dtype=torch.float64)
    with torch.no_grad():
        x = inputs(fixture["seed"], (32, 32))
        assert apart(sample(small(x)), theirs, theirs) < 1e-9
        assert apart(sample(ours(x)), theirs, theirs) > 0.01, "half the classifier is gone"


def test_a_net_that_the_authors_had_half_pruned_is_pruned_on() -> None:
    """Their counters come with their files."""
    fixture = json.loads((OFFICIAL / "condensenet74_cifar_learning.json").read_text(encoding="utf-8"))
    ours = create_model(fixture["model"], **fixture["options"])
    load_weights(ours, weights(fixture["tensors"], fixture["seed"]), "official")
    assert {layer.stage for _, layer in learned(ours)} == {2}
    assert not is_pruned(ours)
    with pytest.raises(BadInput, match="has done 2 of its 3 prunings"):
        condense(ours, "full")
    set_progress(ours, 0.5)
    assert is_pruned(ours)


def test_what_ships_is_the_plain_net(tmp_path: Path, realistic: Realistic) -> None:
    torch.manual_seed(0)
    model = create_model("condensenet50_cifar", condensed=False, num_classes=4)
    realistic(model, (3, 32, 32))
    model.float()
    changed = preprocess_of(model)
    describe(model, preprocess=type(changed)(**{**changed.__dict__, "mean": (0.1, 0.2, 0.3)}))
    set_progress(model, 1.0)
    net = condense(model, "half")
    assert config_of(net) == ModelConfig("condensenet50_cifar", 4)
    plain = create_model("condensenet50_cifar", num_classes=4).eval()
    plain.load_state_dict(net.state_dict())
    save_checkpoint(tmp_path / "net.safetensors", net, manifest_of(net))
    again, manifest = load_checkpoint(tmp_path / "net.safetensors")
    assert manifest.preprocess.mean == (0.1, 0.2, 0.3)
    x = inputs(0, (32, 32)).float()
    with torch.no_grad():
        assert torch.equal(plain(x), net(x))
        assert torch.equal(again(x), net(x))
    full = condense(model, "full")
    assert config_of(full) == ModelConfig("condensenet50_cifar", 4, options={"classifier": "full"})


def test_the_full_classifier_is_the_light_nets_own(realistic: Realistic) -> None:
    net = condense(pruned("condensenet_light94_cifar", realistic, layers=2), "full")
    assert config_of(net) == ModelConfig("condensenet_light94_cifar", 10, options={"layers": 2})


def test_prunings_follow_progress() -> None:
    """C - 1 of them, evenly in the first half of the training."""
    model = create_model("condensenet50_cifar", condensed=False, layers=1)
    density = []
    for progress in (0.0, 0.16, 0.17, 0.33, 0.34, 0.49, 0.5, 1.0):
        set_progress(model, progress)
        density.append({float(layer.conv.mask.mean()) for _, layer in learned(model)})
        assert prunings_due(model, progress) == {layer.stage for _, layer in learned(model)}
    assert density == [{1.0}, {1.0}, {0.75}, {0.75}, {0.5}, {0.5}, {0.25}, {0.25}]


def test_group_lasso_is_the_sum_over_layers() -> None:
    torch.manual_seed(0)
    model = create_model("condensenet50_cifar", condensed=False, layers=1)
    set_progress(model, 0.2)
    by_hand = 0.0
    for module in model.modules():
        if isinstance(module, LearnedGroupConv):
            weight = (module.conv.weight * module.conv.mask)[:, :, 0, 0].detach()
            for group in range(4):
                by_hand += weight[group::4].square().sum(0).clamp(min=1e-6).sqrt().sum().item()
    lasso = group_lasso(model)
    assert lasso.item() == pytest.approx(by_hand, rel=1e-5)
    lasso.backward()
    set_progress(model, 0.5)
    assert group_lasso(model).item() == 0.0
    with pytest.raises(BadInput, match="no learned group convolutions"):
        group_lasso(create_model("condensenet50_cifar", layers=1))


@pytest.mark.parametrize("name", ["condensenet50_cifar", "squeezenet1_1"])
def test_a_net_without_learned_groups_cannot_be_condensed(name: str) -> None:
    with pytest.raises(BadInput, match="has no learned group convolutions to condense") as raised:
        condense(create_model(name), "full")
    assert "\n" not in str(raised.value)


def test_a_net_without_classes_has_no_half_classifier(realistic: Realistic) -> None:
    model = pruned("condensenet50_cifar", realistic, layers=1, num_classes=0)
    assert (
        condense(model, "full").state_dict().keys()
        == create_model("condensenet50_cifar", layers=1, num_classes=0, classifier="full").state_dict().keys()
    )
    with pytest.raises(BadInput, match="no classifier to halve"):
        condense(model, "half")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"growth": 6}, "growth 6 must be a multiple of groups (4) and of condense_factor (4)"),
        ({"groups": 3}, "growth 8 must be a multiple of groups (3) and of condense_factor (4)"),
        ({"groups": 0}, "growth 8 must be a multiple of groups (0)"),
        ({"condense_factor": 16}, "growth 8 must be a multiple of groups (4) and of condense_factor (16)"),
        ({"layers": 0}, "layers 0 and dropout 0.0 cannot be had"),
        ({"dropout": 1.0}, "layers 8 and dropout 1.0 cannot be had"),
        ({"dropout": -0.1}, "dropout must be a number from 0 on, not -0.1"),
        ({"classifier": "third"}, "classifier must be 'half' or 'full', not 'third'"),
        ({"condensed": "no"}, "condensed must be true or false, not 'no'"),
    ],
)
def test_options_that_cannot_be_had(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model("condensenet50_cifar", **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("condensed", [True, False])
def test_dropout_is_inside_the_layers(condensed: bool) -> None:
    model = create_model("condensenet_light94_cifar", condensed=condensed, layers=2, dropout=0.2, drop_rate=0.3)
    rates = {path: m.p for path, m in model.named_modules() if isinstance(m, nn.Dropout)}
    layers = [path for path, rate in rates.items() if rate == 0.2]
    assert len(layers) == 6
    assert all(path.endswith("reduce.dropout") for path in layers)
    assert {path: rate for path, rate in rates.items() if rate != 0.2} == {"head.dropout": 0.3}


@pytest.mark.parametrize(
    ("name", "classes", "params", "madds", "learning"),
    [
        ("condensenet50_cifar", 100, 235_156, 27_204_256, None),
        ("condensenet182_cifar", 100, 4_323_796, 494_031_072, None),
        ("condensenet_light94_cifar", 100, 369_116, 116_604_720, None),
        ("condensenet74_c4_g4", 1000, 4_773_944, 516_640_576, 11_922_680),
        ("condensenet74_c8_g8", 1000, 2_935_416, 261_545_792, 11_103_608),
        ("condensenet86_cifar", 10, 516_202, 62_377_888, 1_451_594),
        ("condensenet182_cifar", 10, 4_209_226, 493_916_592, 13_792_906),
    ],
)
def test_sizes_with_other_classes_and_of_the_form_that_learns(
    name: str, classes: int, params: int, madds: int, learning: int | None
) -> None:
    """Counted in the authors' code."""
    side = 32 if "cifar" in name else 224
    with torch.device("meta"):
        cost = profile(create_model(name, num_classes=classes), (3, side, side))
        assert (cost.params, cost.madds) == (params, madds)
        if learning is not None:
            model = create_model(name, num_classes=classes, condensed=False)
            assert sum(p.numel() for p in model.parameters()) == learning
            assert profile(model, (3, side, side)).params == learning


@pytest.mark.parametrize("name", ["condensenet74_c4_g4", "condensenet74_c8_g8"])
def test_pytorchcv_answers_the_same_whatever_the_indices(
    name: str, realistic: Realistic, images: Callable[..., Tensor], compare: Callable[[Tensor, Tensor], float]
) -> None:
    pytest.importorskip("pytorchcv")
    theirs = create_model(f"pytorchcv:{name}")
    draw = torch.Generator().manual_seed(0)
    ours = create_model(name)
    for key, index in theirs.named_buffers():
        if key.endswith("index"):
            wide = 2064 if key.startswith("output") else len(index)  # I' is I here
            index.copy_(torch.randint(wide, index.shape, generator=draw))
    realistic(theirs, (3, 224, 224), batches=1)
    ours.double().eval()
    assert load_weights(ours, theirs.state_dict()).source == "pytorchcv"
    chosen = [m.index for m in ours.modules() if isinstance(m, SelectChannels)]
    assert len(chosen) == 37
    with torch.no_grad():
        x = images(2, (3, 224, 224), 9)
        assert compare(ours(x), theirs(x)) < 1e-9


@pytest.mark.parametrize("output_stride", [8, 16])
def test_the_form_that_learns_keeps_the_interface(output_stride: int) -> None:
    with torch.device("meta"):
        maps = create_model(
            "condensenet74_c4_g4", condensed=False, features_only=True, output_stride=output_stride, in_chans=4
        )(torch.zeros(1, 4, 96, 64, device="meta"))
    assert [m.shape[1] for m in maps] == [48, 144, 400, 1040, 2064]
    assert [96 // m.shape[2] for m in maps] == [min(r, output_stride) for r in (2, 4, 8, 16, 32)]


def test_the_form_that_learns_can_be_exported(realistic: Realistic) -> None:
    model = create_model("condensenet50_cifar", condensed=False, layers=1)
    realistic(model, (3, 32, 32))
    set_progress(model, 0.4)
    x = inputs(0, (32, 32))
    with torch.no_grad():
        program = torch.export.export(model, (x,)).module()
        torch.testing.assert_close(program(x), model(x))
