"""ONNX Runtime's static quantisation: weights per channel, activations per tensor, as pairs of quantise and dequantise.

The runtime fuses what lies between such pairs into integer kernels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.onnx import INPUT, export_onnx, read_onnx, set_property
from pumice.deploy.onnxruntime import load_onnxruntime
from pumice.deploy.schemes.layer_nodes import nodes_of
from pumice.deploy.schemes.silence import silent
from pumice.errors import BadInput
from pumice.progress import track

_AT_ONCE = 8  # images whose activations are kept, where histograms are made of them


def write(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    images: NDArray[np.float32],
    *,
    float_layers: Sequence[str],
    said: Mapping[str, str],
    calibration: str,
    weights: str,
) -> None:
    """Write an .onnx file straight to `path`.

    Args:
        model: float network, not changed.
        path: file to write.
        input_size: (C, H, W).
        images: (N, C, H, W).
        float_layers: module paths to leave in float32.
        said: text properties of the file.
        calibration: "minmax", "percentile" (99.99 %) or "entropy" for the ranges of activations.
        weights: "full" 8 bits, or "reduced" to 7.

    Raises:
        BadInput: the network cannot be exported, or ONNX Runtime refuses it.
    """
    load_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        plain, prepared, made = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "made.onnx"))
        export_onnx(model, plain, input_size)
        excluded = [node for nodes in nodes_of(read_onnx(plain), float_layers).values() for node in nodes]
        options: dict[str, float] = {"CalibPercentile": 99.99} if calibration == "percentile" else {}
        if calibration != "minmax":
            # Despite its name; it takes parts of equal size only.
            options["CalibStridedMinMax"] = max(n for n in range(1, _AT_ONCE + 1) if len(images) % n == 0)
        try:
            with silent():
                # Norms are folded already, and its optimiser would rename weights.
                quant_pre_process(plain, prepared, skip_optimization=True, skip_symbolic_shape=True)
                quantize_static(
                    prepared,
                    made,
                    _reader(images),
                    quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    per_channel=True,
                    reduce_range=weights == "reduced",
                    nodes_to_exclude=excluded,
                    calibrate_method=methods[calibration],
                    extra_options=options,
                )
        except Exception as error:  # its errors have no common class
            raise BadInput(f"onnxruntime cannot quantise this network: {str(error).splitlines()[0][:200]}") from error
        proto = read_onnx(made)
    proto.producer_name, proto.producer_version = "pumice", ""
    for key, value in said.items():
        set_property(proto, key, value)
    path.write_bytes(proto.SerializeToString())


def _reader(images: NDArray[np.float32]) -> Any:
    """What the toolkit takes images from, one by one, all of them or part by part."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            self._images = iter(track(images, "calibrate"))
            self._left = len(images)

        def __len__(self) -> int:
            return len(images)

        def set_range(self, start_index: int, end_index: int) -> None:
            self._left = end_index - start_index

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._images, None) if self._left else None
            self._left -= 1
            return None if image is None else {INPUT: image[None]}

    return Reader()
