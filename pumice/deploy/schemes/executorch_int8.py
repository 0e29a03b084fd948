"""ExecuTorch's static quantisation as a scheme."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import add_metadata
from pumice.deploy.executorch_int8 import write_executorch_int8


def write(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    images: NDArray[np.float32],
    *,
    float_layers: Sequence[str],
    said: Mapping[str, str],
) -> None:
    """Write a .pte file straight to `path`; arguments as `pumice.deploy.schemes.litert_int8.write`.

    Raises:
        BadInput: ExecuTorch cannot express the network.
    """
    write_executorch_int8(model, path, input_size, images, float_layers=float_layers)
    add_metadata(path, said)
