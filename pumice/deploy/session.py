"""One interface to every runtime.

with open_session("model.onnx", threads=1) as session:
    logits = session.run(session.manifest.preprocess(image)[None])
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import ClassVar, Self, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import model_file, read_checked, read_manifest
from pumice.deploy.compare import TOLERANCE, relative_error
from pumice.deploy.network import frozen, load, size_of
from pumice.deploy.probes import probe_inputs
from pumice.errors import BadInput, CheckFailed, nearest
from pumice.models.manifest import Manifest

# Runtime -> where its session class lives; the classes are imported when asked for.
_CLASSES = {
    "eager": "pumice.deploy.eager:EagerSession",
    "onnxruntime": "pumice.deploy.onnx:OnnxRuntimeSession",
    "openvino": "pumice.deploy.openvino:OpenVinoSession",
}
RUNTIMES = tuple(_CLASSES)
# Suffix of a file -> the runtimes that read it, the first preferred.
READERS = {".onnx": ("onnxruntime", "openvino"), ".xml": ("openvino",)}


class Session(ABC):
    """A network ready to run at one input size, with a stated number of threads.

    Args:
        threads: processor threads of one forward pass.
        batch: images in one forward pass.
        input_size: (C, H, W).
        manifest: what the file or checkpoint carries, None for a file of another maker.
        file_bytes: size of the model file, all its parts; None for a network without one.
    """

    runtime: ClassVar[str]
    dtype: ClassVar[str] = "float32"
    # Whether a forward pass takes exactly `batch` images.
    fixed_batch: ClassVar[bool] = True

    def __init__(
        self,
        *,
        threads: int,
        batch: int,
        input_size: tuple[int, int, int],
        manifest: Manifest | None,
        file_bytes: int | None,
        device: str = "cpu",
    ) -> None:
        self.threads = threads
        self.batch = batch
        self.input_size = input_size
        self.manifest = manifest
        self.file_bytes = file_bytes
        self.device = device

    @abstractmethod
    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of exactly `batch` images (any number where `fixed_batch` is false), unchecked."""

    @final
    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, H, W) float32 -> (N, classes) float32 logits, in passes of `batch` images.

        Raises:
            BadInput: the shape or dtype is not what the network reads.
        """
        if x.shape[1:] != self.input_size or x.dtype != np.float32 or len(x) == 0:
            expected = (self.batch, *self.input_size)
            raise BadInput(f"this model reads float32 of shape {expected}, not {x.dtype} of shape {x.shape}")
        if not self.fixed_batch or len(x) == self.batch:
            return self.infer(x)
        # A last pass that is not full is filled with zeros, whose outputs are dropped.
        fill = -len(x) % self.batch
        padded = np.concatenate([x, np.zeros((fill, *self.input_size), np.float32)]) if fill else x
        passes = [self.infer(padded[i : i + self.batch]) for i in range(0, len(padded), self.batch)]
        return np.concatenate(passes)[: len(x)]

    def close(self) -> None:  # noqa: B027 (most runtimes free themselves)
        """Let go of the runtime's memory; the session is not used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def installed(runtime: str) -> bool:
    """Whether the runtime's package can be imported."""
    return runtime == "eager" or find_spec(runtime) is not None


def require(runtime: str) -> str:
    """The runtime's name, when it exists and is installed.

    Raises:
        BadInput: it is neither a runtime of ours, nor installed.
    """
    if runtime not in _CLASSES:
        hint = nearest(runtime, [*RUNTIMES, "auto"]) or f"; choose auto, {', '.join(RUNTIMES)}"
        raise BadInput(f"no runtime {runtime!r}{hint}")
    if not installed(runtime):
        raise BadInput(f"runtime {runtime} is not installed; run `pip install 'pumice[deploy]'`")
    return runtime


def readers(file: Path) -> tuple[str, ...]:
    """The installed runtimes that read a file, the preferred one first.

    Raises:
        BadInput: there is none.
    """
    names = tuple(name for name in READERS[file.suffix.lower()] if installed(name))
    if not names:
        raise BadInput(f"nothing installed runs {file.name}; run `pip install 'pumice[deploy]'`")
    return names


def resolve_runtime(source: str | Path | nn.Module, runtime: str = "auto") -> str:
    """The runtime that opens a source: the one asked for, or for "auto" the best one known to be right.

    A network, name or checkpoint runs eager.  A file runs in the runtime that it was made for (its budget's
    "runtime"), else in the first that reads it, passing over every one that disagreed when the file was exported.

    Raises:
        BadInput: the runtime is unknown, not installed, or cannot read this file.
        CheckFailed: every installed runtime that reads the file disagreed with the network.
    """
    if runtime != "auto":
        require(runtime)
    file = None if isinstance(source, nn.Module) else model_file(source)
    if file is None:
        return "eager" if runtime == "auto" else runtime
    able = READERS[file.suffix.lower()]
    if runtime == "eager":
        if Path(cast(str | Path, source)).is_dir():
            return runtime  # a run folder has its weights beside the file
        raise BadInput(f"eager runs networks and checkpoints, not {file.name}; choose {' or '.join(able)}")
    if runtime != "auto":
        if runtime not in able:
            raise BadInput(f"{runtime} does not read {file.name}; choose {' or '.join(able)}")
        return runtime
    usable = readers(file)
    checked = read_checked(file)
    right = [name for name in usable if checked.get(name, 0.0) <= TOLERANCE]
    if not right:
        raise CheckFailed(f"{' and '.join(usable)} disagreed with the network when {file.name} was exported")
    manifest = read_manifest(file)
    meant = manifest.budget.get("runtime") if manifest else None
    return str(meant) if meant in right else right[0]


def open_session(
    source: str | Path | nn.Module,
    *,
    runtime: str = "auto",
    threads: int = 1,
    batch: int | None = 1,
    input_size: tuple[int, int, int] | None = None,
    manifest: Manifest | None = None,
    device: str = "cpu",
) -> Session:
    """Open a model to run it.

    Args:
        source: an .onnx or .xml file, a folder with one, a run folder (its file, else its weights), .safetensors, a
            model name, or a network.  A network asked for in another runtime than eager is exported to a temporary
            file and compared with itself.
        runtime: one of `RUNTIMES`, or "auto" (see `resolve_runtime`).
        threads: processor threads of one forward pass.
        batch: images in one forward pass; None is the file's own, 1 where it is open.
        input_size: (C, H, W), by default the file's or the manifest's; another only where the file is dynamic.
        manifest: takes the place of the one that the source carries.
        device: "cpu", or "cuda" for eager.

    Raises:
        BadInput: the source or the runtime is missing, or they do not go together.
        CheckFailed: the runtime disagrees with the network.
    """
    if threads < 1 or (batch is not None and batch < 1):
        raise BadInput(f"threads and batch are at least 1, not {threads} and {batch}")
    chosen = resolve_runtime(source, runtime)
    if device != "cpu" and chosen != "eager":
        raise BadInput(f"runtime {chosen} runs on the cpu here; use runtime eager for {device}")
    module, name = _CLASSES[chosen].split(":")
    opener: Callable[..., Session] = getattr(import_module(module), name)
    file = None if isinstance(source, nn.Module) or chosen == "eager" else model_file(source)
    if file is not None:
        return opener(file, threads=threads, batch=batch, input_size=input_size, manifest=manifest)

    model, manifest = load(source, manifest)
    size, batch = size_of(model, manifest, input_size), batch or 1
    if chosen == "eager":
        return opener(model, threads=threads, batch=batch, input_size=size, manifest=manifest, device=device)
    return _exported(model, opener, threads, batch, size, manifest)


def _exported(
    model: nn.Module,
    opener: Callable[..., Session],
    threads: int,
    batch: int,
    size: tuple[int, int, int],
    manifest: Manifest | None,
) -> Session:
    """A session on a temporary static export of the network, compared with the network on two inputs."""
    from pumice.deploy.onnx import export_onnx

    model = frozen(model)
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(model, file, size, manifest=manifest, batch=batch)
        session = opener(file, threads=threads, batch=batch, input_size=size, manifest=manifest)
    x = probe_inputs(2, size, manifest.preprocess if manifest else None)
    with torch.inference_mode():
        error = relative_error(session.run(x), model(torch.from_numpy(x)).numpy())
    if error > TOLERANCE:
        session.close()
        raise CheckFailed(
            f"{session.runtime} disagrees with the network by {error:.1e} of its largest output; use another runtime"
        )
    return session
