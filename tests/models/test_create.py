"""Names, options and bad arguments of `create_model`; other libraries' networks; the bridge to timm."""

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import nn

from pumice.errors import BadInput
from pumice.models import catalogue
from pumice.models.build import reset_classes
from pumice.models.create import create_model
from pumice.models.described import config_of
from pumice.models.families import options_of, variants
from pumice.models.manifest import ModelConfig
from pumice.models.net import Net
from pumice.models.rows import MaxPool
from pumice.models.source import load_source

NAMES = list(variants())
SIZE = 64
BATCH = 2


def run(model: nn.Module, chans: int = 3, height: int = SIZE, width: int = SIZE) -> Any:
    with torch.no_grad():
        return model.eval()(torch.zeros(BATCH, chans, height, width))


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
        (
            "mobilenetv3_small_100",
            {"widht": 0.6},
            "no option 'widht'; it takes width, depth, minimal, act",
        ),
        ("squeezenet1_1", {"width": 0.6}, "no option 'width'; it takes bypass"),
        ("micronet_m0", {"widths": 0.6}, "no option 'widths'; it takes table, width, activation"),
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
    assert isinstance(model, Net)
    assert config_of(model) == ModelConfig("micronet_m0", 10, 1)
    assert model.head.dropout.p == 0.3
    data = timm.data.resolve_model_data_config(model)
    assert (data["input_size"], data["mean"]) == ((1, 224, 224), (0.485, 0.456, 0.406))
    # What timm's own train, validate and benchmark scripts do with a model.
    import_module("timm.optim").create_optimizer_v2(model, opt="sgd", lr=0.1, weight_decay=1e-4)
    assert timm.data.create_transform(**data, is_training=True) is not None
    assert import_module("timm.utils").ModelEmaV2(model).module(torch.zeros(2, 1, 64, 64)).shape == (2, 10)
    assert model.default_cfg["num_classes"] == 10
    assert timm.create_model("condensenet50_cifar").default_cfg["input_size"] == (3, 32, 32)
    assert timm.create_model("espnet_c_p2_q3").default_cfg["num_classes"] == 20
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
