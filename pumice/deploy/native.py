"""Pumice's own engine: a network as C (a folder), or compiled for this processor to a library that holds its weights.

A folder of C opens like a library: it is compiled where it is opened.  Either is code (`pumice.deploy.trusted`).
What the library says of itself is an archive behind it, whose absence tells that the library is cut.
"""

import _ctypes
import ctypes
import hashlib
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.carried import add_metadata, archive_start, parts_of, read_manifest, read_metadata
from pumice.deploy.session import Session, fit_size, layout
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.native.files import Interface, compile_library
from pumice.progress import track

INTERFACE = "pumice_native"
"""Key of what a caller must know of the code, as JSON: the fields of `Interface`, "batch" and of a library "sha256"."""


def say(file: Path, made: Interface, batch: int, digest: str = "") -> None:
    """Let a file that was just written say what a caller must know of it; digest: of a library."""
    add_metadata(file, {INTERFACE: json.dumps({**vars(made), "batch": batch, "sha256": digest})})


def _said(file: Path) -> tuple[Interface, int, str]:
    """What was said by `say`.

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


def compile_folder(folder: Path, library: Path, prefix: str) -> None:
    """Compile the C of a folder to a library, with a bar where that takes long.

    Raises:
        BadInput: there is no compiler, or it refuses the C.
    """
    for _ in track([None], "compiling"):
        compile_library(folder, library, prefix)


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
                compile_folder(path.parent, file, prefix)
            except BadInput as error:
                raise BadInput(f"{path} cannot be opened: {error}") from error
        else:
            with open(path, "rb") as stream:
                content = stream.read(archive_start(path))
            if hashlib.sha256(content).hexdigest() != digest:
                raise BadInput(f"{path} is not as it was written; export it again")
            file.symlink_to(path.absolute())
        return ctypes.CDLL(str(file))
