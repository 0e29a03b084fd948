"""torch's own programs: `torch.export`'s graph and weights in one .pt2, run by PyTorch.

torch 2.11 to 2.14 read parts of such an archive by unpickling (`torch.export.pt2_archive`), so that files that were
not written here open only when they are trusted (`pumice.deploy.trusted`).
"""

import logging
import shutil
import tempfile
import warnings
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
from pumice.deploy.network import folded, name_of
from pumice.deploy.session import Session, fit_size
from pumice.errors import BadInput
from pumice.models.manifest import Manifest


def write_pt2(
    model: nn.Module,
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
) -> None:
    """Write a network as a program; arguments as `export_onnx`, the size is fixed.

    Raises:
        BadInput: torch.export cannot trace it.
    """
    with quiet(), plainly_named(path) as file:
        torch.export.save(exported(model, input_size, batch, manifest), str(file))


def exported(
    model: nn.Module, input_size: tuple[int, int, int], batch: int, manifest: Manifest | None
) -> torch.export.ExportedProgram:
    """The program of a network, its batch norms folded.

    Raises:
        BadInput: torch.export cannot trace it.
    """
    network = folded(model, input_size)
    try:
        with torch.no_grad():
            return torch.export.export(network, (example_of(model, batch, input_size),))
    except Exception as error:  # whatever the tracer does not like
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise BadInput(f"torch.export cannot trace {name_of(model, manifest)}: {reason[:200]}") from error


@contextmanager
def plainly_named(path: Path) -> Iterator[Path]:
    """A file to write that then becomes `path`: torch names the root of its archive after the file."""
    with tempfile.TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, "model.pt2")
        yield file
        shutil.move(file, path)


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's warnings and log lines, which are for its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def input_of(program: torch.export.ExportedProgram, path: Path) -> tuple[list[int], bool]:
    """(N, C, H, W) of the one input of a program, or (N, H, W, C), and whether it is of pixels.

    Raises:
        BadInput: it has others.
    """
    names = set(program.graph_signature.user_inputs)
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1 or inputs[0].dim() != 4:
        raise BadInput(f"{path} does not read one batch of images (N, C, H, W); only image classifiers open here")
    return [side if isinstance(side, int) else 0 for side in inputs[0].shape], inputs[0].dtype == torch.uint8


@final
class ProgramSession(Session):
    """A program in a .pt2, operator by operator in PyTorch."""

    runtime: ClassVar[str] = "eager"

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
                program = torch.export.load(str(path))
        except Exception as error:  # no common class
            raise BadInput(f"torch cannot open {path}: {str(error).splitlines()[0][:200]}") from error
        shape, pixels = input_of(program, path)
        batch, size = fit_size(path, shape, batch, input_size, manifest, pixels=pixels)
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=size,
            manifest=manifest,
            file_bytes=path.stat().st_size,
            pixels=pixels,
        )
        self._module: Any = program.module()

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of `batch` images."""
        with torch.inference_mode(), torch_threads(self.threads):
            return self._module(torch.from_numpy(x)).numpy()

    def close(self) -> None:
        """Let go of the program."""
        self._module = nn.Identity()
