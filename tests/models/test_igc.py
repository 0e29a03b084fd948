"""IGC: groups and widths, MXNet's files, options; test_official has the released graphs' own answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from official import inputs, weights
from torch import nn

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.models.families import variant
from pumice.models.igc import VARIANTS, even
from pumice.models.weights import load_weights
from pumice.nn.interleaved import InterleavedGroupConv

OFFICIAL = Path(__file__).parents[1] / "golden" / "official"


def on_meta(name: str, **options: Any) -> Any:
    with torch.device("meta"):
        return create_model(name, **options).eval()


def groups(name: str) -> list[tuple[int, int, int]]:
    """Width, primary and secondary groups of every interleaved convolution."""
    layers = [m for m in on_meta(name).modules() if isinstance(m, InterleavedGroupConv)]
    return [(m.secondary.out_channels, m.primary.groups, m.secondary.groups) for m in layers]


def test_groups_of_the_imagenet_nets() -> None:
    """The table of the released symbol files: L stays and M doubles, or the other way round."""
    assert groups("igcv1_resnet18_l4m32")[::4] == [(128, 4, 32), (256, 4, 64), (512, 4, 128), (1024, 4, 256)]
    assert groups("igcv1_resnet18_l16m16")[::4] == [(256, 16, 16), (512, 16, 32), (1024, 16, 64), (2048, 16, 128)]
    assert groups("igcv1_resnet18_l100m2")[::4] == [(200, 100, 2), (400, 200, 2), (800, 400, 2), (1600, 800, 2)]


def test_the_builders_quirk() -> None:
    """Where a residual CIFAR net widens, the first unit has the secondary groups of its input."""
    found = groups("igcv1_resnet38_l24m2_cifar")
    assert [g for i, g in enumerate(found) if g != found[i - 1]] == [
        *((48, 24, 2), (96, 24, 2), (96, 24, 4)),
        *((192, 24, 4), (192, 24, 8)),
    ]
    plain = groups("igcv1_plain20_l24m2_cifar")
    assert sorted(set(plain)) == [(48, 24, 2), (96, 24, 4), (192, 24, 8)]


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 38])
def test_blocks_of_a_residual_net_are_dealt_as_the_builder_deals_them(depth: int) -> None:
    left, dealt = depth - 2, []
    for stages in (3, 2, 1):  # its own loop: an equal share of what is left, rounded down
        dealt.append(left // (2 * stages))
        left -= 2 * dealt[-1]
    rows = variant("igcv1_resnet38_l24m2_cifar").net(depth=depth).rows[1:]  # type: ignore[union-attr]
    widths = [row.out_channels for row in rows]
    assert [widths.count(w) for w in (48, 96, 192)] == dealt


@pytest.mark.parametrize("name", [n for n in VARIANTS if n.endswith("_cifar")])
def test_cifar_nets_run_at_other_sizes(name: str) -> None:
    model = on_meta(name)
    assert preprocess_of(model).size == (32, 32)
    for size in ((32, 32), (33, 47), (224, 96)):
        assert model(torch.zeros(2, 3, *size, device="meta")).shape == (2, 10)
    assert model.feature_info.reduction() == [1, 2, 4]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("igcv1_plain38_l24m2_cifar", {"depth": 21}, "plain net of depth 21 cannot be had; choose 3 n + 2, from 5 on"),
        ("igcv1_plain38_l24m2_cifar", {"depth": 2}, "plain net of depth 2 cannot be had"),
        ("igcv1_resnet38_l24m2_cifar", {"depth": 19}, "depth 19 cannot be had; choose an even number from 8 on"),
        ("igcv1_resnet38_l24m2_cifar", {"depth": 6}, "depth 6 cannot be had"),
        ("igcv1_resnet38_l24m2_cifar", {"primary": 0}, "primary 0 and secondary 2 make no partitions"),
        ("igcv1_resnet18_l100m2", {"secondary": 3}, "primary must be 1 or more and secondary even, 2 or more"),
        ("igcv2_small_ours", {"factors": 1}, "factors 1 cannot be had; choose 2 or more"),
        ("igcv3_100", {"layout": "wide"}, "layout must be 'deeper' or 'wider', not 'wide'"),
    ],
)
def test_impossible_options_are_one_sentence(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        create_model(name, **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


# ---- IGCV2 and IGCV3


def test_our_igcv2_net_is_labelled_and_counted() -> None:
    """Nobody published it, so its counts are stated here: groups of 4 to 32 instead of whole 1 x 1 convolutions."""
    ours = variant("igcv2_small_ours")
    assert (ours.status, ours.published) == ("reconstruction", None)
    assert ours.note.startswith("a net of ours")
    found = profile(on_meta("igcv2_small_ours"), (3, 224, 224))
    assert (found.params, found.madds) == (632_296, 37_303_552)
    dense = profile(on_meta("igcv2_small_ours", factors=2), (3, 224, 224))
    assert dense.madds > 3 * found.madds, "two factors are MobileNetV1's own depthwise and 1 x 1 convolution"
    finer = profile(on_meta("igcv2_small_ours", factors=4), (3, 224, 224))
    assert finer.madds < found.madds


@pytest.mark.parametrize("width", [0.1, 0.33, 0.75, 1.0])
def test_igcv2_takes_any_width(width: float) -> None:
    model = on_meta("igcv2_small_ours", width=width)
    assert model(torch.zeros(1, 3, 64, 64, device="meta")).shape == (1, 1000)


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (0.25, [8, 4, 6, 8, 16, 24, 40, 80, 1280]),  # pytorchcv's: int(width * c), made even
        (0.7, [22, 12, 18, 22, 46, 68, 112, 224, 1280]),
        (1.4, [46, 22, 34, 46, 90, 134, 224, 448, 1792]),
        (0.01, [2, 2, 2, 2, 2, 2, 2, 4, 1280]),
    ],
)
def test_widths_of_igcv3_are_even(width: float, channels: list[int]) -> None:
    rows = variant("igcv3_100").net(width=width).rows  # type: ignore[union-attr]
    found = [row.out_channels for row in rows]
    assert [c for i, c in enumerate(found) if i == 0 or not getattr(rows[i], "repeat", False)] == channels


def test_even() -> None:
    assert [even(v) for v in (0.1, 2, 2.4, 2.6, 4.49, 33.6, 44.8)] == [2, 2, 2, 4, 4, 34, 46]


def test_igcv3_permutes_once_and_activates_twice_a_block() -> None:
    """The released symbol file: 32 swaps, 34 clips (32 depthwise, stem, last convolution), 25 sums."""
    model = on_meta("igcv3_100")
    kinds = [type(m).__name__ for m in model.modules()]
    assert (kinds.count("ChannelShuffle"), kinds.count("ReLU6"), kinds.count("DropPath")) == (32, 34, 25)


# ---- MXNet's files


@pytest.mark.parametrize("name", ["igcv1_resnet20_l24m2_cifar", "igcv1_plain20_l24m2_cifar", "igcv3_100"])
def test_parameter_files_have_no_order(name: str) -> None:
    """As MXNet writes them, "arg:" and "aux:" before the names; by name or in order, the same net."""
    fixture = json.loads((OFFICIAL / f"{name}.json").read_text(encoding="utf-8"))
    state = weights(fixture["tensors"], fixture["seed"])
    written = {("aux:" if "moving_" in key else "arg:") + key: value for key, value in sorted(state.items())}
    x, outputs = inputs(0, (32, 32)), []
    for source in (state, written):
        model = create_model(fixture["model"], **fixture["options"]).double().eval()
        assert load_weights(model, source).source == "official"
        with torch.no_grad():
            outputs.append(model(x))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=0)


def test_builders_and_symbol_files_name_the_same_layers() -> None:
    fixture = json.loads((OFFICIAL / "igcv1_resnet18_l100m2.json").read_text(encoding="utf-8"))
    state = weights(fixture["tensors"], fixture["seed"])
    renamed = {re.sub(r"_conv(\d)_(?=conv|bn)", r"_igc\1_", k): v for k, v in state.items()}
    assert sum("igc" in key for key in renamed) == 6 * 16
    model = create_model("igcv1_resnet18_l100m2")
    load_weights(model, state)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    load_weights(model, dict(sorted(renamed.items())))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "eps", "mean", "std"),
    [
        ("igcv1_resnet18_l100m2", 2e-5, 123.370, 68.998),
        ("igcv1_resnet20_l24m2_cifar", 2e-5, 125.307, 62.993),
        ("igcv3_100", None, 123.68, 1.0),
    ],
)
def test_settings_belong_to_each_release(name: str, eps: float | None, mean: float, std: float) -> None:
    fixture = json.loads((OFFICIAL / f"{name}.json").read_text(encoding="utf-8"))
    model = create_model(fixture["model"], **fixture["options"])
    load_weights(model, weights(fixture["tensors"], fixture["seed"]), "official")
    config, preprocess = config_of(model), preprocess_of(model)
    assert config is not None
    assert config.bn_eps == eps
    assert (preprocess.mean[0] * 255, preprocess.std[0] * 255) == pytest.approx((mean, std))
    assert preprocess.size == variant(fixture["model"]).image
