"""One interface to every runtime.  A file opens without torch; a network brings it along.

with open_session("model.onnx", threads=1) as session:
    logits = session.run(session.manifest.preprocess(image)[None])
"""

import os
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy import formats
from pumice.deploy.carried import model_file, read_checked, read_manifest, read_quantised
from pumice.deploy.compare import TOLERANCE
from pumice.deploy.formats import format_of
from pumice.deploy.trusted import require_trust
from pumice.errors import BadInput, CheckFailed, nearest
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

    Source = str | Path | nn.Module

RUNTIMES = tuple(formats.RUNTIMES)


class Session(ABC):
    """A network ready to run at one input size, with a stated number of threads.

    Args:
        threads: processor threads of one forward pass.
        batch: images in one forward pass.
        input_size: (C, H, W).
        manifest: what the file or checkpoint carries, None for a file of another maker.
        file_bytes: size of the model file, all its parts; None for a network without one.
        pixels: whether the file reads uint8 RGB pixels (N, H, W, C) of resized images, not float32 planes (N, C, H, W).

    Raises:
        BadInput: the manifest says the other of the two.
    """

    runtime: ClassVar[str]
    dtype: str = "float32"
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
        pixels: bool = False,
    ) -> None:
        if manifest is not None and manifest.preprocess.baked != pixels:
            reads, says = ("pixels", "normalised planes") if pixels else ("normalised planes", "pixels")
            raise BadInput(f"this file of {manifest.model.name} reads {reads}, but says {says}; export it again")
        self.threads = threads
        self.batch = batch
        self.input_size = input_size
        self.manifest = manifest
        self.file_bytes = file_bytes
        self.device = device
        self.pixels = pixels
        self._reads = layout(batch, input_size, pixels), np.dtype(np.uint8 if pixels else np.float32)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W) of one forward pass; (N, H, W, C) where pixels are read."""
        return self._reads[0]

    @property
    def input_dtype(self) -> "np.dtype[Any]":
        """float32; uint8 where pixels are read."""
        return self._reads[1]

    @abstractmethod
    def infer(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """One forward pass of exactly `batch` images (any number where `fixed_batch` is false), unchecked."""

    @final
    def run(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(N, C, H, W) float32 -> (N, classes) float32 logits, in passes of `batch` images; `pixels` reads others.

        Raises:
            BadInput: the shape or dtype is not what the network reads.
        """
        expected, dtype = self._reads
        if x.shape[1:] != expected[1:] or x.dtype != dtype or len(x) == 0:
            raise BadInput(f"this model reads {dtype} of shape {expected}, not {x.dtype} of shape {x.shape}")
        if not self.fixed_batch or len(x) == self.batch:
            return self.infer(x)
        # A last pass that is not full is filled with zeros, whose outputs are dropped.
        fill = -len(x) % self.batch
        padded = np.concatenate([x, np.zeros((fill, *expected[1:]), dtype)]) if fill else x
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
    return runtime == "eager" or find_spec(formats.RUNTIMES[runtime].package) is not None


def known(runtime: str) -> str:
    """The runtime's name, when it is one of ours, installed here or not.

    Raises:
        BadInput: it is none.
    """
    if runtime not in RUNTIMES:
        hint = nearest(runtime, [*RUNTIMES, "auto"]) or f"; choose auto, {', '.join(RUNTIMES)}"
        raise BadInput(f"no runtime {runtime!r}{hint}")
    return runtime


def require(runtime: str) -> str:
    """The runtime's name, when it exists and is installed.

    Raises:
        BadInput: it is neither a runtime of ours, nor installed.
    """
    if not installed(known(runtime)):
        extra = formats.RUNTIMES[runtime].extra
        raise BadInput(f"runtime {runtime} is not installed; run `pip install 'pumice[{extra}]'`")
    return runtime


def readers(file: Path) -> tuple[str, ...]:
    """The installed runtimes that read a file, the preferred one first.

    Raises:
        BadInput: there is none.
    """
    form = format_of(file)
    names = tuple(name for name in form.runtimes if installed(name))
    if not names:
        raise BadInput(f"nothing installed runs {file.name}; run `pip install 'pumice[{form.extra}]'`")
    return names


def _file_of(source: "Source") -> Path | None:
    """The model file that a source means; None for a network, a name or a checkpoint."""
    return model_file(source) if isinstance(source, str | os.PathLike) else None


def resolve_runtime(source: "Source", runtime: str = "auto") -> str:
    """The runtime that opens a source: the one asked for, or for "auto" the best one known to be right.

    A network, name or checkpoint runs eager.  A file runs in the runtime that it was made for (its budget's
    "runtime"), else in the first that reads it, passing over every one that disagreed when the file was exported.

    Raises:
        BadInput: the runtime is unknown, not installed, or cannot read this file.
        CheckFailed: every installed runtime that reads the file disagreed with the network.
    """
    if runtime != "auto":
        require(runtime)
    file = _file_of(source)
    if file is None:
        return "eager" if runtime == "auto" else runtime
    able = format_of(file).runtimes
    if runtime != "auto":
        if runtime in able or Path(cast("str | Path", source)).is_dir():
            return runtime  # a run folder has its weights beside the file
        if runtime == "eager":
            raise BadInput(f"eager runs networks and checkpoints, not {file.name}; choose {' or '.join(able)}")
        raise BadInput(f"{runtime} does not read {file.name}; choose {' or '.join(able)}")
    usable = readers(file)
    checked = read_checked(file)
    right = [name for name in usable if checked.get(name, 0.0) <= TOLERANCE]
    if not right:
        raise CheckFailed(f"{' and '.join(usable)} disagreed with the network when {file.name} was exported")
    manifest = read_manifest(file)
    meant = manifest.budget.get("runtime") if manifest else None
    return str(meant) if meant in right else right[0]


def open_session(
    source: "Source",
    *,
    runtime: str = "auto",
    threads: int = 1,
    batch: int | None = 1,
    input_size: tuple[int, int, int] | None = None,
    manifest: Manifest | None = None,
    device: str = "cpu",
    trust: bool = False,
) -> Session:
    """Open a model to run it.

    Args:
        source: a model file, a folder with one, a run folder (its file, else its weights), .safetensors, a
            model name, or a network.  A network asked for in another runtime than eager is exported to a temporary
            file and compared with itself.
        runtime: one of `RUNTIMES`, or "auto" (see `resolve_runtime`).
        threads: processor threads of one forward pass.
        batch: images in one forward pass; None is the file's own, 1 where it is open.
        input_size: (C, H, W), by default the file's or the manifest's; another only where the file is dynamic.
        manifest: takes the place of the one that the source carries.
        device: "cpu", or "cuda" for eager, which is what "auto" means there.
        trust: open a .pt2 that was not written here; it is code.

    Raises:
        BadInput: the source or the runtime is missing, or they do not go together.
        CheckFailed: the runtime disagrees with the network.
    """
    if threads < 1 or (batch is not None and batch < 1):
        raise BadInput(f"threads and batch are at least 1, not {threads} and {batch}")
    chosen = resolve_runtime(source, "eager" if runtime == "auto" and device != "cpu" else runtime)
    if device != "cpu" and chosen != "eager":
        raise BadInput(f"runtime {chosen} runs on the cpu here; use runtime eager for {device}")
    formats.require_recent(chosen)
    file = _file_of(source)
    if file is not None and chosen not in format_of(file).runtimes:
        file = None  # a run folder, whose weights run in eager
    if file is not None and format_of(file).code:
        require_trust(file, trust)
    if file is not None:
        opener: Any = formats.imported(_session_class(chosen, file))
        session: Session = opener(file, threads=threads, batch=batch, input_size=input_size, manifest=manifest)
        if read_quantised(file) is not None:
            session.dtype = "int8"
        return session

    from pumice.deploy.network_session import open_network

    return open_network(
        source, chosen, threads=threads, batch=batch or 1, input_size=input_size, manifest=manifest, device=device
    )


def _session_class(runtime: str, file: Path | None) -> str:
    """ "module:class"; a program in a file runs in eager too, but is no network."""
    if runtime == "eager" and file is not None:
        return "pumice.deploy.pt2:ProgramSession"
    return formats.RUNTIMES[runtime].session


def layout(batch: int, input_size: tuple[int, int, int], pixels: bool) -> tuple[int, int, int, int]:
    """(N, C, H, W), or (N, H, W, C) for a file that reads pixels."""
    channels, height, width = input_size
    return (batch, height, width, channels) if pixels else (batch, channels, height, width)


def fit_size(
    path: Path,
    shape: list[int],
    batch: int | None,
    input_size: tuple[int, int, int] | None,
    manifest: Manifest | None,
    *,
    pixels: bool = False,
) -> tuple[int, tuple[int, int, int]]:
    """The batch and (C, H, W) to open a file at: those asked for, else the file's, else the manifest's.

    Args:
        path: the file, for the sentence.
        shape: the file's (N, C, H, W), or (N, H, W, C) of pixels, where anything below 1 is open.
        batch: images a pass, None for the file's own.
        input_size: the size asked for.
        manifest: what the file carries.
        pixels: whether the file reads pixels.

    Raises:
        BadInput: the file is fixed to another size or batch, or is open and nobody says at which size.
    """
    wanted = input_size or (manifest.input_size if manifest else None)
    if pixels:
        shape = [shape[0], shape[3], shape[1], shape[2]]
    size = [have if have > 0 else (wanted[i] if wanted else 0) for i, have in enumerate(shape[1:])]
    if min(size) < 1:
        raise BadInput(f"{path} is open to any input size and carries none; give input_size=(C, H, W)")
    if input_size is not None and tuple(size) != tuple(input_size):
        raise BadInput(f"{path} is fixed to input size {tuple(size)}, not {tuple(input_size)}; export it at that size")
    if batch is not None and shape[0] > 0 and shape[0] != batch:
        raise BadInput(f"{path} is fixed to batch {shape[0]}, not {batch}; export it with dynamic='batch'")
    channels, height, width = size
    return batch or max(shape[0], 1), (channels, height, width)
