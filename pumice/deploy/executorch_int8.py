"""ExecuTorch in int8: static quantisation by torchao (PT2E) with the rules of XNNPACK.

Weights are symmetric, one scale for each output channel; activations are asymmetric, one scale and zero point for each
tensor, chosen on histograms of what calibration images make of them.  Convolutions, linear layers, sums, products,
joins and pools are quantised; other activations (h-swish, sigmoid) compute in float between two conversions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pumice.deploy.executorch import INT8, converting, lowered
from pumice.deploy.executorch_lowering import planar
from pumice.deploy.network import folded, name_of
from pumice.errors import BadInput, nearest
from pumice.models.manifest import Manifest
from pumice.progress import track

if TYPE_CHECKING:
    from torch import nn


def write_executorch_int8(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    calibration: NDArray[np.float32],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    float_layers: Sequence[str] = (),
) -> None:
    """Write a quantised .pte straight to `path`.

    Args:
        model: any network of one image tensor; it is not changed.
        path: file to write.
        input_size: (C, H, W) of the file.
        calibration: (N, C, H, W) images as the network reads them, preprocessed; some hundred are enough.
        manifest: names the network.
        batch: images a pass.
        float_layers: paths of modules of the network that stay in float.

    Raises:
        BadInput: the images do not suit the network, a layer does not exist, or ExecuTorch cannot express the network.
        OSError: the file cannot be written.
    """
    name = name_of(model, manifest)
    if calibration.dtype != np.float32 or calibration.shape[1:] != input_size or len(calibration) == 0:
        raise BadInput(
            f"{name} is calibrated on float32 images of shape {('N', *input_size)}, not on {calibration.dtype}"
            f" of shape {calibration.shape}"
        )
    if not np.isfinite(calibration).all():
        raise BadInput(f"the images that {name} is to be calibrated on hold numbers that are not finite")
    network = planar(folded(model, input_size))
    modules = dict(network.named_modules())
    for layer in float_layers:
        if layer not in modules:
            raise BadInput(f"{name} has no layer {layer!r}{nearest(layer, list(modules))}")
    example = (torch.zeros(batch, *input_size),)
    with converting(name):
        prepared = _observed(torch.export.export(network, example).module(), float_layers)
    # Every pass takes `batch` images; the last ones are filled up with the first, again and again where they are few.
    whole = np.resize(calibration, (-(-len(calibration) // batch) * batch, *input_size))
    with torch.no_grad():
        for i in track(range(0, len(whole), batch), f"Calibrating {name}"):
            prepared(torch.from_numpy(whole[i : i + batch]))
    with converting(name):
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        content = lowered(torch.export.export(convert_pt2e(prepared), example), **{INT8: True})
    path.write_bytes(content)


def _observed(program: Any, float_layers: Sequence[str]) -> Any:
    """The program with an observer at every tensor to quantise."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e
    from torchao.quantization.pt2e.quantizer import get_module_name_filter

    spared = [get_module_name_filter(layer) for layer in float_layers]
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    quantizer.set_filter_function(lambda node: not any(of(node) for of in spared))
    return prepare_pt2e(program, quantizer)
