"""ONNX files, written by torch's own exporter.

A file holds one graph and all its weights, input "image" (N, C, H, W), output "logits" (N, classes), float32; with
preprocessing baked in, the input is uint8 (N, H, W, C).
"""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pumice.deploy.baked import Baked, example_of
from pumice.deploy.carried import MANIFEST
from pumice.deploy.lower import lowered
from pumice.deploy.network import folded, name_of
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
_OF_PIXELS = {0: 0, 2: 1, 3: 2}  # where a dimension lies in (N, H, W, C)


def export_onnx(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: Dynamic | None = None,
    lowered_for: str = "onnx",
) -> None:
    """Write an .onnx file straight to `path`; `pumice.deploy.export.export` is the careful way.

    Args:
        model: any network of one image tensor; it is not changed.
        path: file to write.
        input_size: (C, H, W) to trace at; the file's own size unless it is dynamic.
        manifest: goes into the metadata.
        batch: batch of a static file.
        dynamic: the dimensions that stay open until a session is made.  Tracing takes 3-4 times as long; a dynamic
            file fixed when it is opened runs exactly as fast as a static one that is not rewritten.
        lowered_for: the format whose rewrites pay (`pumice.deploy.lower`); a dynamic file is not rewritten.

    Raises:
        BadInput: the exporter cannot express the network.
        OSError: the file cannot be written.
    """
    require_onnx()
    axes = _AXES[dynamic]
    if isinstance(model, Baked):
        axes = {_OF_PIXELS[i]: axis for i, axis in axes.items()}
    name = name_of(model, manifest)
    with _quiet():
        network = lowered(model, input_size, batch=batch, format=lowered_for, dynamic=dynamic is not None)
    # The tracer takes a dimension of 1 for a constant, hence two images where the batch stays open.
    example = example_of(model, 2 if 0 in axes else batch, input_size)
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
    require_onnx()
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
    onnx = require_onnx()
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own error class depends on its implementation
        raise BadInput(f"{path} is not an ONNX model; export it again") from error
    # Almost any bytes are a valid protobuf message of unknown fields.
    if not proto.graph.node or not proto.graph.output or not proto.opset_import:
        raise BadInput(f"{path} is not an ONNX model; export it again")
    return proto


def require_onnx() -> Any:
    """The onnx package.

    Raises:
        BadInput: the deploy extra is not installed.
    """
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
