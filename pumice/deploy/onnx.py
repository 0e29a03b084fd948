"""ONNX files: export through torch's own exporter, and ONNX Runtime.

A file holds one graph and all its weights, input "image" (N, C, H, W), output "logits" (N, classes), float32.
"""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import MANIFEST, read_manifest
from pumice.deploy.network import folded, name_of
from pumice.deploy.session import Session
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

# ONNX Runtime 1.32 and OpenVINO 2026.4 also take 21 to 24, with the same nodes and the same latency; runtimes on
# devices are older than that, so the oldest opset that says everything is the better one to ship.
OPSET = 20
INPUT, OUTPUT = "image", "logits"
Dynamic = Literal["batch", "size", "both"]
_AXES: dict[Dynamic | None, dict[int, str]] = {
    None: {},
    "batch": {0: "batch"},
    "size": {2: "height", 3: "width"},
    "both": {0: "batch", 2: "height", 3: "width"},
}


def export_onnx(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: Dynamic | None = None,
) -> None:
    """Write an .onnx file straight to `path`; `pumice.deploy.export.export` is the careful way.

    Args:
        model: any network of one image tensor; it is not changed.
        path: file to write.
        input_size: (C, H, W) to trace at; the file's own size unless it is dynamic.
        manifest: goes into the metadata.
        batch: batch of a static file.
        dynamic: the dimensions that stay open until a session is made.  Tracing takes 3-4 times as long; a dynamic
            file fixed when it is opened runs exactly as fast as a static one.

    Raises:
        BadInput: the exporter cannot express the network.
        OSError: the file cannot be written.
    """
    _require_onnx()
    axes = _AXES[dynamic]
    name = name_of(model, manifest)
    network = folded(model, input_size)
    # The tracer takes a dimension of 1 for a constant, hence two images where the batch stays open.
    example = torch.zeros(2 if 0 in axes else batch, *input_size)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(axes,) if axes else None,
            )
            assert program is not None
            proto = program.model_proto
    except Exception as error:
        raise BadInput(f"cannot export {name} to ONNX: {_reason(error)}") from error
    fixed = [axis for i, axis in axes.items() if not _dims(proto.graph.input[0])[i]]
    if fixed:
        raise BadInput(f"{name} computes with a fixed {' and '.join(fixed)}; export it without dynamic=")
    _strip(proto)
    if manifest is not None:
        set_property(proto, MANIFEST, manifest.dumps())
    path.write_bytes(proto.SerializeToString())


def export_to_measure(
    model: nn.Module, path: Path, input_size: tuple[int, int, int], *, open_size: bool = True
) -> None:
    """Write an .onnx file, open in its input size or not, for measuring candidates; it never ships.

    torch's older exporter traces in a tenth of the time (0.4 to 1.4 s of CPU against 4 to 15 s) and the files run as
    fast, within noise (docs/log.md).  torch calls it deprecated: where it is gone or fails, the usual one does it.

    Raises:
        BadInput: neither can express the network.
    """
    _require_onnx()
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                folded(model, input_size),
                (torch.zeros(1, *input_size),),
                str(path),
                dynamo=False,
                opset_version=17,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: _AXES["size"]} if open_size else None,
            )
    except Exception:  # whatever it does not like
        export_onnx(model, path, input_size, dynamic="size" if open_size else None)


def set_property(proto: Any, key: str, value: str) -> None:
    """Set one text property of an ONNX model."""
    for entry in proto.metadata_props:
        if entry.key == key:
            entry.value = value
            return
    proto.metadata_props.add(key=key, value=value)


def read_onnx(path: Path) -> Any:
    """The ONNX model in a file.

    Raises:
        BadInput: it is no ONNX model.
    """
    onnx = _require_onnx()
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own error class depends on its implementation
        raise BadInput(f"{path} is not an ONNX model; export it again") from error
    # Almost any bytes are a valid protobuf message of unknown fields.
    if not proto.graph.node or not proto.graph.output or not proto.opset_import:
        raise BadInput(f"{path} is not an ONNX model; export it again")
    return proto


def _require_onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BadInput("ONNX files need the deploy extra; run `pip install 'pumice[deploy]'`") from error
    return onnx


def _dims(value: Any) -> list[str]:
    """Names of the open dimensions of a graph input, "" for a fixed one, "?" for one without a name."""
    shape = value.type.tensor_type.shape.dim
    return ["" if dim.dim_value > 0 else dim.dim_param or "?" for dim in shape]


def _strip(proto: Any) -> None:
    """Drop the exporter's notes: they triple the graph and show source paths of the machine that exported."""
    proto.producer_name, proto.producer_version = "pumice", ""
    proto.doc_string = proto.graph.doc_string = ""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    for items in (proto.graph.node, proto.graph.value_info, proto.graph.initializer, proto.graph.input):
        for item in items:
            item.doc_string = ""
            del item.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's prints, warnings and log lines; what it raises still comes through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # noqa: SIM117
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """One clause from a chain of exporter errors: the operator at fault, else the innermost error's first line."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for link in reversed(chain):
        if found := re.search(r"op='([\w.:]+)'|torch\.ops\.([\w.]+)|\b(aten(?:\.|::)\w+)", str(link)):
            operator = next(group for group in found.groups() if group)
            return f"ONNX export does not know the operator {operator} as it is used here"
    lines = [line for line in str(chain[-1]).splitlines() if line.strip()]
    return (lines[0].strip() if lines else type(chain[-1]).__name__)[:200]


@final
class OnnxRuntimeSession(Session):
    """A file in ONNX Runtime on the CPU: one pool of `threads` that sleeps between passes instead of spinning."""

    runtime: ClassVar[str] = "onnxruntime"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        batch: int | None = 1,
        input_size: tuple[int, int, int] | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        import onnxruntime

        proto = read_onnx(path)
        # Files of old exporters list their weights among the inputs.
        weights = {tensor.name for tensor in proto.graph.initializer}
        inputs = [value for value in proto.graph.input if value.name not in weights]
        if len(inputs) != 1 or len(_dims(inputs[0])) != 4:
            raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
        shape = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
        names = _dims(inputs[0])
        manifest = manifest or read_manifest(path)
        batch, size = fit_size(path, shape, batch, input_size, manifest)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for name, value in zip(names, (batch, *size), strict=True):
            if name not in ("", "?"):
                options.add_free_dimension_override_by_name(name, value)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise BadInput(f"onnxruntime cannot open {path}: {str(error).splitlines()[0][:200]}") from error
        self._input = inputs[0].name
        self._outputs = [self._session.get_outputs()[0].name]
        super().__init__(
            threads=threads, batch=batch, input_size=size, manifest=manifest, file_bytes=path.stat().st_size
        )

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        return self._session.run(self._outputs, {self._input: x})[0]

    def close(self) -> None:
        """Free the runtime's memory."""
        self._session = None


def fit_size(
    path: Path,
    shape: list[int],
    batch: int | None,
    input_size: tuple[int, int, int] | None,
    manifest: Manifest | None,
) -> tuple[int, tuple[int, int, int]]:
    """The batch and (C, H, W) to open a file at: those asked for, else the file's, else the manifest's.

    Args:
        path: the file, for the sentence.
        shape: the file's (N, C, H, W), where anything below 1 is open.
        batch: images a pass, None for the file's own.
        input_size: the size asked for.
        manifest: what the file carries.

    Raises:
        BadInput: the file is fixed to another size or batch, or is open and nobody says at which size.
    """
    wanted = input_size or (manifest.input_size if manifest else None)
    size = [have if have > 0 else (wanted[i] if wanted else 0) for i, have in enumerate(shape[1:])]
    if min(size) < 1:
        raise BadInput(f"{path} is open to any input size and carries none; give input_size=(C, H, W)")
    if input_size is not None and tuple(size) != tuple(input_size):
        raise BadInput(f"{path} is fixed to input size {tuple(size)}, not {tuple(input_size)}; export it at that size")
    if batch is not None and shape[0] > 0 and shape[0] != batch:
        raise BadInput(f"{path} is fixed to batch {shape[0]}, not {batch}; export it with dynamic='batch'")
    channels, height, width = size
    return batch or max(shape[0], 1), (channels, height, width)
