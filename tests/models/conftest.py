"""Networks whose output depends on their input, as that of trained ones does."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.nn.shift_max import DynamicShiftMax

Size = tuple[int, ...]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _images(n: int, size: Size, seed: int) -> Tensor:
    """Noise whose level and contrast differ from image to image and channel to channel, so that pooling keeps some."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.rand((n, size[0], 1, 1), generator=generator) * 2 - 1
    contrast = torch.rand((n, size[0], 1, 1), generator=generator) + 0.3
    return (torch.randn((n, *size), generator=generator) * contrast + level).double()


def _realistic(model: nn.Module, size: Size = (3, 64, 64), seed: int = 0, batches: int = 2) -> nn.Module:
    """Weights scaled by fan-in, random scales and shifts, statistics of what really flows; double, evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    model.double()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / module.weight[0].numel()), generator)
        elif isinstance(module, _BatchNorm):
            module.momentum = None  # plain averages over the batches
            nn.init.uniform_(module.weight, 0.5, 1.5, generator)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.uniform_(bias, -0.3, 0.3, generator)
    model.train()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, DynamicShiftMax):  # quadratic in its input: gentle, or rounding grows by its chain
                module.excite.weight *= 0.1
        for i in range(batches):
            model(_images(8, size, seed + 1 + i))
    return model.eval()


def _compare(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference in units of the reference's scale; the reference must vary between inputs."""
    assert ours.shape == theirs.shape
    scale = float(theirs.abs().max())
    varies = float(theirs.std(0).max())
    assert varies > 1e-2 * scale, f"outputs vary by {varies} of {scale}: a net that ignores its input shows nothing"
    return float((ours - theirs).abs().max()) / scale


@pytest.fixture
def images() -> Callable[..., Tensor]:
    return _images


@pytest.fixture
def realistic() -> Callable[..., nn.Module]:
    return _realistic


@pytest.fixture
def compare() -> Callable[[Tensor, Tensor], float]:
    return _compare
