# ruff: noqa: F401, F811
"""Quantisation-aware tuning: what it wins back, that a seed decides it, the file, when it is tried, what is refused."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.data.images import Splits
from pumice.data.open import open_data
from pumice.deploy.carried import read_quantised
from pumice.deploy.network import folded
from pumice.deploy.schemes.quantise import quantise
from pumice.deploy.schemes.rounding import rounding
from pumice.deploy.session import open_session
from pumice.deploy.verify import verify
from pumice.errors import BadInput
from pumice.loop.quantising import qat, tries
from pumice.loop.quantising.quantize import quantize
from tests.deploy.schemes.conftest import SIZE, Learnt, learnt
from tests.loop.test_quantising import OPENVINO, ORT, World, world


@pytest.fixture(scope="module")
def splits() -> Splits:
    return open_data("digits")


@pytest.fixture(scope="module")
def damaged(learnt: Learnt) -> nn.Module:
    """The same function, in which two channels are far larger than those that they share a scale with."""
    net = copy.deepcopy(learnt.net)
    with torch.no_grad():
        net[1].weight[:2] *= 256
        net[1].bias[:2] *= 256
        net[3].weight[:, :2] /= 256
    x = torch.from_numpy(learnt.images)
    with torch.no_grad():
        assert torch.allclose(net(x), learnt.net(x), rtol=1e-4, atol=1e-4)
    return net


@pytest.fixture(scope="module")
def tuned(damaged: nn.Module, learnt: Learnt, splits: Splits) -> nn.Module:
    before = copy.deepcopy(damaged.state_dict())
    net = qat.tuned(damaged, learnt.manifest, splits, epochs=5)
    assert all(torch.equal(value, before[name]) for name, value in damaged.state_dict().items())
    return net


def log_softmax(y: NDArray[np.float32]) -> NDArray[np.float64]:
    return torch.from_numpy(y).double().log_softmax(1).numpy()


def divergence(want: NDArray[np.float32], got: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of Kullback and Leibler, of each image's answer from the float network's."""
    p, q = log_softmax(want), log_softmax(got)
    return (np.exp(p) * (p - q)).sum(1)


def cross_entropy(labels: NDArray[np.int64], got: NDArray[np.float32]) -> NDArray[np.float64]:
    return -log_softmax(got)[np.arange(len(labels)), labels]


def test_it_wins_back_what_rounding_loses(
    damaged: nn.Module,
    tuned: nn.Module,
    learnt: Learnt,
    tmp_path: Path,
) -> None:
    got: dict[str, NDArray[np.float32]] = {}
    for name, weights in (("plain", None), ("tuned", tuned)):
        how: dict[str, Any] = {"scheme": "onnxruntime-int8", "manifest": learnt.manifest, "tuned": weights}
        with open_session(quantise(damaged, tmp_path / f"{name}.onnx", learnt.calibration, **how)) as session:
            got[name] = session.run(learnt.images)
    want = learnt.outputs()
    agreement = {name: float(np.mean(y.argmax(1) == want.argmax(1))) for name, y in got.items()}
    assert agreement["plain"] < 0.8, "rounding costs nothing here, so nothing can be won"
    assert agreement["tuned"] > agreement["plain"]
    # On images that neither saw, pair by pair: both losses fall by more than 3 standard errors (10 and
    # more were found, with two seeds).
    for loss in (lambda y: divergence(want, y), lambda y: cross_entropy(learnt.labels, y)):
        won = loss(got["plain"]) - loss(got["tuned"])
        assert won.mean() > 3 * won.std() / np.sqrt(len(won))


def test_the_file_is_the_networks_and_says_how_it_was_made(learnt: Learnt, splits: Splits, tmp_path: Path) -> None:
    weights = qat.tuned(learnt.net, learnt.manifest, splits, epochs=1)
    how: dict[str, Any] = {"scheme": "openvino-int8", "manifest": learnt.manifest}
    plain = quantise(learnt.net, tmp_path / "plain", learnt.calibration, **how)
    made = quantise(learnt.net, tmp_path / "tuned", learnt.calibration, **how, tuned=weights)
    for file, said in ((plain, False), (made, True)):
        record = read_quantised(file)
        assert record is not None
        assert record["tuned"] is said
    assert (tmp_path / "plain" / "model.bin").read_bytes() != (tmp_path / "tuned" / "model.bin").read_bytes()
    checked = verify(made, learnt.net, data="digits", images=200, manifest=learnt.manifest)
    assert checked.ok, checked.checks


def test_a_seed_decides_the_weights(damaged: nn.Module, learnt: Learnt, splits: Splits) -> None:
    few = replace(splits, train=splits.train.subset(range(130)), val=splits.val.subset(range(10)))
    one, again, other = (qat.tuned(damaged, learnt.manifest, few, epochs=1, seed=s).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())
    start = folded(damaged, SIZE).state_dict()
    assert [n for n in start if torch.equal(start[n], one[n])] == [], "everything learns"


def test_norms_that_cannot_be_folded_keep_their_statistics(learnt: Learnt, splits: Splits) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), *copy.deepcopy(learnt.net)).eval()
    few = replace(splits, train=splits.train.subset(range(64)), val=splits.val.subset(range(10)))
    got = qat.tuned(net, learnt.manifest, few, epochs=1)
    assert torch.equal(got[0].running_mean, net[0].running_mean)
    assert torch.equal(got[0].running_var, net[0].running_var)
    assert not torch.equal(got[0].weight, net[0].weight)


def test_auto_tunes_only_where_everything_faster_loses(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []
    net = nn.Identity()
    monkeypatch.setattr(tries, "tuned", lambda *args, **how: asked.append(how) or net)
    monkeypatch.setattr(world.source, "splits", None, raising=False)
    monkeypatch.setattr(tries.Tries, "sensitive", ())
    lost = {f"{name}, {how}": 90 for name in ("openvino-int8", "onnxruntime-int8") for how in ("plain", "equalised")}
    lost |= {f"{name}, full range of weights": 90 for name in ("openvino-int8", "onnxruntime-int8")}
    world.wrong = {**lost, "onnxruntime-int8, plain": 0}
    assert world.choose(OPENVINO, ORT, qat=True).label == "onnxruntime-int8, plain"
    assert asked == [], "one of them was good enough"
    world.tries.tried.clear()
    world.wrong = lost | {"openvino-int8, tuned": 60}
    assert world.choose(OPENVINO, ORT, qat=True).label == "onnxruntime-int8, tuned"
    assert world.story[-2:] == [("openvino-int8, tuned", "worse"), ("onnxruntime-int8, tuned", "chosen")]
    assert [one.get("tuned") for one in world.made[-2:]] == [net, net]
    assert asked == [{"epochs": qat.EPOCHS, "seed": 0}], "tuned once for all"
    world.tries.tried.clear()
    world.ms = {f"{name}, tuned": 9.0 for name in ("openvino-int8", "onnxruntime-int8")}
    world.wrong = lost
    assert world.choose(OPENVINO, ORT, qat=True) is None, "it has to be faster as well"
    assert world.choose(OPENVINO, qat=False) is None
    assert len(asked) == 1


def test_auto_goes_on_where_tuning_cannot_be(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*args: Any, **how: Any) -> nn.Module:
        raise BadInput("no images to tune with")

    monkeypatch.setattr(tries, "tuned", refused)
    monkeypatch.setattr(world.source, "splits", None, raising=False)
    world.even = False
    world.wrong = dict.fromkeys(("openvino-int8, plain", "openvino-int8, full range of weights"), 90)
    monkeypatch.setattr(tries.Tries, "sensitive", ())
    assert world.choose(OPENVINO, qat=True) is None
    last = world.tries.tried[-1]
    assert (last.label, last.status, last.reason) == ("openvino-int8, tuned", "failed", "no images to tune with")
    assert last.to_json()["tuned"]


def test_refusals(
    learnt: Learnt,
    splits: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = replace(splits, train=splits.train.subset([]))
    with pytest.raises(BadInput, match="digits has no images to tune with"):
        qat.tuned(learnt.net, learnt.manifest, empty)
    with pytest.raises(BadInput, match="0 epochs changes nothing"):
        quantize(learnt.net, "digits", tmp_path / "q", manifest=learnt.manifest, qat=True, epochs=0)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(BadInput, match=r"m\.onnx is a model file, and tuning starts from weights; give the run folder"):
        quantize(tmp_path / "m.onnx", "digits", tmp_path / "q", qat=True)
    find: Callable[[str], Any] = lambda name: None  # noqa: E731
    monkeypatch.setattr(qat, "find_spec", find)
    with pytest.raises(BadInput, match=r"tuning needs the train extra; run `pip install 'pumice\[train\]'`"):
        qat.tuned(learnt.net, learnt.manifest, splits)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_rounded_layers_are_of_the_folded_network(learnt: Learnt) -> None:
    assert not any(isinstance(m, nn.BatchNorm2d) for m in rounding(folded(learnt.net, SIZE)).modules())
