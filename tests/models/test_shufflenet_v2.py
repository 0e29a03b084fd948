"""ShuffleNetV2's options and the release's large nets, beside what fixtures and peers show."""

import json
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
from pumice.models.described import config_of, preprocess_of
from pumice.models.shufflenet_v2_large import ExLarge, Large
from pumice.models.shufflenet_v2_units import Unit
from pumice.models.weights import load_weights, match

Make = Callable[..., nn.Module]
HEAVY = sorted((Path(__file__).parents[1] / "golden" / "official" / "heavy").glob("shufflenetv2_*.json"))


# ---- the large nets


@pytest.mark.parametrize("path", HEAVY, ids=lambda path: path.stem)
def test_every_tensor_of_the_large_files_finds_its_place(path: Path) -> None:
    """Training heads and second copies of SE's layers go, the convolution behind a strided unit goes last."""
    tensors = json.loads(path.read_text(encoding="utf-8"))["tensors"]
    with torch.device("meta"):
        ours = create_model(path.stem)
        state = {key: torch.empty(shape) for key, shape, *_ in tensors}
    fitted = match(ours, state, "official")
    assert len(fitted) == len([key for key in ours.state_dict() if not key.endswith("num_batches_tracked")])
    assert len(state) > len(fitted)


@pytest.mark.slow
@pytest.mark.parametrize("path", HEAVY, ids=lambda path: path.stem)
def test_the_large_nets_answer_what_the_release_did(path: Path) -> None:
    fixture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ours = create_model(fixture["model"]).double().eval()
    assert load_weights(ours, weights(fixture["tensors"], fixture["seed"])).source == "official"
    config, preprocess = config_of(ours), preprocess_of(ours)
    assert config is not None
    large = path.stem == "shufflenetv2_large"
    assert config.bn_eps == (1e-9 if large else None)
    assert preprocess.mean == pytest.approx((0.4042, 0.4545, 0.4829) if large else (0, 0, 0), abs=1e-4)
    with torch.no_grad():
        output = ours(inputs(fixture["seed"], tuple(fixture["size"])))
    theirs = torch.tensor(fixture["outputs"], dtype=torch.float64)
    # 53 gated units in a row amplify rounding; a relative change of eps by 1e-9 moves Large by 7e-2.
    assert (sample(output) - theirs).abs().max() <= 1e-5 * (theirs[0] - theirs[1]).abs().max()


class Tape:
    """The tensors of a unit, one after another, and the layers that they make."""

    def __init__(self, unit: nn.Module) -> None:
        self.left = [v for k, v in unit.state_dict().items() if not k.endswith("num_batches_tracked")]

    def conv(self, x: Tensor, act: bool, stride: int = 1, groups: int = 1) -> Tensor:
        weight, w, b, mean, var = (self.left.pop(0) for _ in range(5))
        x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=groups)
        x = F.batch_norm(x, mean, var, w, b)
        return x.relu() if act else x

    def gate(self, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = (self.left.pop(0) for _ in range(4))
        hidden = (x.mean((2, 3)) @ w1.flatten(1).T + b1).relu()
        return x * torch.sigmoid(hidden @ w2.flatten(1).T + b2)[..., None, None]


def large_unit(x: Tensor, tape: Tape, down: bool, stride: int) -> Tensor:
    a, b = x[:, 0::2], x[:, 1::2]
    if down:
        a = tape.conv(a, False, stride)
    y = tape.conv(tape.conv(tape.conv(b, True), True, stride, 8), False)
    y = tape.gate(y)
    y = torch.cat((a, y if down else b + y), 1).relu()
    return tape.conv(y, True) if stride == 2 else y


def exlarge_unit(x: Tensor, tape: Tape, down: bool, stride: int) -> Tensor:
    a, b = (x, x) if down else (x[:, 0::2], x[:, 1::2])
    if down:
        a = tape.conv(a, True, stride)
    y = tape.conv(tape.conv(b, True), True, stride, 16)
    y = tape.conv(y, False, groups=y.shape[1])
    y = tape.gate(tape.conv(y, False))
    return torch.cat((a, y if down else (b + y).relu()), 1)


@pytest.mark.parametrize(("down", "stride"), [(True, 2), (True, 1), (False, 1)])
@pytest.mark.parametrize("kind", ["large", "exlarge"])
def test_large_units_are_the_releases(kind: str, down: bool, stride: int, realistic: Make) -> None:
    c = 32 if down else 64
    if kind == "large":
        unit = Large(64, stride, 8, down, stride == 2).build(c)
    else:
        unit = ExLarge(64, stride, 16, down).build(c)
    realistic(unit, (c, 9, 12))
    x = torch.randn(2, c, 9, 12, dtype=torch.float64)
    tape = Tape(unit)
    expected = (large_unit if kind == "large" else exlarge_unit)(x, tape, down, stride)
    assert not tape.left
    with torch.no_grad():
        torch.testing.assert_close(unit(x), expected, rtol=0, atol=1e-12)


# ---- options


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("se", ["none", "biased"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_unit_passes_a_share_by_and_works_on_the_rest(share: float, se: Any, residual: bool, realistic: Make) -> None:
    c, active = 16, int(16 * share)
    unit = Unit(c, active, 1, False, shuffle="none", kind="field", se=se, residual=residual).build(c)
    realistic(unit, (c, 8, 8))
    x = torch.randn(2, c, 8, 8, dtype=torch.float64)
    tape, b = Tape(unit), x[:, c - active :]
    y = tape.conv(b, False, groups=active)
    y = tape.conv(tape.conv(tape.conv(y, True), False, groups=active), not residual)
    if se == "biased":
        y = tape.gate(y)
    expected = (b + y).relu() if residual else y
    assert not tape.left
    with torch.no_grad():
        found = unit(x)
    assert torch.equal(found[:, : c - active], x[:, : c - active])
    torch.testing.assert_close(found[:, c - active :], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", ["official", "torchvision"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_without_shuffle_half_of_the_channels_are_never_worked_on(shuffle: bool, layout: str, realistic: Make) -> None:
    net = realistic(create_model("shufflenetv2_050", layout=layout, shuffle=shuffle, num_classes=5))
    stage = net.blocks[3:6]  # the units of stage 2 that split, 48 channels
    x = torch.randn(2, 48, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        y = stage(x)
    kept = sum(bool((y == channel).all((0, 2, 3)).any()) for channel in x.unsqueeze(2).unbind(1))
    assert kept == (6 if shuffle else 24)


def test_se_and_residual_go_together_at_every_width() -> None:
    for width in (0.1, 0.3, 0.77, 1.0, 2.6):
        with torch.device("meta"):
            net = create_model("shufflenetv2_100", width=width, se=True, residual=True, share=0.3, rf=True)
            assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
        channels = net.feature_info.channels()
        assert channels[2:4] == sorted(set(channels[2:4]))


@pytest.mark.parametrize("share", [1.0, 1.5])
@pytest.mark.parametrize("name", ["shufflenetv2_100", "shufflenetv2_d50"])
def test_an_impossible_share_is_one_sentence(name: str, share: float) -> None:
    with pytest.raises(BadInput, match=f"cannot have share {share}: part of a unit passes its branch by"):
        create_model(name, share=share)
