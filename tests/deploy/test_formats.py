"""One contract for every format: what it writes computes what the network computes, and says what the network says."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pumice.deploy import export as export_module
from pumice.deploy.carried import model_file, read_checked, read_manifest
from pumice.deploy.compare import relative_error, variation
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS, RUNTIMES, Format, format_named, format_of, imported, writable
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import installed, open_session
from pumice.deploy.trusted import written_here
from pumice.errors import BadInput, CheckFailed
from tests.deploy.conftest import SIZE, manifest, small_net

TOLERANCE = 1e-4


def place(form: Format, folder: Path) -> Path:
    return folder / f"net{form.suffix}" if form.suffix else folder / "net"


# Compiling takes many seconds, and so does ExecuTorch: their contract is in the slow tier, one compiled file below, and
# ExecuTorch's answers are compared in tests of its own, as are those of a folder of C, which each opening compiles.
@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in ("aoti", "executorch", "c") else name for name in FORMATS
    ],
    scope="module",
)
def form(request: pytest.FixtureRequest) -> Format:
    found = FORMATS[request.param]
    if not writable(found) or not any(map(installed, found.runtimes)):
        pytest.skip(f"the packages of {found.name} are not installed")
    return found


@pytest.fixture(scope="module")
def written(form: Format, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp(form.name)
    return export(small_net(), place(form, folder), format=form.name, manifest=manifest())


def test_it_computes_what_the_network_computes_in_every_runtime(form: Format, written):
    x = probe_inputs(8, SIZE, manifest().preprocess, seed=3)
    with torch.inference_mode():
        want = small_net()(torch.from_numpy(x)).numpy()
    assert variation(want) > 0.1  # a network that ignored its input would pass anything
    for runtime in filter(installed, form.runtimes):
        with open_session(written, runtime=runtime, threads=2) as session:
            assert relative_error(session.run(x), want) < TOLERANCE
            assert (session.runtime, session.input_size, session.batch, session.dtype) == (runtime, SIZE, 1, "float32")
            assert session.manifest == manifest()
            assert session.file_bytes == written.bytes > 1000
            with pytest.raises(BadInput, match="this model reads float32 of shape"):
                session.run(x[:, :, 1:])
    assert set(written.checked) == {name for name in form.runtimes if installed(name)} == set(written.right)


def test_it_says_what_it_is(form: Format, written):
    file = model_file(written)
    assert file is not None
    assert format_of(file) == form
    assert read_manifest(written) == manifest()
    assert read_checked(written) == written.checked
    assert written.format == form.name
    assert written_here(file) == form.code


def test_it_takes_other_batches(form: Format, tmp_path: Path):
    x = probe_inputs(3, SIZE, None)
    file = export(small_net(), place(form, tmp_path), format=form.name, input_size=SIZE, batch=2)
    with torch.inference_mode():
        want = small_net()(torch.from_numpy(x)).numpy()
    with open_session(file, batch=None) as session:
        assert session.batch == 2
        assert session.manifest is None
        assert relative_error(session.run(x), want) < TOLERANCE  # three images in passes of two
    with pytest.raises(BadInput, match="is fixed to batch 2, not 5"):
        open_session(file, batch=5)
    with pytest.raises(BadInput, match="is fixed to input size"):
        open_session(file, batch=None, input_size=(3, 64, 64))


def test_a_file_that_computes_something_else_is_not_kept(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write = imported(form.writer)

    def wrong(model: nn.Module, *args: object, **options: object) -> None:
        with torch.no_grad():
            model.get_submodule("10").bias[1] += 0.5
        write(model, *args, **options)
        with torch.no_grad():
            model.get_submodule("10").bias[1] -= 0.5

    monkeypatch.setattr(export_module, "writer_of", lambda form: wrong)
    with pytest.raises(CheckFailed, match=f"the {form.name} file of .* does not compute what the network computes"):
        export(small_net(), place(form, tmp_path), format=form.name, input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused_in_a_sentence(form: Format, written, tmp_path: Path):
    file = model_file(written)
    assert file is not None
    content = file.read_bytes()
    damaged = tmp_path / file.name
    damaged.write_bytes(content[: len(content) // 2])
    for beside in file.parent.iterdir():
        if beside != file and file.suffix in (".xml", ".param", ".c"):
            (tmp_path / beside.name).write_bytes(beside.read_bytes())
    with pytest.raises(BadInput, match=str(tmp_path)):
        open_session(damaged, trust=True)


def test_equal_networks_make_equal_files(form: Format, written, tmp_path: Path):
    again = export(small_net(), place(form, tmp_path), format=form.name, manifest=manifest())
    assert again.checked.keys() == written.checked.keys()
    x = probe_inputs(2, SIZE, None)
    with open_session(again) as one, open_session(written) as other:
        assert np.array_equal(one.run(x), other.run(x))


def test_code_of_others_is_not_opened_unasked(tmp_path: Path):
    file = export(small_net(), tmp_path / "net.pt2", manifest=manifest()).path
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("model/extra/more", "one byte")
    with pytest.raises(BadInput, match="is code and was not written by Pumice on this machine"):
        open_session(file)
    with open_session(file, trust=True) as session:
        assert session.runtime == "eager"


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")
def test_compiled_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    torch.manual_seed(0)  # a net of few kernels: compiling is what takes the time
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    file = export(net, tmp_path / "net.pt2", format="aoti", manifest=manifest())
    assert set(file.right) == {"inductor"}
    assert format_of(file.path).name == "aoti"
    assert [found.name for found in tmp_path.iterdir()] == ["net.pt2"]
    with open_session(file.path) as session:
        assert (session.runtime, session.manifest) == ("inductor", manifest())
    with pytest.raises(BadInput, match=r"eager does not read|eager runs networks"):
        open_session(file.path, runtime="eager")
    assert capfd.readouterr().out == ""


def test_compiling_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BadInput, match=r"need a C\+\+ compiler; install g\+\+"):
        export(small_net(), tmp_path / "net.pt2", format="aoti", input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "name", "sentence"),
    [
        ("net.png", None, "suffix of net.png names no format"),
        ("net.onnx", "openvino", "ends in .xml or has no suffix"),
        ("net.onnx", "ncnn", "a file of format ncnn has no suffix, not like net.onnx"),
        ("net.tflite", "tflite", "no format 'tflite'"),
    ],
)
def test_a_path_that_does_not_suit_its_format(path: str, name: str | None, sentence: str):
    with pytest.raises(BadInput, match=sentence):
        format_named(Path(path), name)


def test_a_format_whose_packages_are_absent_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    absent = replace(FORMATS["litert"], packages=("no_such_package",))
    monkeypatch.setitem(FORMATS, "litert", absent)
    with pytest.raises(BadInput, match=r"needs no_such_package; run `pip install 'pumice\[mobile\]'`"):
        export(small_net(), tmp_path / "net.tflite", input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_every_runtime_reads_some_format():
    assert {name for form in FORMATS.values() for name in form.runtimes} == set(RUNTIMES)
