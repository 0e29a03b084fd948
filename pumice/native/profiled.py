"""A program compiled with a clock around each operation."""

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pumice.native.build import compile_shared
from pumice.native.emit.source import Source
from pumice.native.ir import Floats, Program

HEAD = """
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
static double *times;
static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}
#define STEP(number, call) do { const double before = now(); call; times[number] = now() - before; } while (0)
"""
TAIL = """
void profiled(const float *weights, const float *image, float *output, float *arena, float *scratch, double *taken) {
    times = taken;
    run_all(weights, image, output, arena, scratch);
}
"""
MARGIN = 64  # numbers behind each block: the last vector of a block may reach over its end


class Profiled:
    """A program in this process.

    Args:
        program: from which the source was made.
        source: of it.
        folder: where the C file and the library go; they may be deleted once this is made.
        name: of the two files, new for each library, since the system opens one of a name only once.
        flags: for the compiler.

    Raises:
        BadInput: there is no compiler, or it refuses the file.
    """

    def __init__(
        self, program: Program, source: Source, folder: Path, name: str, flags: tuple[str, ...] = ("-march=native",)
    ) -> None:
        file, library = folder / f"{name}.c", folder / f"{name}.so"
        file.write_text(HEAD + source.text + TAIL, encoding="utf-8")
        compile_shared(file, library, flags=flags)
        self._call = ctypes.CDLL(str(library)).profiled
        self._weights = aligned(len(source.weights) // 4)
        self._weights[:] = np.frombuffer(source.weights, "<f4")
        self._output = aligned(program.outputs.size)
        self._arena, self._scratch = aligned(source.arena + MARGIN), aligned(source.scratch + MARGIN)
        self._times = np.zeros(len(program.operations))

    def run(self, image: Floats) -> tuple[Floats, NDArray[np.float64]]:
        """(C, H, W) -> the numbers of the answer, and the ms that each operation took."""
        image = np.ascontiguousarray(image, np.float32)
        blocks = (self._weights, image, self._output, self._arena, self._scratch, self._times)
        self._call(*(ctypes.c_void_p(block.ctypes.data) for block in blocks))
        return self._output.copy(), self._times.copy()


def aligned(numbers: int) -> Floats:
    """Zeros that begin at a multiple of 64 bytes."""
    block = np.zeros(4 * numbers + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + 4 * numbers].view(np.float32)
