"""Programs compiled and called: as a shared library in this process, or as a program of their own that reads files.

The second way is for what cannot be loaded here: sanitizers, which watch a whole process, and other processors.
Its blocks of memory are exactly as large as `Source` says, so that a sanitizer sees whatever lies beyond.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pumice.native.build import FLAGS, compile_shared
from pumice.native.emit.choice import Choice
from pumice.native.emit.source import source
from pumice.native.interpret import interpret
from pumice.native.ir import Program

Image = NDArray[np.float32]
HEAD = """#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
"""
ENTRY = """
void entry(const float *weights, const float *image, float *output, float *arena, float *scratch);
void entry(const float *weights, const float *image, float *output, float *arena, float *scratch) {
    run_all(weights, image, output, arena, scratch);
}
"""
MAIN = """
#include <stdio.h>
#include <stdlib.h>

static float *block(size_t numbers) { /* of exactly so many numbers, full of NaNs */
    float *p = malloc((numbers ? numbers : 1) * sizeof(float));
    if (!p) exit(2);
    memset(p, 255, numbers * sizeof(float));
    return p;
}

static void get(const char *path, float *to, size_t numbers) {
    FILE *file = fopen(path, "rb");
    if (!file || fread(to, sizeof(float), numbers, file) != numbers) exit(3);
    fclose(file);
}

/* program WEIGHTS IMAGES ANSWERS: any number of images behind one another, all through the same memory. */
int main(int count, char **words) {
    float *weights = block(WEIGHTS), *image = block(IMAGE), *output = block(OUTPUT), *arena = block(ARENA),
          *scratch = block(SCRATCH);
    if (count != 4) return 4;
    get(words[1], weights, WEIGHTS);
    FILE *images = fopen(words[2], "rb"), *answers = fopen(words[3], "wb");
    if (!images || !answers) return 5;
    while (fread(image, sizeof(float), IMAGE, images) == IMAGE) {
        run_all(weights, image, output, arena, scratch);
        if (fwrite(output, sizeof(float), OUTPUT, answers) != OUTPUT) return 6;
    }
    fclose(images);
    fclose(answers);
    free(weights);
    free(image);
    free(output);
    free(arena);
    free(scratch);
    return 0;
}
"""
QUICK = "-O1"
"""Behind `build.FLAGS`, whose -O3 compiles several times as long."""


def images(program: Program, count: int = 1, seed: int = 0) -> Image:
    """(count, C, H, W) of normal numbers."""
    shape = (count, len(program.inputs), *program.sizes[int(program.inputs[0])])
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def error(got: Image, wanted: Image) -> float:
    """The largest difference beside the largest number wanted; what is no number makes it infinite."""
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got.astype(np.float64) - wanted).max()) / (float(np.abs(wanted).max()) or 1.0)


class Loaded:
    """A program as a shared library in this process.

    flags: behind `build.FLAGS`.  Memory that it works in holds NaNs before the first image.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        *,
        flags: Sequence[str] = ("-march=native", QUICK),
        choices: dict[int, Choice] | None = None,
    ) -> None:
        self.program, self.source = program, source(program, choices)
        file = folder / "model.c"
        file.write_text(HEAD + self.source.text + ENTRY)
        library = folder / f"model-{len(list(folder.iterdir()))}.so"
        compile_shared(file, library, flags=tuple(flags))
        self.entry = ctypes.CDLL(str(library)).entry
        self.weights = _aligned(len(self.source.weights) // 4)
        self.weights[:] = np.frombuffer(self.source.weights, "<f4")
        self.arena, self.scratch = _aligned(self.source.arena), _aligned(self.source.scratch)

    def __call__(self, image: Image) -> Image:
        """(C, H, W) -> the answer."""
        image = np.ascontiguousarray(image)
        output = np.full(self.program.output_shape, np.nan, np.float32)
        blocks = (self.weights, image, output, self.arena, self.scratch)
        self.entry(*(ctypes.c_void_p(block.ctypes.data) for block in blocks))
        return output


class Alone:
    """A program as an executable.

    command: of the compiler with all its flags.  run: what the executable is run by, such as an emulator.
    less: numbers that its arena lacks, to see that a sanitizer notices.
    """

    def __init__(
        self, program: Program, folder: Path, command: Sequence[str], *, run: Sequence[str] = (), less: int = 0
    ) -> None:
        self.program, self.folder, self.run = program, folder, run
        made = source(program)
        sizes = {
            "WEIGHTS": len(made.weights) // 4,
            "IMAGE": len(program.inputs) * int(np.prod(program.sizes[int(program.inputs[0])])),
            "OUTPUT": int(np.prod(program.output_shape)),
            "ARENA": made.arena - less,
            "SCRATCH": made.scratch,
        }
        text = HEAD + made.text + "".join(f"#define {key} {value}\n" for key, value in sizes.items()) + MAIN
        (folder / "main.c").write_text(text)
        (folder / "weights").write_bytes(made.weights)
        ran(*command, folder / "main.c", "-o", folder / "main", "-lm")

    def __call__(self, given: Image) -> Image:
        """(N, C, H, W) -> N answers."""
        given.astype("<f4").tofile(self.folder / "images")
        ran(*self.run, self.folder / "main", *(self.folder / name for name in ("weights", "images", "answers")))
        return np.fromfile(self.folder / "answers", "<f4").reshape(len(given), *self.program.output_shape)


def answers(program: Program, given: Image) -> Image:
    """What the program should answer to each image."""
    return np.stack([interpret(program, image) for image in given])


def ran(*command: str | Path) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr or done.stdout)[-3000:]
    return done.stdout + done.stderr


def missing(*names: str) -> str:
    """Why a test is skipped; empty where all programs are there."""
    absent = [name for name in names if shutil.which(name) is None]
    return f"no {', '.join(absent)}" if absent else ""


def _aligned(numbers: int) -> Image:
    whole = np.zeros(numbers * 4 + 64, np.uint8)
    start = -whole.ctypes.data % 64
    block: Image = whole[start : start + numbers * 4].view(np.float32)
    block[:] = np.nan
    return block


__all__ = [
    "ENTRY",
    "FLAGS",
    "HEAD",
    "QUICK",
    "Alone",
    "Loaded",
    "answers",
    "error",
    "images",
    "missing",
    "ran",
    "source",
]
