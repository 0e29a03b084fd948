"""LiteRT's static quantisation of a .tflite file by AI Edge Quantizer; images and outputs stay float32.

Weights are symmetric, one scale for each output channel; activations are asymmetric, one scale for each tensor.  h-swish
has an integer kernel of its own.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import add_metadata
from pumice.deploy.litert import INPUT, write_litert
from pumice.deploy.silence import silenced
from pumice.errors import BadInput
from pumice.progress import track

_AT_ONCE = 25  # images


def write(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    images: NDArray[np.float32],
    *,
    float_layers: Sequence[str],
    said: Mapping[str, str],
) -> None:
    """Write a .tflite file straight to `path`.

    Args:
        model: float network, not changed.
        path: file to write.
        input_size: (C, H, W).
        images: (N, C, H, W).
        float_layers: module paths to leave in float32.
        said: text properties of the file.

    Raises:
        BadInput: the network cannot be converted, or the quantiser refuses it.
    """
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        plain = Path(folder) / "plain.tflite"
        write_litert(model, plain, input_size)
        try:
            with silenced():
                from ai_edge_quantizer import quantizer, recipe

                work = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
                for name in ("INPUT", "OUTPUT"):
                    _spare(work, ".*", name)
                for scope in _scopes(plain, float_layers):
                    _spare(work, f"^{re.escape(scope)};$", "*")
            ranges: dict[str, Any] | None = None
            for start in track(range(0, len(images), _AT_ONCE), "calibrate"):
                some = [{INPUT: image[None]} for image in images[start : start + _AT_ONCE]]
                with silenced():
                    ranges = work.calibrate({"serving_default": some}, ranges, num_threads=1)
            with silenced():
                content = bytes(work.quantize(ranges).quantized_model)
        except BadInput:
            raise
        except Exception as error:  # its errors have no common class
            raise BadInput(f"LiteRT's quantiser refuses this network: {str(error).splitlines()[0][:200]}") from error
    path.write_bytes(content)
    add_metadata(path, said)


def _spare(work: Any, scope: str, operation: str) -> None:
    """Leave operations in float32: those of a kind whose results have matching names."""
    from ai_edge_quantizer import algorithm_manager, qtyping

    kind = qtyping.TFLOperationName(operation)
    work.update_quantization_recipe(scope, kind, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)


def _scopes(file: Path, layers: Sequence[str]) -> list[str]:
    """Names of the results of the operations that read the layers' weights.

    The converter names a weight by the classes and attributes on its module's path: ".../Sequential_body/Conv2d_3;1".

    Raises:
        BadInput: a layer's weight is not in the file by its name.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    names = {tensor["index"]: str(tensor["name"]) for tensor in interpreter.get_tensor_details()}
    operations = [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]
    made = {int(index) for op in operations for index in op["outputs"]}
    scopes = []
    for layer in layers:
        named = re.compile("_network/" + "/".join(f"[^/;]*_{re.escape(part)}" for part in layer.split(".")) + ";[0-9]*$")
        found = [
            names[int(op["outputs"][0])]
            for op in operations
            if any(int(i) not in made and named.search(names.get(int(i), "")) for i in op["inputs"][1:2])
        ]
        if not found:
            raise BadInput(f"{layer} is no layer with a weight of its own in the LiteRT file; leave it out")
        scopes += found
    return scopes
