"""Networks in Pumice's own engine: files that are cut, foreign or written over, machines without a compiler."""

import hashlib
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.deploy.carried import archive_start, read_manifest
from pumice.deploy.compare import relative_error
from pumice.deploy.export import export
from pumice.deploy.native import _said, say
from pumice.deploy.native_writing import _example
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.deploy.trusted import written_here
from pumice.errors import BadInput
from pumice.models.manifest import Manifest, ModelConfig
from pumice.native.build import compiler
from tests.deploy.conftest import CLASSES

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
TOLERANCE = 1e-4
TINY = (3, 8, 8)
MANIFEST = Manifest(ModelConfig("tiny", num_classes=5), Preprocess(size=TINY[1:]), CLASSES)


def tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()


def answer(net: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return net(torch.from_numpy(x)).numpy()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tiny(), tmp_path_factory.mktemp("native") / "tiny.so", input_size=TINY, batch=3).path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tiny(), tmp_path_factory.mktemp("c") / "net", format="c", manifest=MANIFEST).path


def test_a_folder_of_c_opens_like_a_file(folder: Path):
    assert sorted(part.name for part in folder.iterdir()) == sorted(
        ("model.c", "model.h", "model.bin", "main.c", "example.bin", "Makefile", "pumice.json")
    )
    assert read_manifest(folder) == MANIFEST
    x = probe_inputs(3, TINY, MANIFEST.preprocess, seed=9)
    with open_session(folder) as session:
        assert (session.runtime, session.manifest) == ("native", MANIFEST)
        assert relative_error(session.run(x), answer(tiny(), x)) < TOLERANCE
    subprocess.run(["cc", "-O1", "-march=native", "main.c", "model.c", "-o", "main", "-lm"], cwd=folder, check=True)
    ran = subprocess.run(["./main"], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    best = int(_example(tiny(), TINY, MANIFEST).answer.argmax())
    assert ran.stdout.splitlines()[2].endswith(f"  {best} {CLASSES[best]}")
    (folder / "main").unlink()


@pytest.mark.parametrize("part", ["model.h", "model.bin", "pumice.json"])
def test_no_part_of_a_folder_of_c_can_be_changed_unseen(folder: Path, tmp_path: Path, part: str):
    copied = Path(shutil.copytree(folder, tmp_path / "c"))
    assert written_here(copied / "model.c")
    with open(copied / part, "ab") as stream:
        stream.write(b"\n")
    with pytest.raises(BadInput, match="is code and was not written by Pumice on this machine"):
        open_session(copied)


def test_a_wrong_blob_is_a_sentence(folder: Path, tmp_path: Path):
    copied = Path(shutil.copytree(folder, tmp_path / "c"))
    weights = bytearray((copied / "model.bin").read_bytes())
    weights[40] ^= 1
    (copied / "model.bin").write_bytes(weights)
    with pytest.raises(BadInput, match="does not run here: the weights are not those of this network"):
        open_session(copied, trust=True)


def test_it_opens_without_torch(library: Path):
    code = (
        "import sys\nimport numpy as np\nfrom pumice.deploy.session import open_session\n"
        f"with open_session({str(library)!r}, batch=3) as session:\n"
        "    print(session.run(np.ones((3, 3, 8, 8), np.float32)).shape, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "(3, 5) False"


def test_images_are_shared_among_threads_and_threads_share_a_session(library: Path):
    x = probe_inputs(30, TINY, None)
    want = answer(tiny(), x)
    with open_session(library, batch=3, threads=2) as session, ThreadPoolExecutor(3) as pool:
        for got in pool.map(lambda _: session.run(x), range(30)):
            assert relative_error(got, want) < TOLERANCE
    # Two that run at once never work in the same memory.
    with open_session(library, batch=3) as session, ThreadPoolExecutor(2) as pool:
        session.run(x)  # leaves a workspace behind
        run, both, places = session._run, threading.Barrier(2, timeout=20), []

        def together(*given: int) -> int:
            places.append(given[6])
            both.wait()
            return run(*given)

        session._run = together
        list(pool.map(lambda _: session.run(x[:3]), range(2)))
        assert len(set(places)) == 2


def test_a_file_written_over_is_the_new_one_though_the_old_one_is_open(tmp_path: Path):
    x = probe_inputs(2, TINY, None)
    export(tiny(0), tmp_path / "net.so", input_size=TINY, check=False)
    with open_session(tmp_path / "net.so") as old:
        export(tiny(1), tmp_path / "net.so", input_size=TINY)
        with open_session(tmp_path / "net.so") as new:
            assert relative_error(new.run(x), answer(tiny(1), x)) < TOLERANCE
        assert relative_error(old.run(x), answer(tiny(0), x)) < TOLERANCE


def test_a_library_that_is_cut_changed_or_foreign_is_never_loaded(library: Path, tmp_path: Path):
    content = library.read_bytes()
    start = archive_start(library)
    for length in (0, 100, len(content) // 2, start, len(content) - 1):
        (tmp_path / "cut.so").write_bytes(content[:length])
        with pytest.raises(BadInput, match=r"cut.so is cut short, or no network that Pumice wrote"):
            open_session(tmp_path / "cut.so", batch=3, trust=True)
    changed = bytearray(content)
    changed[start // 2] ^= 1
    (tmp_path / "changed.so").write_bytes(changed)
    with pytest.raises(BadInput, match=r"changed.so is not as it was written"):
        open_session(tmp_path / "changed.so", batch=3, trust=True)
    # Whole, but for a machine of another kind.
    foreign = tmp_path / "foreign.so"
    foreign.write_bytes(b"\x7fELF" + bytes(500))
    made, batch, _ = _said(library)
    say(foreign, made, batch, hashlib.sha256(foreign.read_bytes()).hexdigest())
    with pytest.raises(BadInput, match=r"foreign.so cannot be loaded here .*export it on this machine"):
        open_session(foreign, batch=3, trust=True)


def test_it_is_of_one_size_and_one_dtype(library: Path):
    with open_session(library, batch=3) as session:
        for wrong in (np.zeros((3, 3, 8, 9), np.float32), np.zeros((3, 3, 8, 8)), np.zeros((0, 3, 8, 8), np.float32)):
            with pytest.raises(BadInput, match=r"this model reads float32 of shape \(3, 3, 8, 8\)"):
                session.run(wrong)
        turned = np.asfortranarray(probe_inputs(3, TINY, None))
        assert relative_error(session.run(turned), answer(tiny(), np.ascontiguousarray(turned))) < TOLERANCE


class Odd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 1)


@pytest.mark.parametrize("name", ["native", "c"])
def test_an_operator_without_code_is_named_with_its_layer(tmp_path: Path, name: str):
    net = nn.Sequential()
    net.add_module("stem", nn.Conv2d(3, 4, 1))
    net.add_module("odd", Odd())
    with pytest.raises(BadInput, match=r"no native code for \S*cumsum\S* in odd; choose another format"):
        export(net, tmp_path / ("net.so" if name == "native" else "net"), format=name, input_size=TINY)
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Path, folder: Path
):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BadInput, match=r"no C compiler; install gcc or clang"):
        compiler()
    for name, file in (("native", tmp_path / "net.so"), ("c", tmp_path / "net")):
        with pytest.raises(BadInput, match=r"no C compiler; install gcc or clang"):
            export(tiny(), file, format=name, input_size=TINY)
    with pytest.raises(BadInput, match=r"no C compiler; install gcc or clang"):
        open_session(tiny(), runtime="native", input_size=TINY)
    with pytest.raises(BadInput, match=r"model.c cannot be opened: no C compiler"):
        open_session(folder)
    assert list(tmp_path.iterdir()) == []
    # What is compiled needs none, and C can be taken to where there is one.
    open_session(library, batch=3).close()
    assert export(tiny(), tmp_path / "net", format="c", input_size=TINY, check=False).bytes > 1000
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(BadInput, match=r"no C compiler 'no-such-compiler -m32', which is what CC says"):
        export(tiny(), tmp_path / "net.so", input_size=TINY)


def test_a_compiler_that_refuses_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "cc -no-such-flag")
    with pytest.raises(BadInput, match=r"cc cannot compile library.c: .*no-such-flag"):
        export(tiny(), tmp_path / "net.so", input_size=TINY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that root cannot write either")
@pytest.mark.parametrize("name", ["native", "c"])
def test_a_folder_that_cannot_be_written(name: str):
    with pytest.raises(BadInput, match=r"cannot write /proc/\S+: .*nothing was left behind"):
        export(tiny(), "/proc/tiny.so" if name == "native" else "/proc/tiny", format=name, input_size=TINY)


def test_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot make the folder"):
        export(tiny(), tmp_path / "file" / "net.so", input_size=TINY)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds other things \(notes.txt\)"):
        export(tiny(), tmp_path / "net", format="c", input_size=TINY)


def test_a_folder_of_c_that_was_built_is_written_over(tmp_path: Path):
    export(tiny(), tmp_path / "net", format="c", input_size=TINY)
    (tmp_path / "net" / "main").write_text("what make left here")
    export(tiny(1), tmp_path / "net", format="c", input_size=TINY)
    assert not (tmp_path / "net" / "main").exists()
    x = probe_inputs(3, TINY, None)
    with open_session(tmp_path / "net") as session:
        assert relative_error(session.run(x), answer(tiny(1), x)) < TOLERANCE


def test_rounding_that_the_network_itself_does_is_allowed(tmp_path: Path):
    """The example's tolerance follows the network's own error, else the check of the C would fail it."""

    class Chaos(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + 1e3 - 1e3).mean((2, 3))

    image = _example(Chaos(), TINY, None)
    exact = image.image.astype(np.float64).mean((1, 2))
    assert image.tolerance > np.abs(image.answer - exact).max() > 0
    calm = _example(tiny(), TINY, None)
    assert calm.tolerance == pytest.approx(1e-4 * np.ptp(calm.answer))
