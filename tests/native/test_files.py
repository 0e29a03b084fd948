"""The C that is handed out: it compiles without warnings, tries itself, and answers wrong use with codes."""

import ctypes
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pumice.native.build import compile_shared
from pumice.native.expression import Call, Result
from pumice.native.files import (
    CODE,
    HEADER,
    PARTS,
    WEIGHTS,
    Example,
    Interface,
    Pixels,
    checksum,
    compile_library,
    identifier,
    write_folder,
)
from pumice.native.interpret import interpret
from pumice.native.ir import Conv, Linear, Mean, Program
from pumice.native.passes import optimise

CLASSES = ('a "cat"', "b\\n", "größe??/", "*/ line\nbreak")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
pytestmark = pytest.mark.skipif(not COMPILERS, reason="no C compiler")


def program() -> Program:
    """Two convolutions, the second of which reads odd rows, a mean and a linear layer, on images of 9 x 11."""
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    planes = np.arange(3 + 5 + 6 + 6 + 4)
    image, first, second, pooled, answer = np.split(planes, np.cumsum([3, 5, 6, 6]))
    size, half = (9, 11), (5, 6)
    sizes = [size] * 8 + [half] * 6 + [(1, 1)] * 10
    relu = Call("relu", (Result(),))
    operations = [
        Conv("a", image, first, size, size, numbers(5, 3, 3, 3), numbers(5), padding=(1, 1), after=relu),
        Conv("b", first, second, size, half, numbers(6, 5, 3, 3), numbers(6), stride=(2, 2), padding=(1, 1)),
        Mean("c", second, pooled, half),
        Linear("d", pooled, answer, numbers(4, 6), numbers(4)),
    ]
    return optimise(Program("timm:Small-Net 2", sizes, image, answer, (4,), operations))


@dataclass
class Made:
    folder: Path
    interface: Interface
    library: ctypes.CDLL
    image: np.ndarray
    answer: np.ndarray
    weights: np.ndarray

    def run(self, **other: object) -> int:
        """Run with everything right but for what is given."""
        made = self.interface
        output = np.zeros(4, np.float32)
        workspace = np.empty(made.workspace, np.uint8)
        right = {
            "weights": self.weights.ctypes.data,
            "weights_bytes": made.weights,
            "input": self.image.ctypes.data,
            "input_numbers": self.image.size,
            "output": output.ctypes.data,
            "output_floats": 4,
            "workspace": workspace.ctypes.data,
            "workspace_bytes": made.workspace,
        }
        assert other.keys() <= right.keys()
        code = self.library.timm_small_net_2_run(*(right | other).values())
        assert code or np.allclose(output, self.answer, atol=1e-5)
        return int(code)


def opened(file: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(file))
    pointer, number = ctypes.c_void_p, ctypes.c_size_t
    library.timm_small_net_2_run.argtypes = [pointer, number] * 4
    library.timm_small_net_2_check.argtypes = [pointer, number]
    for function in (library.timm_small_net_2_message, library.timm_small_net_2_class):
        function.restype = ctypes.c_char_p
    return library


def example(pixels: Pixels | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    if pixels is None:
        planes = image = rng.standard_normal((3, 9, 11), dtype=np.float32)
    else:
        image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        scale, shift = (np.array(part, np.float32)[:, None, None] for part in (pixels.scale, pixels.shift))
        planes = np.moveaxis(image[..., list(pixels.source)], -1, 0) * scale + shift
    return image, interpret(program(), planes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("c")
    image, answer = example()
    interface = write_folder(folder, program(), Example(image, answer, 1e-4), classes=CLASSES, feeding="*/ as it is")
    compile_library(folder, folder.parent / "small.so", interface.prefix)
    weights = np.frombuffer((folder / WEIGHTS).read_bytes(), np.uint8).copy()
    return Made(folder, interface, opened(folder.parent / "small.so"), image, answer, weights)


def test_names_in_c() -> None:
    names = ["micronet_m0", "timm:resnet18", "3d", "", "_x", "Größe"]
    assert [identifier(name) for name in names] == ["micronet_m0", "timm_resnet18", "net_3d", "net_", "x", "gr_e"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_compiles_without_warnings_and_tries_itself(made: Made, compiler: str, tmp_path: Path) -> None:
    assert sorted(part.name for part in made.folder.iterdir()) == sorted(PARTS)
    folder = Path(shutil.copytree(made.folder, tmp_path / "c"))
    flags = "-std=c11 -Wall -Wextra -Werror -O1 -march=native"
    if shutil.which("make"):
        subprocess.run(["make", "-s", f"CC={compiler}", f"CFLAGS={flags}"], cwd=folder, check=True)
    else:
        subprocess.run([compiler, *flags.split(), "main.c", "model.c", "-o", "main", "-lm"], cwd=folder, check=True)

    def tried(*words: str) -> tuple[int, str]:
        ran = subprocess.run(["./main", *words], cwd=folder, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    code, said = tried()
    assert code == 0
    assert re.search(r"off by \S+, 0.0001 is allowed: right\n\d+\.\d+ ms, the median of 51\n", said)
    best = int(made.answer.argmax())
    assert f"{made.answer[best]:.4f}  {best} {CLASSES[best]}\n" in said
    other = np.zeros((3, 9, 11), np.float32)
    other.tofile(folder / "zeros.bin")
    wanted = interpret(program(), other)
    assert f"{wanted.max():.4f}  {wanted.argmax()} " in tried("zeros.bin")[1]
    code, said = tried("Makefile")
    assert code == 2
    assert "Makefile is not a file of 1188 bytes" in said

    numbers = np.fromfile(folder / "example.bin", "<f4")
    for wrong, word in ((1e-3, "WRONG"), (np.nan, "WRONG")):
        changed = numbers.copy()
        changed[0] += wrong
        changed.tofile(folder / "example.bin")
        code, said = tried()
        assert code == 1
        assert word in said
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[5] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    assert tried() == (2, "the weights are not those of this network\n")
    (folder / WEIGHTS).write_bytes(weights[:-4])
    assert tried() == (2, f"model.bin is not a file of {len(weights)} bytes\n")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_header_is_also_of_cpp(made: Made, tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text('#include "model.h"\nint main() { return timm_small_net_2_check(0, 0) != 1; }\n')
    words = [
        "g++",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
        str(made.folder),
        "a.cpp",
        str(made.folder.parent / "small.so"),
    ]
    subprocess.run([*words, "-o", "a"], cwd=tmp_path, check=True)
    assert subprocess.run(["./a"], cwd=tmp_path, check=False).returncode == 0


def test_wrong_use_is_a_code_with_a_sentence(made: Made) -> None:
    header = (made.folder / HEADER).read_text()
    names = re.findall(r"^    TIMM_SMALL_NET_2_(\w+),?$", header, re.MULTILINE)
    sentences = [made.library.timm_small_net_2_message(code) for code in range(len(names))]
    assert len(set(sentences)) == len(names) == 9
    assert made.library.timm_small_net_2_message(99) == made.library.timm_small_net_2_message(-1) == b"no such code"

    def code(**other: object) -> str:
        return names[made.run(**other)]

    assert code() == "OK"
    assert {code(**{part: None}) for part in ("weights", "input", "output", "workspace")} == {"NULL"}
    assert {code(weights_bytes=count) for count in (0, made.interface.weights - 4)} == {"WEIGHTS_SIZE"}
    assert {code(input_numbers=count) for count in (0, 296, 298, 2**40)} == {"INPUT_SIZE"}
    assert {code(output_floats=count) for count in (0, 3, 5)} == {"OUTPUT_SIZE"}
    assert code(workspace_bytes=made.interface.workspace - 1) == "WORKSPACE_SIZE"
    for part, array in (("weights", made.weights), ("input", made.image)):
        assert code(**{part: array.ctypes.data + 1}) == "ALIGNMENT"

    check = made.library.timm_small_net_2_check
    size = made.interface.weights
    assert [names[check(*given)] for given in ((None, size), (made.weights.ctypes.data, size - 4))] == [
        "NULL",
        "WEIGHTS_SIZE",
    ]
    assert names[check(made.weights.ctypes.data, size)] == "OK"
    for place in (0, size // 2, size - 1):
        wrong = made.weights.copy()
        wrong[place] ^= 0x10
        assert names[check(wrong.ctypes.data, size)] == "WEIGHTS_CHECKSUM"


def test_the_checksum_sees_every_changed_and_swapped_number() -> None:
    numbers = np.random.default_rng(0).standard_normal(50).astype("<f4")
    right = checksum(numbers.tobytes())
    for i in range(49):
        changed, swapped = numbers.copy(), numbers.copy()
        changed[i] = -changed[i]
        swapped[[i, i + 1]] = swapped[[i + 1, i]]
        assert right not in (checksum(changed.tobytes()), checksum(swapped.tobytes()))
    assert checksum(b"") == 0


def test_it_works_in_any_memory_and_only_there(made: Made) -> None:
    """Not a number left in the workspace reaches the answer, none is written behind it, wherever it begins."""
    size = made.interface.workspace
    for start in (0, 1, 4, 63):
        room = np.full(size // 4 + 64, np.nan, np.float32).view(np.uint8)
        room[start + size :] = 0x5A
        assert made.run(workspace=room.ctypes.data + start) == 0
        assert (room[start + size :] == 0x5A).all()


def test_threads_share_weights(made: Made) -> None:
    with ThreadPoolExecutor(4) as pool:  # each run has a workspace of its own; ctypes lets them run at once
        assert set(pool.map(lambda _: made.run(), range(400))) == {0}


def test_classes_have_their_names(made: Made) -> None:
    assert tuple(made.library.timm_small_net_2_class(i).decode() for i in range(5)) == (*CLASSES, "")


def test_it_reads_pixels(tmp_path: Path) -> None:
    pixels = Pixels((0.01, 0.02, 0.015), (-1.5, -2.0, 1e-05), (2, 1, 0))
    image, answer = example(pixels)
    interface = write_folder(tmp_path, program(), Example(image, answer, 1e-4), pixels=pixels)
    assert interface.pixels
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-march=native"]
    subprocess.run([COMPILERS[0], *flags, "main.c", "model.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    ran = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert ": right" in ran.stdout


def _has(flag: str) -> bool:
    try:
        return flag in Path("/proc/cpuinfo").read_text()
    except OSError:
        return True


@pytest.mark.skipif(_has("avx512f"), reason="this processor has the widest vectors, or does not say")
def test_code_for_another_processor_says_so(made: Made, tmp_path: Path) -> None:
    compile_shared(made.folder / CODE, tmp_path / "wide.so", flags=("-mavx512f", "-mfma"))
    code = opened(tmp_path / "wide.so").timm_small_net_2_check(made.weights.ctypes.data, made.interface.weights)
    assert b"another processor" in made.library.timm_small_net_2_message(code)
