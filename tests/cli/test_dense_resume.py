"""A run of a dense task that dies and goes on is the run that never died, bit for bit."""

import csv
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pumice.train.config import TrainConfig
from pumice.train.module import Learner
from pumice.train.records import CLOCK
from pumice.train.run import resume, train
from tests.cli import made

SETTINGS: dict[str, dict[str, Any]] = {
    "detect": {"model": "mobilenetv2_035", "img_size": 96},
    "segment": {"model": "mobilenetv3_small_050", "img_size": (64, 96)},
    "keypoints": {"model": "mobilenetv3_small_050", "img_size": 64},
}
DATA = {"detect": made.boxes, "segment": made.masks, "keypoints": made.poses}


class Killed(BaseException):
    """What a power cut would be."""


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


@pytest.mark.parametrize("task", [pytest.param(t, marks=() if t == "segment" else pytest.mark.slow) for t in SETTINGS])
def test_a_killed_run_ends_with_the_same_weights(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DATA[task](tmp_path / "data", train=8, val=2)
    fields: dict[str, Any] = {"task": task, "data": str(data), "epochs": 2, "batch_size": 4, "lr": 0.01}
    config = TrainConfig(**fields, **SETTINGS[task], ema_decay=0.9, save_every_s=0.0, accelerator="cpu")
    train(config, tmp_path / "whole")
    untouched = Learner.training_step
    steps = {"keypoints": 8}.get(task, 4)

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if self.steps_done == steps - 1:  # in the middle of the second epoch
            raise Killed
        return untouched(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", training_step)
        with pytest.raises(Killed):
            train(config, tmp_path / "killed")
    assert resume(tmp_path / "killed").epochs == 2
    for name in ("last.safetensors", "best.safetensors", "predictions.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")
    assert len({row["train_loss"] for row in rows_of(tmp_path / "whole")}) == 2
