"""OpenVINO: its .xml + .bin pair, and its CPU runtime with float32 forced.

OpenVINO 2026.4 returns wrong outputs on some graphs (channel shuffles written as a gather, for one), so nothing is
opened here unwatched: `export` and `verify` compare every file with its network.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import MANIFEST, read_manifest
from pumice.deploy.session import Session, fit_size, layout, require
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.onnx import Dynamic


def export_openvino(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: "Dynamic | None" = None,
) -> None:
    """Write `path` (.xml) and its .bin, in float32, by way of ONNX; arguments and errors as `export_onnx`."""
    from pumice.deploy.onnx import export_onnx

    require("openvino")
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(model, file, input_size, batch=batch, dynamic=dynamic, lowered_for="openvino")
        network = read_network(file)
        if manifest is not None:
            network.set_rt_info(manifest.dumps(), [MANIFEST])
        save_network(network, path)


def save_network(network: Any, path: Path) -> None:
    """Write an OpenVINO model as .xml and .bin.

    Raises:
        OSError: a file cannot be written whole.
    """
    import openvino

    try:
        openvino.save_model(network, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        # Its writer says no more than "iostream error", and takes the half-written files away.
        raise OSError("OpenVINO could not write it whole, most likely because the disk is full") from error


def read_network(path: Path) -> Any:
    """The OpenVINO model in an .xml or .onnx file, not yet compiled.

    Raises:
        BadInput: OpenVINO cannot read it.
    """
    import openvino

    if path.suffix.lower() == ".xml" and not path.with_suffix(".bin").is_file():
        raise BadInput(f"{path} has no {path.stem}.bin beside it; copy the pair together")
    try:
        return openvino.Core().read_model(str(path))
    except Exception as error:
        raise BadInput(f"openvino cannot read {path}; export it again") from error


@final
class OpenVinoSession(Session):
    """A file in OpenVINO on the CPU: float32, one stream of `threads`, not pinned (the caller may pin)."""

    runtime: ClassVar[str] = "openvino"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        batch: int | None = 1,
        input_size: tuple[int, int, int] | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        import openvino

        manifest = manifest or read_manifest(path)
        network = read_network(path)
        if len(network.inputs) != 1 or network.input().partial_shape.rank.get_max_length() != 4:
            raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
        shape = [0 if dim.is_dynamic else dim.get_length() for dim in network.input().partial_shape]
        pixels = network.input().element_type == openvino.Type.u8
        batch, size = fit_size(path, shape, batch, input_size, manifest, pixels=pixels)
        # A hint of lower precision is faster on some machines and is not what the file says; f32 is forced.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            if 0 in shape:
                network.reshape(list(layout(batch, size, pixels)))
            self._compiled = openvino.Core().compile_model(network, "CPU", settings)
        except Exception as error:
            raise BadInput(
                f"openvino cannot compile {path} at {(batch, *size)}: {str(error).splitlines()[0][:200]}"
            ) from error
        self._request = self._compiled.create_infer_request()
        parts = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=sum(part.stat().st_size for part in parts),
            pixels=pixels,
        )

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        return self._request.infer([x], share_inputs=True)[0]

    def close(self) -> None:
        """Free the runtime's memory."""
        self._request = self._compiled = None
