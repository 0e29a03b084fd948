"""The native engine as a session for `native.py`: a folder of compiled code, weights and what they need."""

import ctypes
import json
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.network import folded
from pumice.deploy.session import Session
from pumice.models.manifest import Manifest
from pumice.native.build import compile_shared
from pumice.native.emit.source import source
from pumice.native.passes import optimise
from pumice.native.profiled import MARGIN, aligned
from pumice.native.read import read
from pumice.native.tune import tuned

HEAD = "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
TAIL = """
void entry(const float *weights, const float *image, float *output, float *arena, float *scratch) {
    run_all(weights, image, output, arena, scratch);
}
"""


def write_native(model: nn.Module, folder: Path, size: tuple[int, int, int], name: str, tune_s: float = 0.0) -> None:
    """Compile a network; its choices are tuned where there is time for it."""
    program = optimise(read(folded(model, size), size, name=name))
    made = source(program, tuned(program, tune_s) if tune_s else None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.c").write_text(HEAD + made.text + TAIL)
    (folder / "model.bin").write_bytes(made.weights)
    said = {"arena": made.arena, "scratch": made.scratch, "outputs": program.outputs.size, "input_size": size}
    compile_shared(folder / "model.c", folder / "model.so")
    (folder / "model.json").write_text(json.dumps(said))


@final
class NativeSession(Session):
    """Opened without torch's help; `path` is of the .json."""

    runtime: ClassVar[str] = "native"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        batch: int = 1,
        input_size: tuple[int, int, int],
        manifest: Manifest | None = None,
    ) -> None:
        said = json.loads(path.read_text())
        parts = [path.with_suffix(suffix) for suffix in (".so", ".bin")]
        self._call = ctypes.CDLL(str(parts[0])).entry
        weights = aligned(parts[1].stat().st_size // 4)
        with parts[1].open("rb") as file:
            file.readinto(weights.data)
        self._output = aligned(said["outputs"])
        self._kept = (weights, self._output, aligned(said["arena"] + MARGIN), aligned(said["scratch"] + MARGIN))
        self._weights, *self._rest = (ctypes.c_void_p(block.ctypes.data) for block in self._kept)
        self.planned_bytes = 4 * (said["arena"] + said["scratch"])
        super().__init__(
            threads=threads,
            batch=batch,
            input_size=input_size,
            manifest=manifest,
            file_bytes=sum(part.stat().st_size for part in parts),
        )

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One image."""
        x = np.ascontiguousarray(x)
        self._call(self._weights, ctypes.c_void_p(x.ctypes.data), *self._rest)
        return self._output[None].copy()
