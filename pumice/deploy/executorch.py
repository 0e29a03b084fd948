"""ExecuTorch: .pte programs whose convolutions, products and activations run in XNNPACK.

What XNNPACK has no kernel for stays outside its parts and runs in ExecuTorch's portable kernels.  The runtime's package
imports torch, so a session here does too.
"""

import contextlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray

from pumice.deploy.averages import InSteps
from pumice.deploy.baked import example_of
from pumice.deploy.carried import read_manifest
from pumice.deploy.executorch_lowering import planar
from pumice.deploy.network import folded, name_of
from pumice.deploy.session import Session, fit_size
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

METHOD = "forward"
INT8 = "int8"
"""A method that only quantised programs have: a program says nothing else of how it computes."""
_UINT8, _FLOAT32 = 0, 6  # as the runtime numbers the types of elements


def write_executorch(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
) -> None:
    """Write a .pte straight to `path`; `pumice.deploy.export.export` is the careful way.

    Args:
        model: any network of one image tensor; it is not changed.
        path: file to write.
        input_size: (C, H, W) of the file.
        manifest: names the network; `export` puts it behind the program.
        batch: images a pass.
        dynamic: nothing; the file is of one size.

    Raises:
        BadInput: ExecuTorch cannot express the network.
        OSError: the file cannot be written.
    """
    with converting(name_of(model, manifest)), InSteps():
        program = torch.export.export(planar(folded(model, input_size)), (example_of(model, batch, input_size),))
        content = lowered(program)
    path.write_bytes(content)


def lowered(program: "ExportedProgram", **constants: Any) -> bytes:
    """The .pte of a program, all that XNNPACK knows handed to XNNPACK, tried once.

    Args:
        program: of one method, which becomes `METHOD`.
        constants: further methods, that answer a constant.

    Raises:
        Unknown: an operator is not one of the core, or is left over and the runtime has no kernel for it.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    layers = _layers(program)
    inputs = [torch.zeros_like(value) for value in program.example_inputs[0]]
    program = program.run_decompositions({torch.ops.aten.hardsigmoid.default: _hard_sigmoid})
    try:
        edge = to_edge_transform_and_lower(
            program, partitioner=[XnnpackPartitioner()], constant_methods=constants or None
        )
        layers |= _layers(edge.exported_program(METHOD))
        content = bytes(edge.to_executorch().buffer)
    except Exception as error:  # each stage has errors of its own
        raise _unknown(str(error), layers) or error from None
    with _RUNNING, _silent() as said:
        try:
            _binding()._load_for_executorch_from_buffer(content).run_method(METHOD, inputs)
        except RuntimeError as error:
            raise _unknown(said.getvalue(), layers) or error from None
    return content


class Unknown(Exception):
    """An operator that cannot be said, and its layer."""


def _unknown(text: str, layers: dict[str, str]) -> Unknown | None:
    """What an error or the runtime's words complain about, None where they name no operator."""
    found = re.search(r"\baten(?:\.|::)(\w+)", text)
    if found is None:
        return None
    operator = f"aten::{found.group(1)}"
    return Unknown(operator, layers.get(operator, ""))


def _layers(program: "ExportedProgram") -> dict[str, str]:
    """Operator -> the path of a module that asks for it."""
    layers: dict[str, str] = {}
    for node in program.graph.nodes:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if hasattr(node.target, "_schema") and stack:
            layers.setdefault(str(node.target._schema.name), str(stack[-1][0]).removeprefix("L['self']."))
    return layers


def _hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """As torch writes it in core operators, but with numbers of x's type: whole ones are converted in every pass."""
    return torch.clamp(x + 3.0, 0.0, 6.0) * (1 / 6)


@contextlib.contextmanager
def converting(name: str) -> Iterator[None]:
    """Keep a conversion quiet, and make one sentence of what stops it.

    Raises:
        BadInput: ExecuTorch cannot express the network `name`.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            yield
    except (BadInput, OSError):
        raise
    except Exception as error:  # every stage has errors of its own
        raise BadInput(f"cannot export {name} to ExecuTorch: {_reason(error)}") from error
    finally:
        logging.disable(before)


def _reason(error: Exception) -> str:
    """One clause: the operator at fault and its layer where they are known, else the error's first line."""
    if isinstance(error, Unknown):
        operator, layer = error.args
        return f"it cannot run the operator {operator}" + (f" of layer {layer}" if layer else "") + " as it is used"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


# XNNPACK's threads belong to the process, and a loaded method keeps a pointer to them: running one after their number
# changed is an access to freed memory.  So all methods are dropped before it changes, and loaded again when they run.
_RUNNING = threading.Lock()
_OPEN: "WeakSet[ExecuTorchSession]" = WeakSet()


@final
class ExecuTorchSession(Session):
    """A .pte in ExecuTorch on the CPU.

    All sessions of a process share one pool of threads.  One that finds it of another size than its own `threads` makes
    it anew and loads its program again, some ms that fall on that pass; sessions of equal `threads` disturb each
    other in nothing but that passes follow one another.
    """

    runtime: ClassVar[str] = "executorch"

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
        self.threads = threads
        self._content = path.read_bytes()
        self._program: Any = None
        self._method: Any = None
        with _RUNNING:
            try:
                names, meta = self._load()
            except Exception as error:  # one class for everything, and no more than a number in it
                raise BadInput(
                    f"executorch cannot open {path}, it is damaged or made for another runtime"
                    f" ({str(error).splitlines()[0][:200]}); export it again"
                ) from error
        reads = meta.num_inputs() == 1 and meta.input_tensor_meta(0)
        if not reads or len(reads.sizes()) != 4 or reads.dtype() not in (_UINT8, _FLOAT32) or meta.num_outputs() != 1:
            raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
        pixels = reads.dtype() == _UINT8
        batch, size = fit_size(path, list(reads.sizes()), batch, input_size, manifest, pixels=pixels)
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=path.stat().st_size,
            pixels=pixels,
        )
        if INT8 in names:
            self.dtype = "int8"

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        image = torch.from_numpy(np.require(x, requirements=["C", "W"]))
        with _RUNNING:
            if self._method is None or _binding()._threadpool_get_thread_count() != self.threads:
                self._load()
            logits: torch.Tensor = self._method.execute([image])[0]
        return logits.numpy()

    def close(self) -> None:
        """Free the runtime's memory."""
        with _RUNNING:
            self._program = self._method = None
            self._content = b""

    def _load(self) -> tuple[set[str], Any]:
        """Load the program on a pool of `threads`; the names of its methods, and what `METHOD` reads and answers."""
        with _silent():
            binding = _binding()
            from executorch.runtime import Runtime

            if binding._threadpool_get_thread_count() != self.threads:
                for session in _OPEN:
                    session._program = session._method = None
                binding._unsafe_reset_threadpool(self.threads)
            program = Runtime.get().load_program(self._content)
            self._program, self._method = program, program.load_method(METHOD)
            _OPEN.add(self)
            return program.method_names, self._method.metadata


def _binding() -> Any:
    """The runtime's functions, without the warning that they may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from executorch.extension.pybindings import portable_lib
    return portable_lib


@contextlib.contextmanager
def _silent() -> Iterator[io.StringIO]:
    """Catch what the runtime tells of CPU and threads, and of each stage of a failure."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        yield said
