"""How the fixtures in tests/golden/official are made and read: weights from a seed, two inputs, some outputs.

A fixture holds the keys and shapes of the authors' own network, a seed and what that network answered, in double
precision: `record(their_model, ...)`, run where their code lies, makes one.  None of their code is here.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
