"""A loss that is infinite or no number names what made it: weights, images, a layer, or the loss alone."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.data.images import Splits
from pumice.data.pipeline import TrainImages
from pumice.errors import BadInput, CheckFailed
from pumice.train import objective
from pumice.train.culprit import bad_layer, few
from pumice.train.module import Learner
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import Tiny, tiny_config
from tests.train.test_run import Killed, kill_at


def failure(splits: Splits, out: Path, **changes: Any) -> str:
    with pytest.raises(CheckFailed) as caught:
        train(tiny_config(**changes), out, splits=splits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def build(monkeypatch: pytest.MonkeyPatch, net: nn.Module) -> None:
    monkeypatch.setattr("pumice.train.net.build_net", lambda config, classes: net)


def before_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> list[list[str]]:
    """Do something before this step, counted from 0; the files of every batch, in order."""
    untouched, seen = Learner.training_step, list[list[str]]()

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if self.steps_done == step:
            act(self.net)
        epoch, first = self.stream.position
        seen.append(self.stream.names(epoch, first + batch_idx))
        return untouched(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", training_step)
    return seen


class Sick(nn.Module):
    """ReLU, until it is sick; then its first output is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.sick = False

    def forward(self, x: Tensor) -> Tensor:
        y = x.relu()
        return torch.cat([y[:1] * float("nan"), y[1:]]) if self.sick else y


def fall_sick(net: Tiny) -> None:
    net.trunk[1][2].sick = True  # type: ignore[union-attr, index]


def test_a_sick_layer_is_named_with_its_step_and_files(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Tiny()
    net.trunk[1][2] = Sick()  # type: ignore[operator, index]
    build(monkeypatch, net)
    seen = before_step(monkeypatch, 8, fall_sick)
    said = failure(few_digits, out, save_every_s=0.0)
    files = f"the batch of 32 images {', '.join(seen[8][:3])} and 29 more"
    assert said.startswith(
        f"the loss at step 9 is nan: the output of layer trunk.1.2 (Sick) is the first that is infinite or no number, "
        f"with {files}; "
    )
    assert said.endswith("train anew with a lower learning rate, `--set optim.lr=0.003`")
    assert read_state(out / "resume.pt")["step"] == 8
    assert all(bool(p.isfinite().all()) for p in net.parameters())  # found before it could reach them
    assert not (out / "metrics.json").exists()
    net.trunk[1][2].sick = False  # type: ignore[union-attr, index]
    monkeypatch.undo()
    build(monkeypatch, net)
    assert resume(out, splits=few_digits).epochs == 2


def test_a_learning_rate_that_explodes(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = before_step(monkeypatch, -1, None)
    said = failure(few_digits, out, lr=1e30, optimizer="sgd", warmup_epochs=0.0)
    step = len(seen)
    assert step <= 3
    assert said.startswith(f"the loss at step {step} is nan: ")
    layer = r"the output of layer trunk\.\d\.\d \((Conv2d|BatchNorm2d)\)"
    assert re.search(rf"{layer}|step {step - 1} made the weights trunk\.0\.0\.weight", said), said
    assert "`--set optim.lr=3e+29`" in said


@pytest.mark.parametrize("save_every_s", [1e9, 0.0], ids=["by the next loss", "by the next save"])
def test_weights_are_named_and_not_saved(
    save_every_s: float, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is finite, a gradient is not."""
    net = Tiny()
    build(monkeypatch, net)
    seen = before_step(
        monkeypatch, 7, lambda net: net.classifier.bias.register_hook(lambda gradient: gradient * float("nan"))
    )
    said = failure(few_digits, out, save_every_s=save_every_s, optimizer="sgd")
    files = f"the batch of 32 images {few(seen[7])}"
    found = "the loss at step 9 is nan: " if save_every_s else ""
    assert said.startswith(f"{found}step 8 made the weights classifier.bias infinite or no number, with {files}; ")
    assert read_state(out / "resume.pt")["step"] == (6 if save_every_s else 7)
    for value in read_state(out / "resume.pt")["net"].values():
        assert bool(value.isfinite().all())


def test_weights_lost_in_the_last_step_of_an_epoch_are_not_judged(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Tiny()
    build(monkeypatch, net)
    before_step(monkeypatch, 5, lambda net: net.classifier.bias.register_hook(lambda gradient: gradient * float("nan")))
    assert failure(few_digits, out, optimizer="sgd").startswith("step 6 made the weights classifier.bias")
    assert not (out / "last.safetensors").exists()
    assert not (out / "resume.pt").exists()


def test_an_image_is_named(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untouched, bad = TrainImages.__getitem__, few_digits.train.names[123]

    def getitem(self: TrainImages, key: tuple[int, int]) -> tuple[Tensor, int]:
        image, label = untouched(self, key)
        return (image / 0.0 if self.images.names[key[1]] == bad else image), label

    monkeypatch.setattr(TrainImages, "__getitem__", getitem)
    seen = before_step(monkeypatch, -1, None)
    said = failure(few_digits, out)
    step = len(seen)
    assert bad in seen[-1]
    assert said.startswith(f"the loss at step {step} is nan: {bad} is infinite or no number as the network sees them; ")
    assert "mean and std" in said
    assert "learning rate" not in said


def test_a_loss_of_finite_outputs(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "loss_of", lambda logits, *more: logits.sum() * float("inf"))
    said = failure(few_digits, out)
    assert ": the output of every layer is finite and the loss of them is not, with the batch of 32 images " in said


def test_the_files_of_a_batch_are_those_that_it_has(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their labels, in both epochs and from the middle of one on."""
    label_of = dict(zip(few_digits.train.names, few_digits.train.labels, strict=True))
    untouched, steps = Learner.training_step, []

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        loss = untouched(self, batch, batch_idx)
        assert [label_of[name] for name in self.stream.names(*self.place)] == batch[1].tolist()
        steps.append(self.place)
        return loss

    monkeypatch.setattr(Learner, "training_step", training_step)
    with monkeypatch.context() as patch:
        kill_at(patch, 8)
        with pytest.raises(Killed):
            train(tiny_config(save_every_s=0.0), out, splits=few_digits)
    resume(out, splits=few_digits)
    assert steps == [(epoch, number) for epoch in (0, 1) for number in range(6)]


def test_the_innermost_layer_is_named() -> None:
    class Root(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

    class Log(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
            return {"maps": [self.inner(x), (self.inner(x) - 1).log()]}

    root = Root(nn.Sequential(nn.Identity(), nn.Sequential(Log())))
    assert bad_layer(root, lambda: root.net(torch.zeros(2))) == "1.0 (Log)"
    assert bad_layer(root, lambda: root.net(torch.ones(2) * 2)) is None
    assert bad_layer(Root(Log()), lambda: None) is None
    alone = Root(Log())
    assert bad_layer(alone, lambda: alone.net(torch.zeros(2))) == "the network (Log)"
    assert not any(m._forward_hooks for m in root.modules())


def test_an_image_that_vanishes_does_not_take_the_run_with_it(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(net: nn.Module) -> None:
        raise BadInput("photos/a.png cannot be read: there is no such file")

    with monkeypatch.context() as patch:
        before_step(patch, 8, vanish)
        with pytest.raises(BadInput, match="no such file"):
            train(tiny_config(), out, splits=few_digits)
    assert (out / "config.json").is_file()
    assert resume(out, splits=few_digits).epochs == 2
