"""AOTInductor: a network compiled ahead of time to a .pt2 that holds machine code and weights.

The code is for the processor that compiled it.  Compiling takes half a minute to minutes and needs a C++ compiler.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.baked import example_of
from pumice.deploy.carried import read_manifest
from pumice.deploy.eager import torch_threads
from pumice.deploy.pt2 import exported, plainly_named, quiet
from pumice.deploy.session import Session, fit_size
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.progress import track

COMPILERS = ("g++", "clang++", "c++")
SHAPE, DTYPE = "input_shape", "input_dtype"  # entries of the package, since its code does not say what it reads


def write_aoti(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
) -> None:
    """Compile a network; arguments as `export_onnx`, the size is fixed.

    Raises:
        BadInput: torch cannot trace or compile it, or there is no compiler.
    """
    if os.environ.get("CXX") is None and not any(map(shutil.which, COMPILERS)):
        raise BadInput("aoti files need a C++ compiler; install g++ (apt install g++), or export pt2")
    program = exported(model, input_size, batch, manifest)
    reads = example_of(model, batch, input_size)
    said = {SHAPE: str(list(reads.shape)), DTYPE: str(reads.dtype)}
    with quiet(), _own_cache(), plainly_named(path) as file:
        for _ in track([None], "compiling"):
            try:
                torch._inductor.aoti_compile_and_package(
                    program,
                    package_path=str(file),
                    inductor_configs={"freezing": True, "aot_inductor.metadata": said},
                )
            except Exception as error:  # of the code generator, or of the compiler
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise BadInput(f"AOTInductor cannot compile this network: {(lines or ['?'])[0][:200]}") from error


@contextmanager
def _own_cache() -> Iterator[None]:
    """Inductor keeps what it generates; here it goes to a folder of its own and is gone afterwards."""
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TORCHINDUCTOR_CACHE_DIR"]
            else:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = before


@final
class InductorSession(Session):
    """A compiled package, on the CPU."""

    runtime: ClassVar[str] = "inductor"

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
        try:
            with quiet():
                self._run: Any = torch._inductor.aoti_load_package(str(path))
                said = self._run.get_metadata()
                shape = [int(side) for side in said[SHAPE].strip("[]").split(",")]
        except Exception as error:  # no common class
            raise BadInput(f"torch cannot open {path}: {(str(error).splitlines() or ['?'])[0][:200]}") from error
        pixels = said.get(DTYPE) == str(torch.uint8)
        batch, size = fit_size(path, shape, batch, input_size, manifest, pixels=pixels)
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
        with torch.inference_mode(), torch_threads(self.threads):
            return self._run(torch.from_numpy(x)).numpy()

    def close(self) -> None:
        """Let go of the code."""
        self._run = None
