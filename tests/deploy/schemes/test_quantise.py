"""Every scheme: an 8-bit file says what the network says, is small, and tells how it was made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.deploy.carried import model_file, read_manifest, read_quantised
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS
from pumice.deploy.schemes import SCHEMES, Scheme, quantise
from pumice.deploy.session import open_session, resolve_runtime
from pumice.errors import BadInput
from pumice.models.manifest import Manifest, ModelConfig

SIZE = (3, 32, 32)
CLASSES = tuple("0123456789")


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


def digits(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    splits = open_data("digits")
    preprocess = manifest().preprocess
    sides = []
    for part, most in ((splits.train, count), (splits.val, 300)):
        chosen = range(min(most, len(part)))
        sides.append(np.stack([preprocess(part.image(i)) for i in chosen]))
        sides.append(np.asarray([part.labels[i] for i in chosen]))
    return tuple(sides)


def manifest() -> Manifest:
    return Manifest(
        ModelConfig("small", num_classes=10), Preprocess(size=SIZE[1:], crop_pct=1.0, interpolation="bilinear"), CLASSES
    )
