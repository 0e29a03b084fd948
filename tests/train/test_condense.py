"""A net that learns its groups: pruned as it trains, resumed bit for bit, condensed at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.files import read_json
from pumice.models.checkpoint import load_checkpoint, manifest_of, read_manifest, save_checkpoint
from pumice.models.condense import condense, learned, set_progress
from pumice.models.create import create_model
from pumice.models.manifest import ModelConfig
from pumice.tasks.classify import evaluate
from pumice.train.condense import learning_form
from pumice.train.config import TrainConfig
from pumice.train.module import Learner
from pumice.train.net import build_net  # before the fixture replaces it
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, assert_same, kill_at, tensors

NAME = "condensenet50_cifar"
OPTIONS = {"layers": 1, "growth": 4}
STEPS = 12  # two epochs of six


@pytest.fixture(autouse=True)
def real_net(monkeypatch: pytest.MonkeyPatch, tiny_net: None) -> None:
    """The nets of `create_model` again."""
    monkeypatch.setattr("pumice.train.net.build_net", build_net)


def small_config(**changes: Any) -> TrainConfig:
    return tiny_config(**{"model": NAME, "model_options": OPTIONS, "img_size": 16, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few_digits: Splits) -> Path:
    """A run that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pumice.train.net.build_net", build_net)
        out = tmp_path_factory.mktemp("whole") / "run"
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        train(small_config(group_lasso=1e-3), out, splits=few_digits)
        torch.set_num_threads(threads)
    return out


def test_a_run_leaves_both_forms(whole: Path, few_digits: Splits) -> None:
    masked, manifest = load_checkpoint(whole / "last.safetensors")
    assert manifest.model == ModelConfig(NAME, 10, options={**OPTIONS, "condensed": False})
    assert {float(layer.conv.mask.mean()) for _, layer in learned(masked)} == {0.25}
    net, made = load_checkpoint(whole / "condensed.safetensors")
    assert made == replace(manifest, model=ModelConfig(NAME, 10, options=OPTIONS))
    half = condense(masked, "half")
    assert_same(half.state_dict(), net.state_dict())

    record = read_json(whole / "metrics.json")["condensed"]
    assert record["params"] == sum(p.numel() for p in net.parameters())
    assert record["val"] == evaluate(net, made.preprocess, few_digits.val).to_json()
    profile = read_json(whole / "profile.json")
    assert profile["params"] == record["params"] < read_json(whole / "metrics.json")["params"]
    assert profile["madds"] == read_json(whole / "metrics.json")["madds"]
    result = resume(whole)
    assert result.sentence.endswith(f"; condensed.safetensors: top-1 {record['val']['top1']:.1%}")


def test_prunings_come_when_they_are_due(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C = 4: at a sixth, a third and a half of the steps."""
    density: list[float] = []
    untouched = Learner.training_step

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        density.append(float(next(iter(learned(self.net)))[1].conv.mask.mean()))
        return untouched(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", training_step)
    train(small_config(ema_decay=None, model_options={**OPTIONS, "classifier": "full"}), out, splits=few_digits)
    assert density == [1.0] * 2 + [0.75] * 2 + [0.5] * 2 + [0.25] * 6
    masked, _ = load_checkpoint(out / "last.safetensors")
    net, manifest = load_checkpoint(out / "condensed.safetensors")
    assert manifest.model.options == {**OPTIONS, "classifier": "full"}
    x = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(net(x), masked(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("step", "save_every_s"), [(s, 0.0) for s in (1, 2, 3, 5, 7, 9)] + [(6, 1e9)])
def test_a_killed_run_ends_with_the_same_weights_and_masks(
    step: int, save_every_s: float, whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prunings are due before steps 2, 4 and 6: one before, just at, and one after them."""
    config = small_config(group_lasso=1e-3, save_every_s=save_every_s)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(config, out, splits=few_digits)
    masks = {k: v for k, v in read_state(out / "resume.pt")["net"].items() if k.endswith("mask")}
    assert masks
    resume(out, splits=few_digits)
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors", "condensed.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_group_lasso_joins_the_loss(few_digits: Splits, tmp_path: Path) -> None:
    """Before the first pruning the net is the same with it and without; the losses differ by the term."""
    losses = []
    for lasso in (0.0, 0.01):
        out = tmp_path / str(lasso)
        train(small_config(epochs=1, batch_size=200, group_lasso=lasso), out, splits=few_digits)
        losses.append(read_state(out / "resume.pt")["history"][0]["train_loss"])
    with torch.no_grad():
        fresh = build_net(learning_form(small_config()), few_digits.classes)
        term = 0.0
        for _, layer in learned(fresh):
            weight = layer.conv.weight[:, :, 0, 0]
            term += sum(float(weight[g::4].norm(dim=0).clamp(min=1e-3).sum()) for g in range(4))
    assert losses[1] - losses[0] == pytest.approx(0.01 * term, rel=1e-3)


def test_a_run_that_ends_too_early_says_so(few_digits: Splits, out: Path) -> None:
    """One step is at progress 0."""
    result = train(small_config(epochs=1, batch_size=200), out, splits=few_digits)
    assert not (out / "condensed.safetensors").exists()
    assert result.sentence.endswith("; no condensed form, for training ended before the last pruning")


def test_settings_of_another_net_are_refused(few_digits: Splits, out: Path) -> None:
    with pytest.raises(BadInput, match="group_lasso is for nets that learn their groups"):
        train(small_config(model_options={**OPTIONS, "condensed": True}, group_lasso=1e-5), out, splits=few_digits)
    assert not out.exists()
    with pytest.raises(BadInput, match="group_lasso=-1"):
        small_config(group_lasso=-1.0)
    with pytest.raises(BadInput, match="condense_epochs is for nets that learn their groups"):
        train(small_config(model_options={**OPTIONS, "condensed": True}, condense_epochs=1.0), out, splits=few_digits)
    assert not out.exists()
    for epochs in (0.0, 2.0):
        with pytest.raises(BadInput, match=r"condense_epochs=.* above 0 and below the 2 epochs of the run"):
            small_config(condense_epochs=epochs)


def test_the_form_that_learns_is_trained_unless_something_chooses(tmp_path: Path) -> None:
    def options(**changes: Any) -> dict[str, Any]:
        return learning_form(TrainConfig(model=NAME, **changes)).model_options

    assert options() == {"condensed": False}
    assert options(model_options={"layers": 2}) == {"layers": 2, "condensed": False}
    assert options(model_options={"condensed": True}) == {"condensed": True}
    assert options(pretrained=True) == {}
    assert learning_form(TrainConfig(model="squeezenet1_1")).model_options == {}
    assert learning_form(TrainConfig(model="timm:squeezenet1_1")).model_options == {}

    masked = create_model(NAME, condensed=False)
    set_progress(masked, 1.0)
    for file, net in (("masked", masked), ("condensed", condense(masked, "half"))):
        save_checkpoint(tmp_path / f"{file}.safetensors", net, manifest_of(net))
    assert options(weights=str(tmp_path / "masked.safetensors")) == {"condensed": False}
    assert options(weights=str(tmp_path / "condensed.safetensors")) == {}
    for file in ("masked", "condensed"):
        config = learning_form(TrainConfig(model=NAME, weights=str(tmp_path / f"{file}.safetensors"), img_size=32))
        started = build_net(config, ("a", "b"))
        own = load_checkpoint(tmp_path / f"{file}.safetensors")[0].state_dict()
        same = {key for key, value in started.state_dict().items() if value.shape == own[key].shape}
        assert {k for k in own if k not in same} == {"head.classifier.weight", "head.classifier.bias"}
        assert all(torch.equal(started.state_dict()[key], own[key]) for key in same)


@pytest.mark.slow
def test_digits_are_learnt_by_both_forms(digits: Splits, out: Path) -> None:
    config = small_config(epochs=6, mixup=0.0, lr=0.005, batch_size=64, ema_decay=0.99, model_options={"layers": 2})
    result = train(config, out, splits=digits)
    assert result.scores is not None
    assert result.scores.top1 > 0.93
    assert read_json(out / "metrics.json")["condensed"]["val"]["top1"] > 0.9
    manifest = read_manifest(out / "condensed.safetensors")
    assert manifest is not None
    assert manifest.classes == digits.classes
