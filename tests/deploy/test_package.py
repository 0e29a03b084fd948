"""A package classifies pictures as Pumice does, where neither Pumice nor torch can be imported."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.data.image import read_image
from pumice.data.open import open_images
from pumice.data.preprocess import Preprocess
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS, writable
from pumice.deploy.package import Package, write_package
from pumice.deploy.package.runners import RUNNERS, script
from pumice.deploy.predict import predict
from pumice.deploy.probes import natural_images
from pumice.deploy.session import installed, open_session
from pumice.errors import BadInput, CheckFailed
from tests.deploy.conftest import Case, manifest, small_net

# What these runtimes import of other packages, beside numpy and Pillow.
NEEDS = {"onnxruntime": ["onnxruntime"], "openvino": ["openvino"]}
FENCED = """
import runpy, sys
folder, sys.argv = sys.argv[1], sys.argv[2:]
sys.path.append(folder)
for name in ("torch", "pumice"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is here")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(natural_images(4, 71, 97, seed=5)):
        image.save(folder / f"{i}.jpg", quality=85)
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return write_package(small_net(), tmp_path_factory.mktemp("p") / "kit", runtimes=list(NEEDS), manifest=manifest())


def fenced(package: Package, runtime: str, photos: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script, run by a Python that finds nothing but its runtime, numpy and Pillow."""
    links = folder / "links"
    links.mkdir()
    for name in ("numpy", "PIL", *NEEDS[runtime]):
        spec = find_spec(name)
        assert spec is not None
        place = Path(spec.submodule_search_locations[0])
        for part in (place, *place.parent.glob(f"{name}.libs"), *place.parent.glob("pillow.libs")):
            if not (links / part.name).exists():
                os.symlink(part, links / part.name)
    command = [sys.executable, "-I", "-S", "-c", FENCED, str(links), str(package.path / f"run_{runtime}.py")]
    pictures = sorted(map(str, photos.iterdir()))
    return subprocess.run([*command, *pictures], capture_output=True, text=True, check=False, cwd=folder)


def printed(text: str) -> dict[str, list[tuple[str, float]]]:
    """Path -> (label, probability), as the script prints them."""
    found: dict[str, list[tuple[str, float]]] = {}
    rows: list[tuple[str, float]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            probability, label = line.split()
            rows.append((label, float(probability)))
        else:
            rows = found[line] = []
    return found


def as_predicted(package: Package, runtime: str, photos: Path, text: str) -> None:
    with open_session(package.path / package.models[runtime], runtime=runtime) as session:
        wanted = predict(session, open_images(str(photos)), top_k=5)
    answers = printed(text)
    assert len(answers) == len(wanted) == 4
    assert len({str(found) for found in answers.values()}) == 4  # the answers depend on the pictures
    for path, found in answers.items():
        want = next(one for one in wanted if Path(one.name).name == Path(path).name)
        assert [label for label, _ in found] == [label for label, _ in want.ranked]
        assert [p for _, p in found] == pytest.approx([p for _, p in want.ranked], abs=6e-5)  # four places are printed


@pytest.mark.parametrize("runtime", list(NEEDS))
def test_a_script_answers_as_predict_without_pumice_and_torch(
    package: Package, photos: Path, tmp_path: Path, runtime: str
):
    ran = fenced(package, runtime, photos, tmp_path)
    assert ran.returncode == 0, ran.stderr
    as_predicted(package, runtime, photos, ran.stdout)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.jpg").write_text("no picture")
    shutil.rmtree(tmp_path / "links")
    refused = fenced(package, runtime, folder, tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("cannot read the picture")
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("runtime", list(RUNNERS))
def test_a_script_answers_as_predict_in_an_environment_of_its_requirements(
    photos: Path, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
):
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None or not installed(runtime) or not writable(FORMATS[RUNNERS[runtime].format]):
        pytest.skip(f"uv or what {runtime} needs is not installed")
    package = write_package(small_net(), tmp_path / "kit", runtimes=[runtime], manifest=manifest())
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for command in (
        [uv, "venv", "--python", sys.executable, str(tmp_path / "venv")],
        [uv, "pip", "install", "--python", str(python), "-r", str(package.path / f"requirements-{runtime}.txt")],
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    for name in ("pumice", *(["torch"] if runtime != "executorch" else [])):
        tried = subprocess.run([str(python), "-c", f"import {name}"], capture_output=True, cwd=tmp_path, check=False)
        assert tried.returncode == 1
    command = [str(python), str(package.path / f"run_{runtime}.py"), *sorted(map(str, photos.iterdir()))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    as_predicted(package, runtime, photos, ran.stdout)


def loaded(package: Package, runtime: str = "onnxruntime") -> Any:
    spec = spec_from_file_location("runner", package.path / f"run_{runtime}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_script_prepares_images_as_preprocess_does_bit_for_bit(package: Package, resize: Any, interpolation: Any):
    runner = loaded(package)
    odd = Preprocess((33, 47), 0.91, interpolation, (0.2, 0.5, 0.7), (0.1, 0.3, 0.5), "BGR", resize)
    for height, width in ((1, 1), (3, 500), (500, 3), (33, 47), (47, 33), (101, 67), (224, 224), (36, 52)):
        image = natural_images(1, max(height, 2), max(width, 2))[0].crop((0, 0, width, height))
        for preprocess in (odd, Preprocess((24, 24), resize=resize), replace(odd, baked=True)):
            runner.FEED = preprocess.to_json()
            got, want = runner.prepare(image), preprocess(image)[None]
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            assert np.array_equal(got, want)


def kinds(folder: Path) -> list[Path]:
    """The same picture in every kind of pixels that is read."""
    image = natural_images(1, 30, 41)[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    image.convert("L").save(folder / "grey.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("1").save(folder / "bits.png")
    palette = image.quantize(16)
    palette.save(folder / "palette.png")
    palette.save(folder / "palette.gif")
    palette.save(folder / "clear.png", transparency=3)
    layer = image.convert("RGBA")
    layer.putalpha(Image.linear_gradient("L").resize(image.size))
    layer.save(folder / "layer.png")
    layer.save(folder / "layer.webp", lossless=True)
    layer.convert("LA").save(folder / "grey_layer.png")
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 251 + 99
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep).save(folder / "deep.tif")
    image.save(folder / "turned.tif", tiffinfo={0x0112: 8})
    return sorted(folder.iterdir())


def test_a_script_reads_pictures_as_pumice_does(package: Package, tmp_path: Path):
    runner = loaded(package)
    for path in kinds(tmp_path):
        got, want = runner.read(path), read_image(path)
        assert np.array_equal(np.asarray(got), np.asarray(want)), path.name


def test_the_folder_says_what_it_is(package: Package):
    assert sorted(part.name for part in package.path.iterdir()) == [
        *("README.md", "labels.txt", "model.bin", "model.onnx", "model.xml", "pumice.json"),
        *("requirements-onnxruntime.txt", "requirements-openvino.txt", "run_onnxruntime.py", "run_openvino.py"),
    ]
    assert json.loads((package.path / "pumice.json").read_text()) == manifest().to_json()
    assert (package.path / "labels.txt").read_text().split() == list(manifest().classes)
    pins = (package.path / "requirements-openvino.txt").read_text().split()
    assert pins == [f"{name}=={version(name)}" for name in ("numpy", "openvino", "pillow")]
    text = (package.path / "README.md").read_text()
    assert "$ python run_onnxruntime.py photo.jpg" in text
    assert "image classifier of 5 classes" in text
    assert package.bytes == sum(part.stat().st_size for part in package.path.iterdir())
    assert set(package.checked) == {"onnxruntime", "openvino"}
    assert max(package.checked.values()) < 1e-5


def test_a_package_reads_pixels_where_it_is_baked(photos: Path, tmp_path: Path):
    package = write_package(small_net(), tmp_path / "kit", manifest=manifest(), bake=True)
    ran = fenced(package, "onnxruntime", photos, tmp_path)
    assert ran.returncode == 0, ran.stderr
    as_predicted(package, "onnxruntime", photos, ran.stdout)
    assert "uint8 (1, 40, 48, 3)" in (package.path / "README.md").read_text()


def test_a_model_file_is_packed_as_it_is(case: Case, photos: Path, tmp_path: Path):
    package = write_package(case.onnx, tmp_path / "kit", runtimes=["openvino"])
    assert package.models == {"openvino": "model.onnx"}
    assert (package.path / "model.onnx").read_bytes() == case.onnx.path.read_bytes()
    ran = fenced(package, "openvino", photos, tmp_path)
    as_predicted(package, "openvino", photos, ran.stdout)
    again = write_package(case.xml, tmp_path / "kit")  # in the place of the first
    assert again.models == {"openvino": "model.xml"}
    assert not (again.path / "model.onnx").exists()
    assert (again.path / "model.bin").read_bytes() == case.xml.path.with_suffix(".bin").read_bytes()
    with pytest.raises(BadInput, match=r"litert does not read net\.onnx; choose onnxruntime or openvino"):
        write_package(case.onnx, tmp_path / "other", runtimes=["litert"])
    with pytest.raises(BadInput, match="is taken as it is; export the run to bake"):
        write_package(case.onnx, tmp_path / "other", bake=True)
    assert not (tmp_path / "other").exists()


def test_names_that_have_no_place_on_a_line_keep_one(tmp_path: Path):
    named = replace(manifest(), classes=("a\nb", "", "c\u2028d", "e f", ""))
    package = write_package(small_net(), tmp_path / "kit", manifest=named)
    assert loaded(package).LABELS == ["a b", "", "c d", "e f", ""]


def refused(**changes: Any) -> Callable[[], Any]:
    return lambda: replace(manifest(), **changes)


@pytest.mark.parametrize(
    ("runtimes", "said", "sentence"),
    [
        (["pt2"], manifest, "a package has no script for 'pt2'"),
        (["onnxruntim"], manifest, "no script for 'onnxruntim'; did you mean 'onnxruntime'"),
        ([], refused(task="segment"), "small is a net to segment, and the scripts of a package name the class"),
        ([], refused(model=replace(manifest().model, in_chans=1)), "small reads 1 channels; pictures have three"),
        ([], lambda: None, "Sequential does not say how images are fed to it"),
    ],
)
def test_what_cannot_be_packed_leaves_nothing(tmp_path: Path, runtimes: list[str], said: Any, sentence: str):
    with pytest.raises(BadInput, match=sentence):
        write_package(small_net(), tmp_path / "kit", runtimes=runtimes, manifest=said())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_kept(tmp_path: Path):
    for name in ("README.md", "thesis.txt"):
        folder = tmp_path / name[:3]
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(BadInput, match=f"holds other things \\({name}\\)"):
            write_package("mobilenetv3_small_050", folder)
        assert (folder / name).read_text() == "mine"


def test_a_runtime_that_disagrees_gets_no_package(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def export_wrong(*args: Any, **options: Any) -> Any:
        return replace(export(*args, **options), checked={"onnxruntime": 0.5, "openvino": 0.0})

    monkeypatch.setattr("pumice.deploy.export.export", export_wrong)
    with pytest.raises(CheckFailed, match="onnxruntime does not compute what small computes"):
        write_package(small_net(), tmp_path / "kit", manifest=manifest())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", list(RUNNERS))
def test_every_script_is_one_text_and_valid(runtime: str):
    compile(script(runtime, RUNNERS[runtime].main), runtime, "exec")
    shared = script(runtime, "m").split("def read(path)")[1].split("usage")[0]
    assert shared == script("onnxruntime", "m").split("def read(path)")[1].split("usage")[0]
