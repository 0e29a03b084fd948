"""A small network that has learnt the digits, at 32 x 32."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.models.manifest import Manifest, ModelConfig

SIZE = (3, 32, 32)
BIG = "8"  # the layer with most of the weights


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.Hardswish(),
            nn.Conv2d(2 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def digits_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=4, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 1),
        nn.ReLU6(),
        Block(24),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 768),
        nn.ReLU(),
        nn.Linear(768, 10),
    )


@dataclass(frozen=True)
class Learnt:
    """A trained network, images to calibrate on, and validation images with their labels."""

    net: nn.Module
    manifest: Manifest
    calibration: NDArray[np.float32]
    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def outputs(self) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self.net(torch.from_numpy(self.images)).numpy()


@pytest.fixture(scope="session")
def learnt() -> Learnt:
    splits = open_data("digits")
    preprocess = Preprocess(size=SIZE[1:], crop_pct=1.0, interpolation="bilinear")
    manifest = Manifest(ModelConfig("digits", num_classes=10), preprocess, splits.classes)
    train, val = (
        (np.stack([preprocess(load()) for load in part.loaders]), np.asarray(part.labels))
        for part in (splits.train, splits.val)
    )
    net = digits_net()
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    x, y = (torch.from_numpy(side) for side in train)
    for _ in range(6):
        for chosen in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimiser.step()
    return Learnt(net.eval(), manifest, train[0][:60], *val)
