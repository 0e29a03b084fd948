"""8-bit files for timing: post-training static quantisation of a float file, with a few random images.

What such a file answers means nothing: weights and images are random.  Its time is that of any network of its layers,
because no kernel here looks at the values.
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.openvino import read_network, save_network

IMAGES = 4


def quantise(file: Path, runtime: str, input_size: tuple[int, int, int]) -> Path:
    """Write the 8-bit file of a runtime beside the float .onnx file: weights by channel, activations by tensor."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # both explain themselves at length
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return {"openvino": _openvino, "onnxruntime": _onnxruntime}[runtime](file, input_size)
    finally:
        logging.disable(before)


def _images(input_size: tuple[int, int, int]) -> Iterator[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    for _ in range(IMAGES):
        yield rng.standard_normal((1, *input_size), dtype=np.float32)


def _openvino(file: Path, input_size: tuple[int, int, int]) -> Path:
    import nncf

    # MIXED: activations that are no ReLU, h-swish say, are quantised around their own zero point.
    network = nncf.quantize(
        read_network(file),
        nncf.Dataset(list(_images(input_size))),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=IMAGES,
    )
    target = file.with_name(f"{file.stem}-int8.xml")
    save_network(network, target)
    return target


def _onnxruntime(file: Path, input_size: tuple[int, int, int]) -> Path:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = _images(input_size)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.images, None)
            return None if image is None else {"image": image}

    # Unsigned by signed is what one x86 instruction multiplies; signed activations took half as long again.
    target = file.with_name(f"{file.stem}-int8.onnx")
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(file), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, **kinds)
    return target
