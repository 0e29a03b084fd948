"""Networks with seeded weights: those of other libraries, and the authors' own.

The fixtures in tests/golden/official: weights from a seed, two inputs, some outputs.

A fixture holds the keys and shapes of the authors' own network, a seed and what that network answered, in double
precision: `record(their_model, ...)`, run where their code lies, makes one.  None of their code is here.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.models.create import create_model
from pumice.models.peers import Peer
from pumice.models.weights import load_weights

KEPT = 100  # values of an output that a fixture keeps


def weights(tensors: list[list[Any]], seed: int) -> dict[str, Tensor]:
    """[key, shape] or [key, shape, values] -> tensors, drawn key by key in that order."""
    draw = np.random.default_rng(seed)
    state = {}
    for key, shape, *values in tensors:
        last = key.rpartition(".")[2]
        if values:
            state[key] = torch.tensor(values[0]).reshape(shape)
            continue
        mxnet_scale = key.endswith(("_gamma", "_moving_var"))
        if mxnet_scale or last == "running_var" or (last == "weight" and len(shape) == 1):
            value = draw.uniform(0.5, 1.5, shape)
        elif len(shape) < 2:
            value = draw.uniform(-0.3, 0.3, shape)
        else:
            value = draw.standard_normal(shape) * math.sqrt(2 / max(1, math.prod(shape[1:])))
        state[key] = torch.from_numpy(np.asarray(value))
    return state


def seeded(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The same keys and shapes with weights from a seed, double; integers keep their values."""
    tensors: list[list[Any]] = []
    for key, value in state.items():
        given = [] if value.is_floating_point() else [value.flatten().tolist()]
        tensors.append([key, list(value.shape), *given])
    return weights(tensors, seed)


def inputs(seed: int, size: tuple[int, int]) -> Tensor:
    """(2, 3, *size), double: 7 x 7 noise made smooth, so that the two differ where a net looks."""
    noise = np.random.default_rng(seed + 1).standard_normal((2, 3, 7, 7))
    return F.interpolate(torch.from_numpy(noise), size, mode="bilinear", align_corners=False)


def sample(output: Tensor) -> Tensor:
    """(2, ...) -> (2, KEPT): values at even distances."""
    flat = output.flatten(1)
    places = torch.linspace(0, flat.shape[1] - 1, min(KEPT, flat.shape[1])).round().long()
    return flat[:, places]


def record(
    theirs: nn.Module, model: str, origin: str, *, seed: int = 0, size: tuple[int, int] = (64, 64), **options: Any
) -> dict[str, Any]:
    """The fixture of a network of the authors, run with seeded weights.

    model, options: what `create_model` takes for the same net.  origin: repository, commit and file.
    Integer buffers (indices) and masks keep their own values.
    """
    theirs = theirs.double().eval()
    tensors: list[list[Any]] = []
    for key, value in theirs.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        given = [value.flatten().tolist()] if not value.is_floating_point() or "mask" in key else []
        tensors.append([key, list(value.shape), *given])
    theirs.load_state_dict(weights(tensors, seed), strict=False)
    with torch.no_grad():
        output = theirs(inputs(seed, size))
    output = output[0] if isinstance(output, tuple | list) else output
    return {
        "model": model,
        "options": options,
        "origin": origin,
        "seed": seed,
        "size": list(size),
        "tensors": tensors,
        "shape": list(output.shape),
        "outputs": sample(output).tolist(),
    }


def difference(name: str, peer: Peer) -> float:
    """How far our network is from its peer of another library with the same seeded weights, in double precision.

    In units of the difference between the outputs of two inputs, so that a net which ignores its input shows nothing.
    """
    size = (224, 224) if peer.library == "pytorchcv" else (64, 96)  # pytorchcv's last pool is made for 224 pixels
    theirs = create_model(peer.name, **peer.options)
    if peer.library == "pytorchcv" and peer.net.startswith("shufflenetv2"):
        theirs.features.init_block.pool = nn.MaxPool2d(3, 2, 1)  # its own pads nothing and rounds up
    ours = create_model(name).double().eval()
    state = seeded(theirs.state_dict(), seed=0)
    shuffled = [key for key, value in state.items() if key.endswith("index")]
    chosen = [value for key, value in ours.state_dict().items() if key.endswith("index")]
    for key, index in zip(shuffled, chosen, strict=True):  # which inputs a convolution keeps: no library draws them
        state[key] = index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))]
    for key, value in theirs.double().eval().state_dict().items():
        value.copy_(state[key])
    loaded = load_weights(ours, state, peer.conventions)
    assert (loaded.source, loaded.missing) == (peer.conventions, ())
    x = inputs(0, size)
    with torch.no_grad():
        want, got = theirs(x), ours(x)
    moves = (want[0] - want[1]).abs().max()
    assert moves > 1e-6 * want.abs().max(), "these weights ignore their input"
    return float((got - want).abs().max() / moves)
