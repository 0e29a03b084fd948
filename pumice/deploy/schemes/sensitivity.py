"""Which layers lose most when they alone are quantised: the first to be left in float32.

Each layer in turn computes with weights and inputs rounded to 8 bits, all others in float32, and the outputs of the
network are compared with those of the float network.  No toolkit is asked, so the order serves every scheme.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.progress import track

BATCH = 8  # images of the default comparison
_Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.Linear


def sensitive_layers(
    model: nn.Module, images: NDArray[np.float32], *, batch: int = BATCH
) -> list[tuple[str, float]]:
    """Module paths of the layers with weights, the most sensitive first, each with what remains of the signal.

    The figure is the signal-to-noise ratio of the outputs in decibels, 10 lg(sum y^2 / sum (y - y_q)^2), where only
    what depends on the image is signal: y less its mean over the images.

    Args:
        model: float network; it is not changed.
        images: (N, C, H, W) as the network reads them, of which `batch` are used, evenly spaced.
        batch: at least 2; one forward pass for each layer.

    Raises:
        BadInput: there are fewer than 2 images, or the network does not read them.
    """
    if images.ndim != 4 or min(len(images), batch) < 2:
        raise BadInput(f"sensitivity takes at least 2 images (N, C, H, W), not an array of shape {images.shape}")
    channels, height, width = images.shape[1:]
    network = folded(model, (channels, height, width))
    chosen = np.unique(np.linspace(0, len(images) - 1, min(batch, len(images))).astype(int))
    x = torch.from_numpy(images[chosen])
    with torch.inference_mode():
        try:
            want = network(x).double()
        except RuntimeError as error:
            raise BadInput(f"{type(model).__name__} cannot read images of shape {images.shape[1:]}: {error}") from error
        signal = float((want - want.mean(0)).square().sum())
        found: list[tuple[str, float]] = []
        layers = [(path, module) for path, module in network.named_modules() if isinstance(module, _Layer)]
        for path, layer in track(layers, "sensitivity"):
            with _rounded(layer):
                noise = float((network(x).double() - want).square().sum())
            found.append((path, _decibels(signal, noise)))
    return sorted(found, key=lambda entry: entry[1])


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


@contextmanager
def _rounded(layer: nn.Module) -> Iterator[None]:
    """The layer with its weights rounded per output channel, its inputs and outputs per tensor."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    kept = weight.detach().clone()
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) and layer.groups == 1 else 0
    weight.data.copy_(_symmetric(kept, axis))
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: (_asymmetric(given[0]), *given[1:])),
        layer.register_forward_hook(lambda _, __, result: _asymmetric(result)),
    ]
    try:
        yield
    finally:
        weight.data.copy_(kept)
        for hook in hooks:
            hook.remove()


def _symmetric(weight: Tensor, axis: int) -> Tensor:
    others = [i for i in range(weight.dim()) if i != axis]
    step = weight.abs().amax(others, keepdim=True).clamp_min(1e-12) / 127
    return (weight / step).round() * step


def _asymmetric(x: Tensor) -> Tensor:
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = max(high - low, 1e-12) / 255
    zero = round(-low / step)
    return ((x / step).round() + zero).clamp(0, 255).sub(zero) * step
