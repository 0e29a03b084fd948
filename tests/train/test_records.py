"""What a run folder says of itself: machine, code, data, pace, and every answer of the best weights."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from pumice.data.augment import Augment
from pumice.data.images import Splits
from pumice.data.pipeline import make_loaders
from pumice.data.preprocess import Preprocess
from pumice.tasks.classify import Scores, evaluate
from pumice.tasks.predictions import read_answers
from pumice.train import environment
from pumice.train.environment import repository
from pumice.train.run import train
from pumice.train.stream import Stream
from tests.train.conftest import Tiny, tiny_config


def git(*words: str, at: Path) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=trunk"]
    subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a secret address; the current folder lies in it."""
    root = tmp_path / "project"
    (root / "below").mkdir(parents=True)
    git("init", at=root)
    git("remote", "add", "origin", "https://secret@example.org/me/project.git", at=root)
    (root / "a.txt").write_text("1")
    git("add", ".", at=root)
    git("commit", "-m", "one", at=root)
    monkeypatch.chdir(root / "below")
    return root


def test_the_code_is_named_and_its_owner_is_not(clone: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    assert repository() == {"commit": head.stdout.strip(), "branch": "trunk", "dirty": False}
    (clone / "untracked.txt").write_text("x")
    assert repository() == {"commit": head.stdout.strip(), "branch": "trunk", "dirty": False}
    (clone / "a.txt").write_text("2")
    git("checkout", "--detach", at=clone)
    assert repository() == {"commit": head.stdout.strip(), "branch": None, "dirty": True}
    said = json.dumps(environment.environment()["git"])
    assert "secret" not in said
    assert "project" not in said


def test_without_git_or_with_a_slow_one_a_run_goes_on(
    tmp_path: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    monkeypatch.setattr(environment, "PATIENCE_S", 0.2)
    began = time.monotonic()
    assert repository() is None
    assert time.monotonic() - began < 5
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository() is None
    monkeypatch.undo()
    monkeypatch.chdir("/")
    assert repository() is None


def test_a_repository_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", at=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert repository() == {"commit": None, "branch": "trunk", "dirty": False}


def test_what_a_run_writes_of_itself(few_digits: Splits, out: Path) -> None:
    train(tiny_config(), out, splits=few_digits)
    record = json.loads((out / "environment.json").read_text())
    assert {"torch", "lightning", "torchmetrics", "timm", "numpy"} <= record["packages"].keys()
    assert (record["device"], record["threads"], record["processes"]) == ("cpu", torch.get_num_threads(), 1)
    assert record["started"].endswith("+00:00")
    data = json.loads((out / "data.json").read_text())
    assert sum(data["images"]["train"].values()) == 200
    assert sum(data["images"]["val"].values()) == 60
    metrics = json.loads((out / "metrics.json").read_text())
    profile = json.loads((out / "profile.json").read_text())
    # Three convolutions with outputs of 8, 4 and 2 pixels a side, and the classifier.
    by_hand = 9 * (3 * 16 * 8 * 8 + 16 * 32 * 4 * 4 + 32 * 64 * 2 * 2) + 64 * 10
    assert metrics["madds"] == profile["madds"] == by_hand
    assert metrics["manifest"]["classes"] == list(few_digits.classes)


def test_every_answer_of_the_best_weights(few_digits: Splits, out: Path) -> None:
    """The best epoch need not be the last: here a rate that rises spoils what the first epochs have learnt."""
    config = tiny_config(epochs=4, mixup=0.0, ema_decay=None, schedule="step", decay_rate=40.0, decay_epochs=2.0)
    result = train(config, out, splits=few_digits)
    assert result.best_epoch is not None
    assert result.best_epoch < result.epochs, "the test needs a best epoch before the last"
    rows = read_answers(out / "predictions.csv")
    assert [r.name for r in rows] == list(few_digits.val.names)
    assert [r.truth for r in rows] == [few_digits.classes[label] for label in few_digits.val.labels]
    from safetensors.torch import load_file

    from pumice.models.described import preprocess_of
    from pumice.tasks.classify import logits_of

    net = Tiny()
    net.load_state_dict(load_file(out / "best.safetensors"))
    chances = torch.softmax(torch.from_numpy(logits_of(net, preprocess_of(net), few_digits.val)).double(), 1)
    assert [r.p_pred for r in rows] == pytest.approx(chances.max(1).values.tolist(), rel=1e-4)
    assert [r.prediction for r in rows] == [few_digits.classes[i] for i in chances.argmax(1).tolist()]
    assert result.scores is not None
    assert sum(r.truth == r.prediction for r in rows) == round(60 * result.scores.top1)
    shown = json.loads((out / "predictions.json").read_text())
    wrong = sorted((r.p_pred for r in rows if r.truth != r.prediction), reverse=True)
    assert [s["p_pred"] for s in shown if s["truth"] != s["prediction"]] == wrong[:24]
    assert all(s["image"].startswith("data:image/jpeg;base64,") for s in shown)


def test_metrics_of_every_epoch(few_digits: Splits, out: Path) -> None:
    result = train(tiny_config(), out, splits=few_digits)
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    best = rows[(result.best_epoch or 0) - 1]
    again = evaluate_again(out, few_digits)
    assert (float(best["val_top5"]), float(best["val_balanced"])) == (again.top5, again.balanced_accuracy)
    for row in rows:
        assert 0 <= float(row["data_wait"]) <= 1
        assert 0 < float(row["images_per_s"]) < 1e6
    tags = board(out / "tensorboard")
    assert tags == {"lr", "train_loss", "val_loss", "val_top1", "val_top5", "val_balanced", "images_per_s", "data_wait"}


def evaluate_again(out: Path, splits: Splits) -> Scores:
    """Of best.safetensors."""
    from safetensors.torch import load_file

    from pumice.models.described import preprocess_of

    net = Tiny()
    net.load_state_dict(load_file(out / "best.safetensors"))
    return evaluate(net, preprocess_of(net), splits.val)


def board(folder: Path) -> set[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()["scalars"])


class Slow(torch.utils.data.Dataset[Any]):
    """Twelve images of 20 ms each."""

    def __init__(self, under: Any) -> None:
        self.under = under

    def __len__(self) -> int:
        return 12

    def __getitem__(self, key: Any) -> Any:
        time.sleep(0.02)
        return self.under[key]


def test_waiting_for_data_is_measured_and_work_is_not(few_digits: Splits) -> None:
    twelve = Splits("digits", few_digits.train.subset(range(12)), few_digits.val)
    loader, _ = make_loaders(twelve, Preprocess((16, 16)), batch_size=4, augment=Augment())
    stream = Stream(DataLoader(Slow(loader.dataset), 4, sampler=loader.sampler))
    for _ in range(2):  # the second epoch counts anew
        began = time.perf_counter()
        for _ in stream:
            time.sleep(0.1)  # a step's work
        whole = time.perf_counter() - began
        assert 0.24 <= stream.waited <= whole - 0.3


def test_the_share_of_an_epoch(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that says it waited a quarter of the time is written down so; validation is not counted."""
    from pumice.train.module import Learner

    clock = [0.0]
    monkeypatch.setattr("pumice.train.module.time.perf_counter", lambda: clock[0])
    trained = Learner.on_train_batch_end

    def tick(self: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        trained(self, outputs, batch, batch_idx)
        clock[0] += 2.0
        self.stream.waited = clock[0] / 4  # six steps an epoch: 3 s of 12

    judged = Learner.validation_step

    def slow(self: Learner, batch: Any, batch_idx: int) -> None:
        clock[0] += 100.0
        judged(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "on_train_batch_end", tick)
    monkeypatch.setattr(Learner, "validation_step", slow)
    train(tiny_config(epochs=1), out, splits=few_digits)
    (row,) = csv.DictReader((out / "metrics.csv").open())
    assert float(row["images_per_s"]) == 192 / 12  # six batches of 32
    assert float(row["data_wait"]) == 0.25


def test_describing_a_machine_imports_no_torch() -> None:
    code = "import sys; from pumice.train.environment import environment; environment(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
