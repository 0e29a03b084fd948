"""A program as files of C that a C programmer can take, and as a library with the weights inside.

A folder holds model.h, model.c, model.bin (the weights), main.c and example.bin (to try it with) and a Makefile.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.native.build import FLAGS, compile_shared

if TYPE_CHECKING:
    from pumice.native.emit.choice import Choice
    from pumice.native.ir import Program

HEADER, CODE, WEIGHTS, MAIN, EXAMPLE, MAKEFILE = PARTS = (
    "model.h",
    "model.c",
    "model.bin",
    "main.c",
    "example.bin",
    "Makefile",
)


@dataclass(frozen=True)
class Pixels:
    """How uint8 pixels (H, W, channels) become the planes of the network: pixel[source] * scale + shift, each channel.

    source: where each plane's number lies in a pixel.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    source: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Example:
    """An image that the network has answered.

    image: (C, H, W) float32, or (H, W, C) uint8.  answer: of the network.  tolerance: how far another may be off.
    """

    image: NDArray[Any]
    answer: NDArray[np.float32]
    tolerance: float


@dataclass(frozen=True)
class Interface:
    """What a caller of the code must know.

    prefix: of its functions.
    input_size: (C, H, W).
    output_shape: of the answer of one image.
    pixels: whether it reads uint8 pixels (H, W, C) instead of float32 planes.
    weights, workspace: bytes.
    """

    prefix: str
    input_size: tuple[int, int, int]
    output_shape: tuple[int, ...]
    pixels: bool
    weights: int
    workspace: int


def identifier(name: str) -> str:
    """A network's name as the beginning of names in C: "timm:resnet18" gives timm_resnet18."""
    plain = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_").lower()[:60]
    return plain if plain and plain[0].isalpha() else f"net_{plain}"


def write_folder(
    folder: Path,
    program: "Program",
    example: Example,
    *,
    pixels: Pixels | None = None,
    classes: Sequence[str] = (),
    feeding: str = "",
    choices: "dict[int, Choice] | None" = None,
) -> Interface:
    """Write a program that has been through the passes into a folder that exists.

    Args:
        folder: for the files.
        program: of one network.
        example: to try the code with.
        pixels: the code shall read pixels, and turn them into planes so.
        classes: names of the numbers of the answer.
        feeding: how an image is prepared, for people.
        choices: of `pumice.native.tune`.

    Raises:
        OSError: a file cannot be written.
    """
    from pumice.native.emit.source import source

    written = source(program, choices)
    channels, (height, width) = len(program.inputs), program.sizes[int(program.inputs[0])]
    count = channels * height * width
    arena = -(-written.arena // 16) * 16
    scratch = -(-written.scratch // 16) * 16
    bytes_needed = 64 + 4 * (arena + scratch + (count if pixels else 0))
    prefix = identifier(program.name)
    shape = f"{height} rows of {width} pixels of {channels}" if pixels else f"{channels} planes of {height} x {width}"
    number = "uint8_t" if pixels else "float"
    values = {
        "p": prefix,
        "P": prefix.upper(),
        "title": _comment(f"{program.name}: {count} numbers of an image in, {_product(program.output_shape)} out."),
        "reads": _comment(f"Input: {shape}{'; ' * bool(feeding)}{feeding}."),
        "answers": f"Output: {' x '.join(map(str, program.output_shape))} floats.",
        "channels": channels,
        "height": height,
        "width": width,
        "shape": shape,
        "number": number,
        "input": count,
        "output": _product(program.output_shape),
        "classes": len(classes),
        "names": _names(classes),
        "scores": int(len(program.output_shape) == 1),
        "weights_bytes": len(written.weights),
        "workspace_bytes": bytes_needed,
        "checksum": checksum(written.weights),
        "arena": arena,
        "image": _planes(pixels, height * width, arena + scratch) if pixels else "    const float *image = input;",
        "flags": " ".join(FLAGS),
    }
    head = f'/* {values["title"]} */\n#include "model.h"\n\n#include <math.h>\n#include <string.h>\n\n'
    parts = {name: _filled(name, values) for name in (HEADER, CODE, MAIN, MAKEFILE)}
    parts[CODE] = head + written.text + parts[CODE]
    for name, text in parts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / WEIGHTS).write_bytes(written.weights)
    numbers = np.append(np.ravel(example.answer), example.tolerance).astype("<f4").tobytes()
    image = example.image if pixels else example.image.astype("<f4")
    (folder / EXAMPLE).write_bytes(numbers + np.ascontiguousarray(image).tobytes())
    return Interface(
        prefix, (channels, height, width), program.output_shape, pixels is not None, len(written.weights), bytes_needed
    )


def compile_library(folder: Path, library: Path, prefix: str) -> None:
    """One library of the code and the weights of a folder, for this processor.

    Raises:
        BadInput: there is no compiler, or it refuses the code.
    """
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as scratch:
        inside = Path(scratch, "library.c")
        weights = str((folder / WEIGHTS).absolute()).replace("\\", "\\\\").replace('"', '\\"')
        text = _filled("library.c", {"p": prefix, "incbin": _string(f'.incbin "{weights}"\n')})
        inside.write_text(text.replace('"model.c"', _string(str((folder / CODE).absolute()))), encoding="utf-8")
        compile_shared(inside, library)


def checksum(weights: bytes) -> int:
    """The 32-bit words of the weights, the i-th times 2 i + 1, summed in 64 bits: any one changed word changes it."""
    words = np.frombuffer(weights, "<u4").astype(np.uint64)
    return int((words * (2 * np.arange(len(words), dtype=np.uint64) + np.uint64(1))).sum(dtype=np.uint64))


def _filled(name: str, values: dict[str, Any]) -> str:
    text = (files("pumice.native.interface") / name).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _planes(pixels: Pixels, count: int, place: int) -> str:
    """C that makes planes of pixels, at a place of the workspace."""
    numbers = [", ".join(f"{value!r}f" for value in part) for part in (pixels.scale, pixels.shift)]
    source = ", ".join(map(str, pixels.source))
    channels = len(pixels.source)
    return f"""    static const float scale[] = {{{numbers[0]}}}, shift[] = {{{numbers[1]}}};
    static const int source[] = {{{source}}};
    float *image = arena + {place};
    for (int c = 0; c < {channels}; c++)
        for (long i = 0; i < {count}; i++)
            image[c * {count}L + i] = (float)input[i * {channels} + source[c]] * scale[c] + shift[c];"""


def _names(classes: Sequence[str]) -> str:
    """The body of the function that names a class."""
    if not classes:
        return '    (void)number;\n    return "";'
    table = "".join(f"        {_string(name)},\n" for name in classes)
    return (
        f"    static const char *const names[] = {{\n{table}    }};\n"
        '    return number < sizeof names / sizeof *names ? names[number] : "";'
    )


def _string(text: str) -> str:
    """A C literal: what is not plain ASCII as octal digits, three of which always end an escape."""
    plain = {byte for byte in range(32, 127) if chr(byte) not in '"\\?'}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8")) + '"'


def _comment(text: str) -> str:
    """Text that can stand in a comment of C."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
