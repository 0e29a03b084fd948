"""What every network promises: timm's interface, checked over all of them.

Shapes and structure, on fresh networks and small inputs; tests/models compares what they compute.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import nn

from pumice.errors import BadInput
from pumice.models import catalogue
from pumice.models.build import reset_classes
from pumice.models.convnet import ConvNet, FeatureNet
from pumice.models.create import create_model
from pumice.models.described import config_of
from pumice.models.families import options_of, spec_of, variants
from pumice.models.manifest import ModelConfig
from pumice.models.rows import MaxPool, Row
from pumice.models.source import load_source
from pumice.nn.drop_path import DropPath

NAMES = list(variants())
SIZE = 64
RESIDUAL = ("mobilenetv3", "efficientnet", "micronet_m2", "micronet_m3")
BATCH = 2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def plain(name: str) -> ConvNet:
    """The net as published, shared by tests that only look at it."""
    model = create_model(name)
    assert isinstance(model, ConvNet)
    return model.eval()


def run(model: nn.Module, chans: int = 3, height: int = SIZE, width: int = SIZE) -> Any:
    with torch.no_grad():
        return model.eval()(torch.zeros(BATCH, chans, height, width))


@pytest.mark.parametrize("name", NAMES)
def test_classifier(name: str) -> None:
    model = create_model(name, num_classes=7)
    assert isinstance(model, ConvNet)
    assert (model.num_classes, config_of(model)) == (7, ModelConfig(name, 7))
    x = torch.zeros(BATCH, 3, SIZE, SIZE + 33)
    model.eval()
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    assert features.ndim == 4
    assert pooled.shape == (BATCH, model.num_features)
    assert model(x).shape == model.forward_head(features).shape == (BATCH, 7)
    assert model.get_classifier().weight.shape[:2] == (7, model.num_features)

    model.reset_classifier(3)
    assert run(model).shape == (BATCH, 3)
    assert model.get_classifier().weight.shape[0] == model.num_classes == 3
    assert config_of(model) == ModelConfig(name, 3)

    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    assert run(model).shape == (BATCH, model.num_features)
    assert not [key for key in model.state_dict() if "classifier" in key or key.startswith("head.norm")]
    none = create_model(name, num_classes=0)
    assert run(none).shape == (BATCH, model.num_features)
    assert none.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", NAMES)
def test_input_channels(name: str) -> None:
    one = create_model(name, in_chans=1)
    assert run(one, chans=1).shape == (BATCH, 1000)
    ours, usual = one.state_dict(), plain(name).state_dict()
    differs = [key for key, value in ours.items() if value.shape != usual[key].shape]
    assert len(differs) == 1, "only the first convolution changes"
    assert ours[differs[0]].shape[1] == 1


@pytest.mark.parametrize("name", NAMES)
def test_feature_maps_are_what_feature_info_says(name: str) -> None:
    whole = plain(name)
    info = whole.feature_info
    assert info.reduction() == [2, 4, 8, 16, 32][: len(info)]
    assert [set(entry) for entry in info] == [{"num_chs", "reduction", "module"}] * len(info)
    trunk = create_model(name, features_only=True)
    assert isinstance(trunk, FeatureNet)
    maps = run(trunk)
    assert trunk.feature_info == info
    assert [m.shape[1] for m in maps] == info.channels()
    for found, reduction in zip(maps, info.reduction(), strict=True):
        ideal = SIZE / reduction
        # SqueezeNet pads nothing, so its maps are a little smaller.
        assert ideal - 3 <= found.shape[2] <= ideal
        assert "squeezenet" in name or found.shape[2] == ideal
    last = whole.eval().forward_features(torch.zeros(BATCH, 3, SIZE, SIZE))
    assert maps[-1].shape == last.shape, "the finest choice ends with the trunk"
    modules = dict(whole.named_modules())
    assert all(path in modules for path in info.module_name())
    assert set(trunk.state_dict()) == {k for k in whole.state_dict() if k.startswith("blocks.")}


@pytest.mark.parametrize("name", NAMES)
def test_chosen_feature_maps(name: str) -> None:
    net = plain(name)
    info, last = net.feature_info, len(net.feature_info) - 1
    for indices, chosen in (((1, -1), [1, last]), ((0,), [0]), ((-2, 0), [0, last - 1])):
        trunk = FeatureNet(net, indices)
        assert trunk.feature_info == [info[i] for i in chosen]
        assert len(trunk.blocks) == int(info[chosen[-1]]["module"].split(".")[1]) + 1, "no row beyond the last map"
        assert [m.shape[1] for m in run(trunk)] == [info[i]["num_chs"] for i in chosen]
    for wrong in ((last + 1,), (-last - 2,), ()):
        with pytest.raises(BadInput, match="out_indices"):
            FeatureNet(net, wrong)


def test_chosen_feature_maps_by_name() -> None:
    maps = create_model("micronet_m0", features_only=True, out_indices=[1, -1])
    assert maps.feature_info == [plain("micronet_m0").feature_info[i] for i in (1, 4)]
    with pytest.raises(BadInput, match="out_indices"):
        create_model("micronet_m0", features_only=True, out_indices=[])


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", NAMES)
def test_output_stride(name: str, output_stride: int) -> None:
    whole, dense = plain(name), create_model(name, output_stride=output_stride)
    assert isinstance(dense, ConvNet)
    shapes = {key: value.shape for key, value in whole.state_dict().items()}
    assert {key: value.shape for key, value in dense.state_dict().items()} == shapes
    assert config_of(dense) == ModelConfig(name, output_stride=output_stride)
    own = whole.feature_info.reduction()[-1]
    reached = min(output_stride, own)
    assert dense.feature_info.module_name() == whole.feature_info.module_name()
    assert dense.feature_info.channels() == whole.feature_info.channels()
    assert dense.feature_info.reduction() == [min(r, output_stride) for r in whole.feature_info.reduction()]
    maps = run(FeatureNet(dense), height=SIZE, width=SIZE + 32)
    for found, reduction in zip(maps, dense.feature_info.reduction(), strict=True):
        if "squeezenet" not in name:
            assert tuple(found.shape[2:]) == (SIZE // reduction, (SIZE + 32) // reduction)
    assert maps[-1].shape[2] in range(SIZE // reached - 2, SIZE // reached + 1)
    assert dense.forward_head(maps[-1]).shape == (BATCH, 1000)


@pytest.mark.parametrize("name", NAMES)
def test_dilation_follows_tensorflow(name: str) -> None:
    """The row whose stride goes keeps the dilation before it; the rows after it take the product."""
    rows = spec_of(name, {}).rows
    dilated = spec_of(name, {}).dilated(8).rows
    reached = removed = 1
    for row, dense in zip(rows, dilated, strict=True):
        assert dense.dilation == removed
        if reached * row.stride > 8:
            assert dense.stride == 1
            removed *= row.stride
        else:
            assert dense.stride == row.stride
            reached *= row.stride
    assert removed == plain(name).feature_info.reduction()[-1] // 8
    width, found = 3, set()
    for row in dilated:
        convs = [m for m in row.build(width).modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
        found |= {(row.dilation, max(m.dilation)) for m in convs}
        width = row.width(width)
    assert {d for d, _ in found} == ({1, 2} if removed == 2 else {1, 2, 4})
    assert all(row == conv for row, conv in found), "the row's dilation is that of its convolutions"


@pytest.mark.parametrize("output_stride", [0, -8, 3, 12, 64])
def test_impossible_output_strides(output_stride: int) -> None:
    for make in (lambda: create_model("micronet_m0", output_stride=output_stride), lambda: bad(output_stride)):
        with pytest.raises(BadInput, match=f"output_stride {output_stride} cannot be had; choose 8, 16 or 32"):
            make()


def bad(output_stride: int) -> object:
    return spec_of("squeezenet1_0", {}).dilated(output_stride)


@pytest.mark.parametrize("name", NAMES)
def test_drop_rate(name: str) -> None:
    def rates(model: nn.Module) -> list[float]:
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    assert rates(create_model(name, drop_rate=0.37)) == [0.37]
    own = rates(plain(name))
    expected = {"squeezenet": 0.5, "mobilenetv3": 0.2, "efficientnet": 0.2, "shufflenetv2_200": 0.2}
    expected |= {"micronet_m0": 0.05, "micronet_m1": 0.05, "micronet_m2": 0.1, "micronet_m3": 0.1}
    assert own == [next((rate for start, rate in expected.items() if name.startswith(start)), 0.0)]


@pytest.mark.parametrize("name", NAMES)
def test_drop_path_rate(name: str) -> None:
    if not name.startswith(RESIDUAL):
        with pytest.raises(BadInput, match="no residual branches"):
            create_model(name, drop_path_rate=0.2)
        return
    rates = [m.p for m in create_model(name, drop_path_rate=0.2).modules() if isinstance(m, DropPath)]
    assert rates
    assert rates == sorted(rates)
    assert len(rates) == 1 or (rates[0], rates[-1]) == (0, pytest.approx(0.2))
    assert all(m.p == 0 for m in plain(name).modules() if isinstance(m, DropPath))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_json(name: str) -> None:
    spec = spec_of(name, {})
    for row in spec.rows:
        assert is_dataclass(row)
        assert isinstance(row, Row)
        assert type(row).__dataclass_params__.frozen  # type: ignore[attr-defined]
        values = asdict(row)
        text = json.dumps(values)
        rebuilt = json.loads(text)
        assert json.dumps(rebuilt) == text
    assert is_dataclass(spec.head)
    json.dumps(asdict(spec.head))
    assert json.loads(json.dumps(options_of(name))) == options_of(name)
    assert catalogue.entry(name).options == options_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_rows_know_their_width_and_stride(name: str) -> None:
    channels, side = 3, 64
    for row in spec_of(name, {}).rows:
        block = row.build(channels).eval()
        out = block(torch.zeros(BATCH, channels, side, side))
        channels = row.width(channels)
        assert out.shape[1] == channels
        if "squeezenet" not in name:
            assert out.shape[2] == -(-side // row.stride)
        side = out.shape[2]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_runs_and_learns(name: str) -> None:
    """Registered in order of execution (weights rely on it), and reached by the gradient."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, drop_rate=0.0).train()
    order: list[str] = []
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
            module.register_forward_hook(lambda *_, path=path: order.append(path))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    registered = [p for p, m in model.named_modules() if p in set(order)]
    assert order == registered
    assert set(order) == {k.rpartition(".")[0] for k, _ in model.named_parameters()}
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())


# ---- options and names


def test_width_gives_the_familys_own_rounding() -> None:
    small = create_model("mobilenetv3_small_100", width=0.75)
    assert [v.shape for v in small.state_dict().values()] == [
        v.shape for v in create_model("mobilenetv3_small_075").state_dict().values()
    ]
    assert config_of(small) == ModelConfig("mobilenetv3_small_100", options={"width": 0.75})
    shuffled = create_model("shufflenetv2_050", width=0.6)
    assert shuffled.feature_info.channels()[-1] == 1024
    assert all(c % 2 == 0 for c in shuffled.feature_info.channels())
    assert run(shuffled).shape == (BATCH, 1000)
    assert run(create_model("efficientnet_lite0", width=1.1, depth=1.2)).shape == (BATCH, 1000)
    reset = reset_classes(create_model("mobilenetv3_small_100", width=0.6), 5)
    assert config_of(reset) == ModelConfig("mobilenetv3_small_100", 5, options={"width": 0.6})


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("mobilenetv3")])
def test_an_option_at_its_own_value_changes_nothing(name: str) -> None:
    plain, same = create_model(name), create_model(name, **options_of(name))
    assert [v.shape for v in same.state_dict().values()] == [v.shape for v in plain.state_dict().values()]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("mobilenetv3_small_100", {"widht": 0.6}, "no option 'widht'; it takes width, depth, minimal; did you mean 'w"),
        ("squeezenet1_1", {"width": 0.6}, "no option 'width'; it takes none"),
        ("micronet_m0", {"width": 0.6}, "no option 'width'; it takes none"),
        ("mobilenetv3_small_100", {"width": 0}, "width must be a number above 0, not 0"),
        ("mobilenetv3_small_100", {"width": -1.0}, "width must be a number above 0, not -1.0"),
        ("mobilenetv3_small_100", {"width": "wide"}, "width must be a number above 0, not 'wide'"),
        ("mobilenetv3_small_100", {"width": float("inf")}, "width must be a number above 0, not inf"),
        ("mobilenetv3_small_100", {"width": float("nan")}, "width must be a number above 0, not nan"),
        ("mobilenetv3_small_100", {"minimal": "no"}, "minimal must be true or false, not 'no'"),
        ("shufflenetv2_050", {"layout": "tv"}, "layout must be 'official' or 'torchvision', not 'tv'"),
        ("squeezenet1_0", {"conv10_padding": -1}, "conv10_padding must be a whole number from 0 on, not -1"),
        ("micronet_m0", {"num_classes": -1}, "-1 classes"),
        ("micronet_m0", {"in_chans": 0}, "0 input channels"),
        ("micronet_m0", {"drop_rate": 1.5}, "drop_rate 1.5"),
        ("micronet_m2", {"drop_path_rate": 1.0}, "drop_path_rate 1.0"),
        ("micronet_m0", {"padding": "valid"}, "padding 'valid' is unknown; choose symmetric or same"),
        ("micronet_m0", {"checkpoint_path": "absent.pth"}, "no weights file absent.pth"),
    ],
)
def test_bad_arguments_are_one_sentence(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model(name, **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenetv3_smal_100", "no network is called 'mobilenetv3_smal_100'; did you mean 'mobilenetv3_small_100'?"),
        ("micronet_m4", "did you mean 'micronet_m"),
        ("MicroNet", "no network is called 'MicroNet'"),
        ("", "no network is called ''; `pumice list` names them all"),
        ("keras:net", "no network is called 'keras:net'; `pumice list` names them all"),
        ("timm:mobilenetv3_smal_100", "timm has no net 'mobilenetv3_smal_100'; did you mean 'mobilenetv3_small_100'?"),
        ("torchvision:squeezenet1_2", "torchvision has no classification net 'squeezenet1_2'; did you mean 'squeez"),
        ("pytorchcv:squeezenet_v1_2", "pytorchcv has no net 'squeezenet_v1_2'; did you mean 'squeezenet_v1_"),
    ],
)
def test_unknown_names_suggest_the_nearest(name: str, words: str) -> None:
    for library in ("timm", "torchvision", "pytorchcv"):
        if name.startswith(library):
            pytest.importorskip(library)
    for make in (create_model, load_source) if name else (create_model,):  # "" is a path: this folder
        with pytest.raises(BadInput) as raised:
            make(name)
        assert words in str(raised.value)
    if ":" not in name:
        with pytest.raises(BadInput) as raised:
            catalogue.entry(name)
        assert words in str(raised.value)


# ---- other people's networks


@pytest.mark.parametrize(
    "name", ["timm:mobilenetv3_small_050", "torchvision:squeezenet1_1", "pytorchcv:squeezenet_v1_1"]
)
def test_other_libraries_nets(name: str) -> None:
    pytest.importorskip(name.partition(":")[0])
    model = create_model(name, num_classes=6)
    assert config_of(model) == ModelConfig(name, 6)
    assert run(model, height=224, width=224).shape == (BATCH, 6)
    assert load_source(name)[1].model == ModelConfig(name)
    changed = reset_classes(create_model(name, num_classes=6), 4)
    assert config_of(changed) == ModelConfig(name, 4)
    assert changed(torch.zeros(1, 3, 224, 224)).shape == (1, 4)
    with pytest.raises(BadInput, match="keeps its own padding"):
        create_model(name, padding="same")
    if not name.startswith("timm:"):
        for arguments in ({"features_only": True}, {"output_stride": 8}, {"drop_path_rate": 0.1}):
            with pytest.raises(BadInput, match="take a timm: net"):
                create_model(name, **arguments)
    else:
        maps = run(create_model(name, features_only=True, out_indices=(1, 2), output_stride=8))
        assert [m.shape[2] for m in maps] == [SIZE // 4, SIZE // 8]
        assert run(create_model(name, in_chans=1), chans=1).shape == (BATCH, 1000)
    with pytest.raises(BadInput, match="could not be made"):
        create_model(name, nonsense=1)


def test_torchvision_nets_read_three_channels() -> None:
    pytest.importorskip("torchvision")
    with pytest.raises(BadInput, match="reads 3 channels, not 1"):
        create_model("torchvision:squeezenet1_1", in_chans=1)


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.models import external

    monkeypatch.setattr(external, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"needs timm; install it with pip install 'pumice\[train\]'"):
        create_model("timm:mobilenetv3_small_050")


def test_the_bridge_registers_what_timm_lacks_and_replaces_nothing() -> None:
    timm = pytest.importorskip("timm")
    before = {name: timm.model_entrypoint(name) for name in timm.list_models()}
    bridge = import_module("pumice.timm")

    own = {name for name, entry in before.items() if entry.__module__.startswith("timm.")}
    shared = set(NAMES) & own
    assert {"mobilenetv3_small_100", "mobilenetv3_small_050", "efficientnet_lite0"} <= shared
    assert set(bridge.REGISTERED) == set(NAMES) - shared
    assert set(timm.list_models()) == own | set(NAMES)
    assert all(timm.model_entrypoint(name) is before[name] for name in own)
    assert timm.model_entrypoint("mobilenetv3_small_050").__module__.startswith("timm.")

    model = timm.create_model("micronet_m0", num_classes=10, in_chans=1, drop_rate=0.3).eval()
    assert isinstance(model, ConvNet)
    assert config_of(model) == ModelConfig("micronet_m0", 10, 1)
    assert model.head.dropout.p == 0.3
    data = timm.data.resolve_model_data_config(model)
    assert (data["input_size"], data["mean"]) == ((1, 224, 224), (0.485, 0.456, 0.406))
    maps = timm.create_model("tv_shufflenetv2_050", features_only=True, out_indices=(1, -1))
    assert maps.feature_info.reduction() == [4, 32]
    with pytest.raises(BadInput, match="no published weights of micronet_m0"):
        timm.create_model("micronet_m0", pretrained=True)


@pytest.mark.parametrize("dilation", [1, 2])
def test_max_pool_of_a_dense_task_keeps_the_map(dilation: int) -> None:
    pool = MaxPool(3, 2, padding=1).dilated(dilation, stride=1).build(4)
    x = torch.randn(1, 4, 9, 12) - 10
    y = pool(x)
    assert y.shape == x.shape
    d = dilation
    assert float(y[0, 0, 4, 4]) == float(x[0, 0, 4 - d : 5 + d : d, 4 - d : 5 + d : d].max())
    assert float(y[0, 0, 0, 0]) == float(x[0, 0, : 1 + d : d, : 1 + d : d].max()), "no padding shows, not even zeros"


def test_a_finer_net_than_usual_runs() -> None:
    maps = create_model("squeezenet1_1", output_stride=4, features_only=True)(torch.randn(1, 3, 65, 65))
    assert [m.shape[2] for m in maps] == [32, 16, 16, 16]
