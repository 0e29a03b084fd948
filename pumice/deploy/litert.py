"""LiteRT, once TensorFlow Lite: .tflite files, written by LiteRT's converter from PyTorch, and its runtime on the CPU.

A file reads "image" (N, C, H, W) and answers "logits", float32.  Inside it works channels last, as the runtime's
kernels do: the converter turns the image once.  Around channel shuffles and selections it turns maps back: whole planes
are moved faster than single numbers (docs/log.md), so these are left to it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import read_manifest
from pumice.deploy.session import Session, fit_size, layout
from pumice.deploy.silence import silenced
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.onnx import Dynamic

INPUT, OUTPUT = "image", "logits"


def write_litert(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: "Dynamic | None" = None,
) -> None:
    """Write a .tflite file straight to `path`; `pumice.deploy.export.export` is the careful way.

    Args:
        model: any network of one image tensor; it is not changed.
        path: file to write.
        input_size: (C, H, W), the file's own.
        manifest: for its name; `export` adds the rest.
        batch: the file's own.
        dynamic: None; a .tflite file is of one size.

    Raises:
        BadInput: the converter cannot express the network.
        OSError: the file cannot be written.
    """
    import torch

    from pumice.deploy.averages import InSteps
    from pumice.deploy.baked import example_of
    from pumice.deploy.network import folded, name_of

    network = folded(model, input_size)
    try:
        with silenced(), torch.no_grad(), InSteps():
            import litert_torch

            named = _named(network)
            content = litert_torch.convert(
                named, sample_kwargs={INPUT: example_of(network, batch, input_size)}
            ).model_content()
    except Exception as error:  # each stage of the converter raises errors of its own
        if found := re.search(r"target=torch\.ops\.(\w+\.\w+)|Lowering not found: (\w+\.\w+)", str(error)):
            operator = found[1] or found[2]
            reason = (
                f"it does not know the operator {operator}{_place(network, operator, input_size)} as it is used there"
            )
        else:
            reason = _first(error)
        raise BadInput(f"cannot export {name_of(model, manifest)} to LiteRT: {reason}") from error
    path.write_bytes(content)


def _named(network: "nn.Module") -> "nn.Module":
    """The network with names that the file's signature takes over."""
    from torch import Tensor, nn

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {OUTPUT: self.network(image)}

    return Named().eval()


def _place(network: "nn.Module", operator: str, input_size: tuple[int, int, int]) -> str:
    """ " of layer PATH", the first with the operator; "" where only the converter's own steps bring it in."""
    import torch

    try:
        with silenced():
            program = torch.export.export(network, (torch.zeros(1, *input_size),))
    except Exception:  # what cannot even be traced has no layers to name
        return ""
    for node in program.graph.nodes:
        if str(node.target).startswith(f"{operator}.") and (stack := node.meta.get("nn_module_stack")):
            path = str(list(stack.values())[-1][0])
            return f" of layer {path}" if path else ""
    return ""


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


@final
class LiteRtSession(Session):
    """A .tflite file in LiteRT on the CPU, its convolutions, products and activations in XNNPACK's kernels.

    The file stays mapped while a session is open: put another in its place, do not write into it.
    A quantised file (its weights int8) reads and answers float32 like any other.
    """

    runtime: ClassVar[str] = "litert"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        batch: int | None = 1,
        input_size: tuple[int, int, int] | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        manifest = manifest or read_manifest(path)
        self._interpreter: Any = _opened(path, threads)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or len(outputs) != 1:
            raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
        pixels = inputs[0]["dtype"] is np.uint8
        if not (pixels or inputs[0]["dtype"] is np.float32) or outputs[0]["dtype"] is not np.float32:
            raise BadInput(f"{path} does not read and answer float32; convert it with float32 inputs and outputs")
        shape = [max(0, int(side)) for side in inputs[0]["shape_signature"]]
        if not pixels and shape[1] not in (1, 3) and shape[3] in (1, 3):
            raise BadInput(f"{path} reads images with their channels last; only (N, C, H, W) opens here")
        batch, size = fit_size(path, shape, batch, input_size, manifest, pixels=pixels)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        try:
            with silenced():
                if 0 in shape:
                    self._interpreter.resize_tensor_input(self._input, layout(batch, size, pixels))
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"litert cannot run {path}: {_first(error)}") from error
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=path.stat().st_size,
            pixels=pixels,
        )
        if any(tensor["dtype"] is np.int8 for tensor in self._interpreter.get_tensor_details()):
            self.dtype = "int8"

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        self._interpreter.set_tensor(self._input, x)
        self._interpreter.invoke()
        answer: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return answer

    def close(self) -> None:
        """Free the runtime's memory."""
        self._interpreter = None


def _opened(path: Path, threads: int) -> Any:
    """The runtime's interpreter of a file, no memory planned yet.

    Raises:
        BadInput: it is no model of this runtime's, or is damaged.
    """
    try:
        with silenced():
            from ai_edge_litert.interpreter import Interpreter

            return Interpreter(model_path=str(path), num_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"litert cannot open {path}: {_first(error)}; export it again") from error
