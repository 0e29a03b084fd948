"""Pumice's own engine: a network as C (a folder), or compiled for this processor to a library that holds its weights.

A folder of C opens like a library: it is compiled where it is opened.  Either is code (`pumice.deploy.trusted`).
What the library says of itself is an archive behind it, whose absence tells that the library is cut.
"""

import _ctypes
import copy
import ctypes
import hashlib
import json
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import add_metadata, archive_start, parts_of, read_manifest, read_metadata
from pumice.deploy.session import Session, fit_size, layout
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.native.files import Example, Interface, Pixels, compile_library, write_folder
from pumice.progress import track

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.baked import Baked

INTERFACE = "pumice_native"
"""Key of what a caller must know of the code, as JSON: the fields of `Interface`, "batch" and of a library "sha256"."""
SHARE = 1e-4
"""Of how far the numbers of an answer lie apart: what the answer to the example may be off, if rounding is not more."""


def write_c(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
    tune_s: float = 0.0,
) -> None:
    """Write `path` (model.c) and what belongs to it into the folder, which exists.

    Args:
        model: frozen, perhaps `Baked`; it is not changed.
        path: of model.c.
        input_size: (C, H, W).
        manifest: gives names and classes, and how images are prepared.
        batch: images a pass of a session; the code itself reads one.
        dynamic: None; the code is of one size.
        tune_s: seconds for measuring which code is fastest here (`pumice.native.tune`); none by default.

    Raises:
        BadInput: the network has an operator that there is no code for.
        OSError: a file cannot be written.
    """
    _say(path, _write(model, path.parent, input_size, manifest, tune_s), batch)


def write_native(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
    tune_s: float = 0.0,
) -> None:
    """Write `path` (.so): the code of `write_c` compiled, and its weights; arguments as there.

    Raises:
        BadInput: the network has an operator that there is no code for, or there is no compiler.
        OSError: the file cannot be written.
    """
    from pumice.native.build import compiler

    compiler()
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        made = _write(model, Path(folder), input_size, manifest, tune_s)
        library = Path(folder, "library.so")
        _compile(Path(folder), library, made.prefix)
        # Not compiled in place: a linker's words on a place that cannot be written are of no help.
        shutil.copyfile(library, path)
    _say(path, made, batch, hashlib.sha256(path.read_bytes()).hexdigest())


def _write(
    model: "nn.Module", folder: Path, input_size: tuple[int, int, int], manifest: Manifest | None, tune_s: float
) -> Interface:
    """The files of C."""
    from pumice.deploy.baked import Baked
    from pumice.deploy.network import folded, name_of
    from pumice.native.passes import optimise
    from pumice.native.read import read
    from pumice.native.tune import tuned

    baked = model if isinstance(model, Baked) else None
    network = baked.network if baked else model
    program = optimise(read(folded(network, input_size), input_size, name=name_of(network, manifest)))
    return write_folder(
        folder,
        program,
        _example(model, input_size, manifest),
        pixels=_pixels(baked) if baked else None,
        classes=manifest.classes if manifest else (),
        feeding=_feeding(manifest),
        choices=tuned(program, tune_s) if tune_s else None,
    )


def _say(file: Path, made: Interface, batch: int, digest: str = "") -> None:
    add_metadata(file, {INTERFACE: json.dumps({**vars(made), "batch": batch, "sha256": digest})})


def _said(file: Path) -> tuple[Interface, int, str]:
    """What was said by `_say`.

    Raises:
        BadInput: nothing, so Pumice did not write the file; or the file is cut.
    """
    text = read_metadata(file).get(INTERFACE)
    if text is None:
        raise BadInput(f"{file} is no network that Pumice wrote; give one by `pumice export --format native` or c")
    try:
        said = json.loads(text)
        channels, height, width = said["input_size"]
        made = Interface(
            str(said["prefix"]),
            (int(channels), int(height), int(width)),
            tuple(map(int, said["output_shape"])),
            bool(said["pixels"]),
            int(said["weights"]),
            int(said["workspace"]),
        )
        return made, int(said["batch"]), str(said["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"what {file} says of itself is damaged; export it again") from error


def _compile(folder: Path, library: Path, prefix: str) -> None:
    for _ in track([None], "compiling"):
        compile_library(folder, library, prefix)


def _example(model: "nn.Module", input_size: tuple[int, int, int], manifest: Manifest | None) -> Example:
    """A natural image and what the network says of it."""
    import torch

    from pumice.deploy.baked import Baked
    from pumice.deploy.probes import probe_inputs, probe_pixels

    preprocess = manifest.preprocess if manifest else None
    if isinstance(model, Baked):
        image: NDArray[Any] = probe_pixels(1, *input_size[1:], seed=7)
    else:
        image = probe_inputs(1, input_size, preprocess, seed=7)
    x = torch.from_numpy(image)
    with torch.inference_mode():
        try:
            answer = model(x).numpy()[0]
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:200]
            raise BadInput(f"{type(model).__name__} cannot read images of shape {input_size}: {reason}") from error
        try:
            exact = copy.deepcopy(model).double()(x if isinstance(model, Baked) else x.double()).numpy()[0]
        except RuntimeError:  # a network that makes float32 numbers of its own
            exact = answer
    spread = float(answer.max() - answer.min()) or float(np.abs(answer).max())
    return Example(image[0], answer, max(SHARE * spread, 4 * float(np.abs(answer - exact).max())))


def _pixels(baked: "Baked") -> Pixels:
    scale, shift = (tuple(part.flatten().tolist()) for part in (baked.scale, baked.shift))
    return Pixels(scale, shift, (2, 1, 0) if baked.swap else (0, 1, 2))


def _feeding(manifest: Manifest | None) -> str:
    """How the numbers of an image are made, for people."""
    if manifest is None:
        return ""
    how = manifest.preprocess
    if how.baked:
        return "red, green and blue of the resized image"
    mean, std = (" ".join(f"{value:g}" for value in part) for part in (how.mean, how.std))
    return f"{how.channels}, each number (v / 255 - mean) / std of a pixel's v; mean {mean}, std {std}"


@final
class NativeSession(Session):
    """Compiled code, image by image; several threads take the images of a batch among them, one has each image."""

    runtime: ClassVar[str] = "native"

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
        made, images, digest = _said(path)
        reads = list(layout(images, made.input_size, made.pixels))
        batch, size = fit_size(path, reads, batch, input_size, manifest, pixels=made.pixels)
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=sum(part.stat().st_size for part in parts_of(path) if part.is_file()),
            pixels=made.pixels,
        )
        self._made = made
        try:
            library = _load(path, made.prefix, digest)
            functions = [getattr(library, f"{made.prefix}_{name}") for name in ("run", "check", "weights", "message")]
        except (OSError, AttributeError) as error:
            raise BadInput(f"{path} cannot be loaded here ({str(error)[:200]}); export it on this machine") from error
        check, weights, self._message = functions[1:]
        self._run: Any = functions[0]
        pointer, number = ctypes.c_void_p, ctypes.c_size_t
        self._run.argtypes = [pointer, number, pointer, number, pointer, number, pointer, number]
        check.argtypes, weights.restype, self._message.restype = [pointer, number], pointer, ctypes.c_char_p
        self._weights = weights()
        # ctypes never lets a library go.
        self._unload = weakref.finalize(self, _ctypes.dlclose, library._handle)
        if failed := check(self._weights, made.weights):
            raise BadInput(f"{path} does not run here: {self._message(failed).decode()}; export it again")
        # One for each thread that runs at the same time, whoever started it.
        self._workspaces: list[NDArray[np.uint8]] = []
        self._pool = ThreadPoolExecutor(min(threads, batch), "native") if min(threads, batch) > 1 else None

    @property
    def workspace_bytes(self) -> int:
        """Memory that a pass works in, beside the weights."""
        return self._made.workspace

    def infer(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """One pass of each of `batch` images."""
        x = np.ascontiguousarray(x)
        answers = np.empty((len(x), *self._made.output_shape), np.float32)
        if self._pool is None:
            self._some(x, answers)
        else:
            parts = (np.array_split(one, self.threads) for one in (x, answers))
            list(self._pool.map(self._some, *parts))
        return answers

    def _some(self, x: NDArray[Any], answers: NDArray[np.float32]) -> None:
        """Fill in the answers to some images."""
        made = self._made
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = np.empty(made.workspace, np.uint8)
        count, numbers = answers[:1].size, x[:1].size
        for i in range(len(x)):
            failed = self._run(
                self._weights,
                made.weights,
                x.ctypes.data + i * x.strides[0],
                numbers,
                answers.ctypes.data + i * answers.strides[0],
                count,
                workspace.ctypes.data,
                made.workspace,
            )
            if failed:
                raise BadInput(f"the compiled network did not run: {self._message(failed).decode()}; export it again")
        self._workspaces.append(workspace)

    def close(self) -> None:
        """End the threads, if there are any, and let go of the code."""
        if self._pool is not None:
            self._pool.shutdown()
        self._workspaces.clear()
        self._run = None
        self._unload()


def _load(path: Path, prefix: str, digest: str) -> ctypes.CDLL:
    """The library of a file, under a name that no other has: a loader gives what it has by that name already.

    Raises:
        BadInput: the file is damaged, or is C that does not compile here.
        OSError: the system refuses it.
    """
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, "model.so")
        if path.suffix.lower() == ".c":
            try:
                _compile(path.parent, file, prefix)
            except BadInput as error:
                raise BadInput(f"{path} cannot be opened: {error}") from error
        else:
            with open(path, "rb") as stream:
                content = stream.read(archive_start(path))
            if hashlib.sha256(content).hexdigest() != digest:
                raise BadInput(f"{path} is not as it was written; export it again")
            file.symlink_to(path.absolute())
        return ctypes.CDLL(str(file))
