"""Compilers: no warnings, nothing beyond any block of memory, and the same answers on another processor."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pumice.native.ir import Program
from pumice.native.passes import optimise
from pumice.native.read import read
from pumice.nn.weight_net import BlockSqueeze, WeightNetConv
from tests.native.compiled import ENTRY, FLAGS, HEAD, QUICK, Alone, answers, error, images, missing, ran, source
from tests.native.drawn import drawn
from tests.native.networks import program_of
from tests.native.programs import Draft
from tests.native.together import Together

WARNINGS = ("-Wall", "-Wextra", "-Werror")
STRICT = (*WARNINGS, "-Wpedantic", "-Wshadow", "-Wvla", "-Wmissing-prototypes", "-Wundef")
"""More than is promised, so that a compiler of tomorrow finds nothing either."""
SANITIZED = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-march=native")
NETWORKS = ("micronet_m0", "shufflenetv2_050", "condensenet74_c4_g4", "ghostnet_050")
ARM = {
    "gcc": ("aarch64-linux-gnu-gcc", *FLAGS, QUICK, "-static"),
    "clang": ("clang", "--target=aarch64-linux-gnu", *FLAGS, QUICK, "-static"),
    "gcc, scalar": ("aarch64-linux-gnu-gcc", *FLAGS, QUICK, "-static", "-DPUMICE_SCALAR"),
}
WIDTHS = {
    "native": ("-march=native",),
    "scalar": ("-DPUMICE_SCALAR",),
    "plain": (),
    "512 bits": ("-mavx512f", "-mfma"),
}
SMALL = ("dense", "pointwise", "depthwise", "squares", "max_pool", "mean", "linear", "map", "resample", "weave")
x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="not an x86-64 machine")


def small() -> Program:
    """Every kind of layer once."""
    return drawn(3, SMALL).program


def rarer() -> Program:
    """What few networks have: rare functions, computed kernels, numbers that become images."""
    torch.manual_seed(0)
    squeeze, conv = BlockSqueeze(20), WeightNetConv(20, 13, 3, squeeze=16)
    parts: dict[str, Callable[[Tensor], Tensor]] = {
        "act": lambda x: functional.gelu(x) + functional.softplus(x) + (x * x + 1).sqrt(),
        "made": lambda x: functional.gelu(conv(x, squeeze(x))),
        "turned": lambda x: functional.max_pool2d(x.transpose(2, 3), 2),
        "back": lambda x: x * x[:, :1].flatten(2).softmax(2).view_as(x[:, :1]),
    }
    return optimise(read(Together(parts).eval(), (20, 5, 19)))


PROGRAMS = {"small": small, "rarer": rarer}


def silent(program: Program, folder: Path, command: Sequence[str]) -> None:
    file = folder / "model.c"
    file.write_text(HEAD + source(program).text + ENTRY)
    assert ran(*command, "-c", file, "-o", folder / "model.o") == ""


@x86
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("flags", WIDTHS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warnings(compiler: str, flags: str, program: str, tmp_path: Path) -> None:
    if missing(compiler):
        pytest.skip(missing(compiler))
    silent(PROGRAMS[program](), tmp_path, (compiler, *FLAGS, QUICK, *STRICT, *WIDTHS[flags]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warnings_for_networks(compiler: str, name: str, tmp_path: Path) -> None:
    if missing(compiler):
        pytest.skip(missing(compiler))
    silent(program_of(name, 96), tmp_path, (compiler, *FLAGS, "-march=native", *STRICT))


def clean(program: Program, folder: Path, compiler: str, *flags: str) -> None:
    """A sanitizer ends the program at the first thing that it finds."""
    alone = Alone(program, folder, (compiler, *FLAGS, *SANITIZED, *flags))
    given = images(program, 2)
    assert error(alone(given), answers(program, given)) <= 1e-5


def test_sanitizers_find_what_is_wrong(tmp_path: Path) -> None:
    """Less memory than the program asks for."""
    if missing("gcc"):
        pytest.skip(missing("gcc"))
    draft = Draft(2, (9, 20))
    program = draft.program(draft.conv(draft.image, 3))
    with pytest.raises(AssertionError, match="AddressSanitizer"):
        Alone(program, tmp_path, ("gcc", *FLAGS, *SANITIZED), less=200)(images(program))


SCALAR = pytest.param(("-DPUMICE_SCALAR",), id="scalar", marks=pytest.mark.slow)


@pytest.mark.parametrize("program", ["small", pytest.param("rarer", marks=pytest.mark.slow)])
@pytest.mark.parametrize("flags", [pytest.param((), id="vectors"), SCALAR])
def test_sanitizers_find_nothing(flags: tuple[str, ...], program: str, tmp_path: Path) -> None:
    if missing("gcc"):
        pytest.skip(missing("gcc"))
    clean(PROGRAMS[program](), tmp_path, "gcc", *flags)


def test_wide_padding_beside_a_plane_reads_nothing_beyond_the_memory(tmp_path: Path) -> None:
    if missing("gcc"):
        pytest.skip(missing("gcc"))
    draft = Draft(2, (3, 5))
    planes = draft.conv(draft.image, 2)
    outputs = draft.conv(planes, 2, (3, 3), groups=2, padding=(1, 60), more=(0, 60))
    clean(draft.program(outputs), tmp_path, "gcc")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_sanitizers_find_nothing_in_more_kernels(seed: int, tmp_path: Path) -> None:
    clean(drawn(seed).program, tmp_path, "gcc")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_sanitizers_find_nothing_in_networks(name: str, tmp_path: Path) -> None:
    clean(program_of(name, 96), tmp_path, "gcc")


def on_arm(program: Program, folder: Path, compiler: str) -> None:
    alone = Alone(program, folder, ARM[compiler], run=("qemu-aarch64",))
    given = images(program, 2)
    assert error(alone(given), answers(program, given)) <= 1e-5


def arm_or_skip(compiler: str) -> None:
    if why := missing(ARM[compiler][0], "aarch64-linux-gnu-gcc", "qemu-aarch64"):
        pytest.skip(f"{why} (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)")


@pytest.mark.parametrize("compiler", ARM)
def test_arm(compiler: str, tmp_path: Path) -> None:
    arm_or_skip(compiler)
    on_arm(small(), tmp_path, compiler)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_more_kernels_on_arm(seed: int, tmp_path: Path) -> None:
    arm_or_skip("gcc")
    on_arm(drawn(seed).program, tmp_path, "gcc")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_on_arm(name: str, tmp_path: Path) -> None:
    arm_or_skip("gcc")
    on_arm(program_of(name, 96), tmp_path, "gcc")


def test_no_warnings_on_arm(tmp_path: Path) -> None:
    arm_or_skip("gcc")
    silent(small(), tmp_path, (*ARM["gcc"], *STRICT))


def test_memory_need_not_be_aligned_nor_clean(tmp_path: Path) -> None:
    """Each run starts from what the run before left."""
    if missing("gcc"):
        pytest.skip(missing("gcc"))
    program = small()
    alone = Alone(program, tmp_path, ("gcc", *FLAGS, QUICK, "-march=native"))
    given = images(program, 3)
    first, again = alone(given), alone(given[::-1])
    assert np.array_equal(first, again[::-1])
