"""NNCF's post-training quantisation of an OpenVINO model: static ranges and bias correction."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.onnx import export_onnx, read_onnx
from pumice.deploy.openvino import read_network, save_network
from pumice.deploy.schemes.layer_nodes import nodes_of
from pumice.deploy.schemes.silence import silent
from pumice.errors import BadInput
from pumice.progress import track


def load_nncf() -> Any:
    """The nncf package, told not to report to its makers; NNCF_CI, when set, decides instead."""
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    return nncf


def write(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    images: NDArray[np.float32],
    *,
    float_layers: Sequence[str],
    preset: str,
    weights: str,
) -> None:
    """Write `path` (.xml) and its .bin.

    Args:
        model: float network, not changed.
        path: file to write.
        input_size: (C, H, W).
        images: (N, C, H, W).
        float_layers: module paths to leave in float32.
        preset: "performance" has activations symmetric about zero, "mixed" lets them be asymmetric.
        weights: "full" 8 bits, or "reduced" to 7.

    Raises:
        BadInput: the network cannot be exported, or NNCF refuses it.
        OSError: a file cannot be written whole.
    """
    nncf = load_nncf()
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from openvino._offline_transformations import apply_moc_transformations

    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(model, file, input_size)
        ignored = [node for nodes in nodes_of(read_onnx(file), float_layers).values() for node in nodes]
        network = read_network(file)
        apply_moc_transformations(network, True)  # folds the sums over shapes through which weights are read
        names = {operation.get_friendly_name() for operation in network.get_ops()}
        # A layer with a bias becomes two operations.
        scope = [name for node in ignored for name in (f"{node}/WithoutBiases", node) if name in names]
        overflow = OverflowFix.ENABLE if weights == "reduced" else OverflowFix.DISABLE
        try:
            with silent():
                quantised = nncf.quantize(
                    network,
                    nncf.Dataset(_Images(images)),
                    preset=nncf.QuantizationPreset(preset),
                    subset_size=len(images),
                    ignored_scope=nncf.IgnoredScope(names=scope) if scope else None,
                    advanced_parameters=AdvancedQuantizationParameters(overflow_fix=overflow),
                )
        except Exception as error:  # its errors have no common class
            raise BadInput(f"nncf cannot quantise this network: {str(error).splitlines()[0][:200]}") from error
        save_network(quantised, path)


class _Images:
    """Images one by one, as often as they are asked for, with a bar."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for image in track(self._images, "calibrate"):
            yield image[None]
