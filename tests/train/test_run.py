"""Runs and their folders: learning, stopping at any step, going on bit for bit."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pumice.data.images import Splits
from pumice.errors import BadInput, CheckFailed
from pumice.models.checkpoint import read_manifest
from pumice.tasks.classify import evaluate
from pumice.train.module import Learner
from pumice.train.records import CLOCK
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import Tiny, tiny_config


class Killed(BaseException):
    """What a power cut would be."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process die in the middle of this step, counted from 0."""
    untouched = Learner.training_step

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if self.steps_done == step:
            raise Killed
        return untouched(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", training_step)


def tensors(value: Any, path: str = "") -> dict[str, Tensor]:
    """Every tensor in a nested record by its path."""
    if isinstance(value, Tensor):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {k: v for key, item in items for k, v in tensors(item, f"{path}/{key}").items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few_digits: Splits) -> Path:
    """A run that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pumice.train.net.build_net", lambda config, classes: seeded_tiny(config.seed))
        out = tmp_path_factory.mktemp("whole") / "run"
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        train(tiny_config(), out, splits=few_digits)
        torch.set_num_threads(threads)
    return out


def seeded_tiny(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return Tiny()


def test_it_learns_and_leaves_what_it_says(digits: Splits, out: Path) -> None:
    result = train(tiny_config(epochs=5, mixup=0.0, ema_decay=0.98), out, splits=digits)
    assert result.scores is not None
    assert result.scores.top1 > 0.9
    assert not result.interrupted
    assert result.epochs == 5
    names = {path.name for path in out.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "metrics.csv",
        "metrics.json",
        "last.safetensors",
        "best.safetensors",
        "resume.pt",
        "tensorboard",
        "data.json",
        "profile.json",
        "predictions.csv",
        "predictions.json",
    }
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    scores = ("lr", "train_loss", "val_loss", "val_top1", "val_top5", "val_balanced")
    assert list(rows[0]) == ["epoch", "step", *scores, *CLOCK]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    best = max(rows, key=lambda row: (float(row["val_top1"]), -float(row["val_loss"])))
    assert result.best_epoch == int(best["epoch"])
    assert result.scores.top1 == float(best["val_top1"])

    manifest = read_manifest(out / "best.safetensors")
    assert manifest is not None
    assert manifest.classes == digits.classes
    net = Tiny()
    net.load_state_dict(load_file(out / "best.safetensors"))
    again = evaluate(net, manifest.preprocess, digits.val)
    assert again.top1 == result.scores.top1  # the file is what was judged, fed as it says
    assert again.loss == pytest.approx(result.scores.loss, rel=1e-5)
    assert list((out / "tensorboard").glob("events*"))


@pytest.mark.parametrize(
    ("step", "save_every_s"),
    [(0, 1e9), (4, 1e9), (1, 0.0), (5, 0.0), (6, 1e9), (9, 0.0), (11, 0.0)],
    ids=["before anything", "no save yet", "step 2", "last of epoch", "first of epoch", "mid epoch", "last of all"],
)
def test_a_killed_run_ends_with_the_same_weights(
    step: int, save_every_s: float, whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(save_every_s=save_every_s)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(config, out, splits=few_digits)
    assert (out / "config.json").is_file()
    assert (out / "resume.pt").is_file() == (save_every_s == 0 or step >= 6)
    if (out / "resume.pt").is_file():
        assert read_state(out / "resume.pt")["step"] == step if step != 6 else 6
    result = resume(out, splits=few_digits)
    assert result.epochs == 2
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors", "predictions.csv", "predictions.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert rows_of(out) == rows_of(whole)


def test_a_run_killed_between_the_parts_of_a_step(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(accumulate=2, save_every_s=0.0)
    train(config, out.with_name("whole"), splits=few_digits)
    untouched = Learner.training_step

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if self.steps_done == 9 and not self.mid_step(batch_idx):
            raise Killed
        return untouched(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", training_step)
        with pytest.raises(Killed):
            train(config, out, splits=few_digits)
    assert read_state(out / "resume.pt")["step"] == 9
    resume(out, splits=few_digits)
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(out.with_name("whole") / "resume.pt")))
    assert rows_of(out) == rows_of(out.with_name("whole"))


def test_another_seed_gives_other_weights(whole: Path, few_digits: Splits, out: Path) -> None:
    train(tiny_config(seed=1), out, splits=few_digits)
    assert (out / "last.safetensors").read_bytes() != (whole / "last.safetensors").read_bytes()


def test_a_finished_run_is_not_touched(whole: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.rglob("*") if path.is_file()}
    result = resume(whole)
    assert result.epochs == 2
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.rglob("*") if path.is_file()} == before


def test_a_folder_of_another_run_is_refused(whole: Path, few_digits: Splits, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds another run.*--resume"):
        train(tiny_config(), whole, splits=few_digits)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        train(tiny_config(), tmp_path, splits=few_digits)
    with pytest.raises(BadInput, match="holds no run"):
        resume(tmp_path)


def test_bad_data_leave_nothing_behind(out: Path) -> None:
    with pytest.raises(BadInput, match="no_such_photos"):
        train(tiny_config(data="no_such_photos"), out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adamwx"}, "did you mean"),
        ({"accelerator": "tpu"}, "cannot train with"),
        ({"auto_augment": "rund-m9"}, "rund-m9"),
        ({"freeze": 1, "devices": 2}, "one device"),
        ({"batch_size": 33, "accumulate": 2}, "batch_size=33 cannot be shared by 1 devices in 2 parts"),
        ({"batch_size": 32, "accumulate": 32}, "each needs at least 2"),
        ({"sync_bn": True, "devices": 2}, "sync_bn works on GPUs"),
        ({"strategy": "fsdp", "devices": 2, "precision": "16-mixed"}, "fsdp"),
        ({"optimizer": "sgd", "opt_eps": 0.1}, "sgd has no eps"),
    ],
)
def test_impossible_settings_are_one_sentence(
    changes: dict[str, Any], words: str, few_digits: Splits, out: Path
) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        train(tiny_config(**changes), out, splits=few_digits)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_loss_that_is_no_number_stops_at_its_step(few_digits: Splits, out: Path) -> None:
    with pytest.raises(CheckFailed, match=r"the loss at step \d is (nan|inf).*optim.lr"):
        train(tiny_config(lr=1e30, optimizer="sgd", warmup_epochs=0.0), out, splits=few_digits)
    assert not (out / "best.safetensors").exists()
    assert not (out / "metrics.json").exists()


def test_too_few_images_are_refused(few_digits: Splits, out: Path) -> None:
    one = Splits("digits", few_digits.train.subset([0]), few_digits.val)
    with pytest.raises(BadInput, match="too few"):
        train(tiny_config(), out, splits=one)


def test_other_classes_cannot_go_on_with_a_run(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, 7)
        with pytest.raises(Killed):
            train(tiny_config(), out, splits=few_digits)
    renamed = [type(s)(tuple("abcdefghij"), s.labels, s.names, s.loaders) for s in (few_digits.train, few_digits.val)]
    with pytest.raises(BadInput, match=r"letters has the classes 'a'.*was trained on the classes '0'"):
        resume(out, splits=Splits("letters", *renamed))


def test_other_images_cannot_go_on_with_a_run(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image less would give other batches and another number of steps an epoch."""
    with monkeypatch.context() as patch:
        kill_at(patch, 7)
        with pytest.raises(Killed):
            train(tiny_config(), out, splits=few_digits)
    fewer = Splits("digits", few_digits.train.subset(range(199)), few_digits.val)
    with pytest.raises(BadInput, match=r"digits has 199 training images and .* was begun with 200, .* put them back"):
        resume(out, splits=fewer)
    others = Splits("digits", few_digits.train.subset([*range(199), 0]), few_digits.val)
    with pytest.raises(BadInput, match="the images of digits have other names"):
        resume(out, splits=others)
    assert resume(out, splits=few_digits).epochs == 2


def test_a_time_limit_ends_a_run_early_and_whole(few_digits: Splits, out: Path) -> None:
    result = train(tiny_config(epochs=500, time_limit_s=0.5), out, splits=few_digits)
    assert result.scores is not None
    assert result.epochs < 500
    assert not result.interrupted
    assert json.loads((out / "metrics.json").read_text())["finished"]


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_and_channels_last_train(precision: str, few_digits: Splits, out: Path) -> None:
    result = train(
        tiny_config(precision=precision, channels_last=True, grad_clip=1.0, optimizer="rmsprop", schedule="step"),
        out,
        splits=few_digits,
    )
    assert result.scores is not None
    assert result.scores.loss < 2.3026  # better than knowing nothing: log(10)
    assert load_file(out / "last.safetensors")["classifier.weight"].dtype == torch.float32


def test_a_frozen_backbone_keeps_its_weights_and_statistics(few_digits: Splits, out: Path) -> None:
    train(tiny_config(freeze="backbone", ema_decay=None), out, splits=few_digits)
    fresh, trained = seeded_tiny(0).state_dict(), load_file(out / "last.safetensors")
    for key, value in fresh.items():
        assert torch.equal(value, trained[key]) == key.startswith("trunk"), key


def test_frozen_norms_keep_their_statistics_and_train_their_weights(few_digits: Splits, out: Path) -> None:
    train(tiny_config(freeze_norm=True, ema_decay=None), out, splits=few_digits)
    trained = load_file(out / "last.safetensors")
    for key, value in seeded_tiny(0).state_dict().items():
        still = "running" in key or "num_batches" in key
        assert torch.equal(value, trained[key]) == still, key


def test_a_backbone_frozen_for_an_epoch_is_freed(few_digits: Splits, out: Path) -> None:
    train(tiny_config(freeze=1, ema_decay=None), out, splits=few_digits)
    moved = {
        k: not torch.equal(v, load_file(out / "last.safetensors")[k]) for k, v in seeded_tiny(0).state_dict().items()
    }
    assert all(moved.values())
    assert int(load_file(out / "last.safetensors")["trunk.0.1.num_batches_tracked"]) == 6  # of twelve steps
