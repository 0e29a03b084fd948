"""Where does a file begin to differ?  The outputs of its convolutions and linear layers beside the network's.

Names do not survive every exporter, execution order does: a file's layers are matched with the network's one by one,
and where their number or a shape differs nothing is claimed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.compare import TOLERANCE, relative_error
from pumice.deploy.network import folded
from pumice.errors import BadInput

Values = NDArray[np.float32]
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_ONNX = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class LayerError:
    """One layer of the network: its name, and max |file - network| / max |network| of its output."""

    layer: str
    error: float


def layer_errors(file: Path, model: nn.Module, x: Values, runtime: str) -> list[LayerError]:
    """The error of every convolution and linear layer, in the order in which they run.

    Args:
        file: .onnx.
        model: the network that it should be.
        x: (N, C, H, W), as many images as one pass of the file takes.
        runtime: "onnxruntime", the only one whose inner tensors are read.

    Raises:
        BadInput: the format or runtime shows nothing of its inside, or the layers cannot be matched.
    """
    if runtime not in _READERS:
        raise BadInput(f"where {file.name} differs cannot be told: {runtime} shows no tensors between the layers")
    names, want = _of_network(folded(model, (x.shape[1], x.shape[2], x.shape[3])), x)
    got = _READERS[runtime](file, x)
    if [part.shape for part in got] != [part.shape for part in want]:
        raise BadInput(
            f"where {file.name} differs cannot be told:"
            f" its {len(got)} layers are not those of the network ({len(want)})"
        )
    return [LayerError(name, relative_error(ours, theirs)) for name, ours, theirs in zip(names, got, want, strict=True)]


def first_difference(errors: list[LayerError], tolerance: float = TOLERANCE) -> str:
    """A clause that names the first layer that differs, and how well those before it agree."""
    at = next((i for i, entry in enumerate(errors) if entry.error > tolerance), None)
    if at is None:
        return (
            f"no layer of {len(errors)} differs: the fault lies behind the last of them,"
            " or only where the runtime joins layers"
        )
    found = f"first layer that differs: {errors[at].layer} (relative error {errors[at].error:.0e})"
    if at == 0:
        return found
    return (
        f"{found}; all {at} before agree to {max(e.error for e in errors[:at]):.0e}, the last is {errors[at - 1].layer}"
    )


def _of_network(network: nn.Module, x: Values) -> tuple[list[str], list[Values]]:
    names: list[str] = []
    outputs: list[Values] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, result: torch.Tensor) -> None:
            names.append(name)
            outputs.append(result.detach().numpy().copy())  # an activation may write over it

        return hook

    for name, module in network.named_modules():
        if isinstance(module, _LAYERS):
            module.register_forward_hook(watch(name))
    with torch.inference_mode():
        network(torch.from_numpy(x))
    return names, outputs


def _of_onnx(file: Path, x: Values) -> list[Values]:
    from pumice.deploy.onnx import read_onnx, require_onnx
    from pumice.deploy.onnxruntime import load_onnxruntime

    onnx, onnxruntime = require_onnx(), load_onnxruntime()
    proto = read_onnx(file)
    known = {weight.name for weight in proto.graph.initializer}
    nodes = list(proto.graph.node)
    wanted: list[str] = []
    for node in nodes:
        if node.op_type in _ONNX and node.input[1] in known:
            readers = [other for other in nodes if node.output[0] in other.input]
            # A linear layer of more than two dimensions is a product and a sum.
            adds = node.op_type == "MatMul" and len(readers) == 1 and readers[0].op_type == "Add"
            biased = adds and any(name in known for name in readers[0].input)
            wanted.append(readers[0].output[0] if biased else node.output[0])
    already = {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(wanted) if name not in already)
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        opened = Path(folder) / "layers.onnx"
        opened.write_bytes(proto.SerializeToString())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(opened), options, providers=["CPUExecutionProvider"])
        found: list[Values] = session.run(wanted, {session.get_inputs()[0].name: x})
    return found


_READERS: dict[str, Callable[[Path, Values], list[Values]]] = {"onnxruntime": _of_onnx}
