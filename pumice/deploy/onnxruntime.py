"""ONNX Runtime: .onnx files on the CPU."""

import os
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import read_manifest
from pumice.deploy.onnx_header import read_header
from pumice.deploy.session import Session, fit_size, layout
from pumice.errors import BadInput
from pumice.models.manifest import Manifest


def load_onnxruntime() -> Any:
    """The onnxruntime package, told not to report to its makers.

    From 1.32 on it does so on Linux, in a thread of its own and with a file in the folder for temporary files.
    ORT_DISABLE_TELEMETRY, when set, decides instead.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


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
        onnxruntime = load_onnxruntime()
        inputs = read_header(path).inputs
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
        dims = inputs[0].shape
        shape = [dim if isinstance(dim, int) else 0 for dim in dims]
        manifest = manifest or read_manifest(path)
        pixels = inputs[0].pixels
        batch, size = fit_size(path, shape, batch, input_size, manifest, pixels=pixels)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for dim, value in zip(dims, layout(batch, size, pixels), strict=True):
            if isinstance(dim, str) and dim:
                options.add_free_dimension_override_by_name(dim, value)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise BadInput(f"onnxruntime cannot open {path}: {str(error).splitlines()[0][:200]}") from error
        self._input = inputs[0].name
        self._outputs = [self._session.get_outputs()[0].name]
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=path.stat().st_size,
            pixels=pixels,
        )

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        return self._session.run(self._outputs, {self._input: x})[0]

    def close(self) -> None:
        """Free the runtime's memory."""
        self._session = None
