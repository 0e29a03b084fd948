"""A network that learns the digits in seconds, in place of those that `create_model` makes."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.models.described import describe
from pumice.models.manifest import ModelConfig
from pumice.train.config import TrainConfig


class Tiny(nn.Module):
    """Three convolutions, dropout, a linear layer: (N, 3, 16, 16) -> (N, classes)."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        self.trunk = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
                for i, o in pairwise(widths)
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(64, num_classes)
        half = (0.5, 0.5, 0.5)
        describe(self, ModelConfig("tiny", num_classes), Preprocess((16, 16), 1.0, "bilinear", half, half))

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.trunk(x)))


def tiny_config(**changes: Any) -> TrainConfig:
    """Two epochs over 200 digits; everything random is on."""
    fields: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 32,
        "lr": 0.01,
        "warmup_epochs": 0.2,
        "ema_decay": 0.9,
        "mixup": 0.2,
        "hflip": 0.0,
        "rrc_scale": (0.6, 1.0),
        "accelerator": "cpu",
    }
    return TrainConfig(**(fields | changes))


@pytest.fixture(autouse=True)
def tiny_net(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`build_net` gives a Tiny; one thread, because the net is too small for two."""

    def build(config: TrainConfig, classes: tuple[str, ...]) -> nn.Module:
        torch.manual_seed(config.seed)
        return Tiny(len(classes))

    monkeypatch.setattr("pumice.train.net.build_net", build)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits() -> Splits:
    """All the digits."""
    return open_digits()


@pytest.fixture(scope="session")
def few_digits(digits: Splits) -> Splits:
    """200 and 60 of them: six steps an epoch."""
    return Splits("digits", digits.train.subset(range(200)), digits.val.subset(range(60)))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run folder that does not exist yet."""
    return tmp_path / "runs" / "run"
