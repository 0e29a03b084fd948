"""Where does a file begin to differ?  The outputs of its convolutions and linear layers beside the network's.

Names do not survive every exporter, execution order does: the layers of both are aligned in order, by the shapes of
their outputs.  What was rewritten on the way may have its channels in another order, which is no difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
_SAMPLED = 64  # positions by which channels find each other


@dataclass(frozen=True)
class LayerError:
    """One layer of the network: its name, and max |file - network| / max |network| of its output.

    error: None where the file shows no such layer.
    """

    layer: str
    error: float | None


def layer_errors(
    file: Path, model: nn.Module, x: Values, runtime: str, *, fed: NDArray[Any] | None = None
) -> list[LayerError]:
    """The error of every convolution and linear layer of the network, in the order in which they run.

    Args:
        file: .onnx.
        model: the network that it should be.
        x: (N, C, H, W); several images, since channels are told apart by them.
        runtime: "onnxruntime", the only one whose inner tensors are read.
        fed: what the file reads of the same images, where that is not `x`.

    Raises:
        BadInput: the format or runtime shows nothing of its inside, or no layer can be matched.
    """
    if runtime not in _READERS:
        raise BadInput(f"where {file.name} differs cannot be told: {runtime} shows no tensors between the layers")
    names, want = _of_network(folded(model, (x.shape[1], x.shape[2], x.shape[3])), x)
    got = _READERS[runtime](file, x if fed is None else fed)

    @cache
    def error(i: int, j: int) -> float:
        # The order of the last layer's outputs is that of the classes.
        return _error(got[j], want[i], ordered=i == len(want) - 1)

    if [part.shape for part in got] == [part.shape for part in want]:
        pairs = {i: i for i in range(len(want))}
    else:
        pairs = _aligned([part.shape for part in want], [part.shape for part in got], error)
    if not pairs:
        raise BadInput(
            f"where {file.name} differs cannot be told:"
            f" none of its {len(got)} layers is like one of the network's {len(want)}"
        )
    return [LayerError(name, error(i, pairs[i]) if i in pairs else None) for i, name in enumerate(names)]


def first_difference(errors: list[LayerError], tolerance: float = TOLERANCE) -> str:
    """A clause that names the first layer that differs, and how well those before it agree; or that all agree."""
    known = [(entry.layer, entry.error) for entry in errors if entry.error is not None]
    missing = len(errors) - len(known)
    but = (
        f"; {missing} of {len(errors)} layers have no counterpart in the file: they were merged with others,"
        " or it is another network"
        if missing
        else ""
    )
    right = [error <= tolerance for _, error in known]
    at = len(right) - right[::-1].index(True) if any(right) else 0  # nothing agrees from here on
    odd = [name for (name, _), same in zip(known[:at], right[:at], strict=True) if not same]
    if odd:
        some = odd[0] + (f" and {len(odd) - 1} more" if len(odd) > 1 else "")
        but = f"; {some} before hold other values while layers behind agree: rewritten, or on another branch{but}"
    agree = max((error for (_, error), same in zip(known, right, strict=True) if same), default=0.0)
    if at == len(known):
        return f"all {len(known) - len(odd)} layers agree to {agree:.0e}{but}"
    found = f"first layer that differs: {known[at][0]} (relative error {known[at][1]:.0e})"
    if at == 0:
        return found + but
    return f"{found}; all {at - len(odd)} before agree to {agree:.0e}, the last is {known[at - 1][0]}{but}"


def _error(got: Values, want: Values, *, ordered: bool) -> float:
    """The relative error of outputs (N, C, positions), unless `ordered` whatever the order of the file's channels."""
    direct = relative_error(got, want)
    if ordered or direct <= TOLERANCE or not np.isfinite(direct):
        return direct
    theirs, ours = (np.moveaxis(part, 1, 0).reshape(part.shape[1], -1).astype(float) for part in (got, want))
    places = np.random.default_rng(0).permutation(ours.shape[1])[:_SAMPLED]
    a, b = theirs[:, places], ours[:, places]
    distance = (b**2).sum(1)[:, None] + (a**2).sum(1) - 2 * b @ a.T
    nearest = theirs[distance.argmin(axis=1)]
    return min(direct, float(np.abs(nearest - ours).max() / np.abs(ours).max()))


def _aligned(
    want: list[tuple[int, ...]], got: list[tuple[int, ...]], error: Callable[[int, int], float]
) -> dict[int, int]:
    """Network layer -> file layer, in order: as many of equal shape as possible, those that agree counting twice."""
    best = np.zeros((len(want) + 1, len(got) + 1), int)
    worth = np.zeros((len(want), len(got)), int)
    for i in reversed(range(len(want))):
        for j in reversed(range(len(got))):
            if want[i] == got[j]:
                worth[i, j] = 2 if error(i, j) <= TOLERANCE else 1
            joined = best[i + 1, j + 1] + worth[i, j] if worth[i, j] else 0
            best[i, j] = max(joined, best[i + 1, j], best[i, j + 1])
    pairs: dict[int, int] = {}
    i = j = 0
    while i < len(want) and j < len(got):
        if worth[i, j] and best[i, j] == best[i + 1, j + 1] + worth[i, j]:
            pairs[i] = j
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return pairs


def _planes(values: Values, channels_last: bool) -> Values:
    """(N, C, positions), whatever kind of layer gave the output."""
    values = np.moveaxis(values, -1, 1) if channels_last else values
    return np.asarray(values, np.float32).reshape(*values.shape[:2], -1)


def _of_network(network: nn.Module, x: Values) -> tuple[list[str], list[Values]]:
    names: list[str] = []
    outputs: list[Values] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, result: torch.Tensor) -> None:
            names.append(name)
            # Copied, because an activation may write over it.
            outputs.append(_planes(result.detach().numpy().copy(), isinstance(module, nn.Linear)))

        return hook

    for name, module in network.named_modules():
        if isinstance(module, _LAYERS):
            module.register_forward_hook(watch(name))
    with torch.inference_mode():
        network(torch.from_numpy(x))
    return names, outputs


def _of_onnx(file: Path, x: NDArray[Any]) -> list[Values]:
    from pumice.deploy.onnx import read_onnx, require_onnx
    from pumice.deploy.onnxruntime import load_onnxruntime

    onnx, onnxruntime = require_onnx(), load_onnxruntime()
    proto = read_onnx(file)
    found = _onnx_layers(proto)
    if not found:
        return []  # asked for no output, the runtime would give all
    already = {output.name for output in proto.graph.output}
    hidden = [name for name in dict.fromkeys(found) if name not in already]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in hidden)
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    batch = dims[0].dim_value or len(x)
    passes = np.resize(x, (-(-len(x) // batch), batch, *x.shape[1:]))  # the last one filled with the first images
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        opened = Path(folder) / "layers.onnx"
        opened.write_bytes(proto.SerializeToString())
        try:
            session = onnxruntime.InferenceSession(str(opened), options, providers=["CPUExecutionProvider"])
            parts = [session.run(list(found), {session.get_inputs()[0].name: images}) for images in passes]
        except Exception as error:  # its errors have no common class
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise BadInput(f"where {file.name} differs cannot be told: onnxruntime refuses ({reason})") from error
    whole = [np.concatenate(part)[: len(x)] for part in zip(*parts, strict=True)]
    return [_planes(part, flat) for part, flat in zip(whole, found.values(), strict=True)]


def _onnx_layers(proto: Any) -> dict[str, bool]:
    """Tensor that a layer gives -> whether its channels come last, in the order in which the layers run."""
    weights = {weight.name for weight in proto.graph.initializer}
    nodes = list(proto.graph.node)
    for node in nodes:
        if node.op_type in ("DequantizeLinear", "Transpose", "Identity", "Reshape") and node.input[0] in weights:
            weights.update(node.output)
    found: dict[str, bool] = {}
    for node in nodes:
        if node.op_type in _ONNX and node.input[1] in weights:
            readers = [other for other in nodes if node.output[0] in other.input]
            # A linear layer of more than two dimensions is a product and a sum.
            adds = node.op_type == "MatMul" and len(readers) == 1 and readers[0].op_type == "Add"
            biased = adds and any(name in weights for name in readers[0].input)
            found[readers[0].output[0] if biased else node.output[0]] = not node.op_type.startswith("Conv")
    return found


_READERS: dict[str, Callable[[Path, NDArray[Any]], list[Values]]] = {"onnxruntime": _of_onnx}
