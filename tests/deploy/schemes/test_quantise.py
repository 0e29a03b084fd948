"""Every scheme: an 8-bit file says what the network says, is small, and tells how it was made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pumice.deploy.carried import read_manifest, read_quantised
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS
from pumice.deploy.schemes import SCHEMES, Quantised, Scheme, quantise
from pumice.deploy.session import open_session, resolve_runtime
from pumice.errors import BadInput, CheckFailed
from tests.deploy.schemes.conftest import BIG, SIZE, Learnt

# Their converters take 10 to 30 s of CPU.
_SLOW = {"litert-int8", "executorch-int8"}
ORT = "onnxruntime-int8"


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in SCHEMES], scope="module"
)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    found = SCHEMES[request.param]
    if not found.available():
        pytest.skip(f"{found.name} needs {found.missing}")
    return found


@pytest.fixture(scope="module")
def made(scheme: Scheme, learnt: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    path = tmp_path_factory.mktemp(scheme.name) / f"net{FORMATS[scheme.format].suffix}"
    return quantise(learnt.net, path, learnt.calibration, scheme=scheme.name, manifest=learnt.manifest)


def test_it_says_what_the_network_says_and_is_small(
    scheme: Scheme, made: Quantised, learnt: Learnt, tmp_path: Path
) -> None:
    want = learnt.outputs()
    assert np.mean(want.argmax(1) == learnt.labels) > 0.9  # a network that knows nothing would agree with anything
    with open_session(made) as session:
        got = session.run(learnt.images)
        assert (session.runtime, session.dtype, session.batch) == (scheme.runtime, "int8", 1)
        assert session.manifest == learnt.manifest
    assert np.mean(got.argmax(1) == want.argmax(1)) >= 0.95
    # Of 8 bits indeed: a float32 file would be off by 1e-6, a wrong one by far more.  On average, because ranges that
    # LiteRT's quantiser averages over images cut single large outputs off.
    assert 1e-4 < np.abs(got - want).mean() / np.abs(want).mean() < 0.15
    plain = export(learnt.net, tmp_path / f"net{FORMATS[scheme.format].suffix}", manifest=learnt.manifest, check=False)
    assert 10_000 < made.bytes < plain.bytes / 2


def test_the_file_tells_how_it_was_made(scheme: Scheme, made: Quantised, learnt: Learnt) -> None:
    record = read_quantised(made)
    assert record is not None
    assert record["scheme"] == made.scheme == scheme.name
    assert (record["images"], record["float_layers"], record["equalised"]) == (60, [], False)
    assert record["agreement"] == made.agreement >= 0.95
    assert {key: record[key] for key in scheme.settings} == made.settings
    assert read_manifest(made) == learnt.manifest
    assert resolve_runtime(made) == scheme.runtime
    assert made.format == scheme.format
    assert list(made.path.parent.glob(".*")) == []


def test_layers_stay_in_float(
    scheme: Scheme, made: Quantised, learnt: Learnt, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"net{FORMATS[scheme.format].suffix}"
    spared = quantise(
        learnt.net, path, learnt.calibration, scheme=scheme.name, manifest=learnt.manifest, float_layers=[BIG]
    )
    # Its weights take four bytes each instead of one; scales for each channel (768) fall away.
    assert spared.bytes - made.bytes == pytest.approx(3 * 96 * 768, rel=0.1)
    assert spared.float_layers == (BIG,)
    assert read_quantised(spared)["float_layers"] == [BIG]
    assert capfd.readouterr() == ("", "")
    with open_session(spared) as session:
        assert np.mean(session.run(learnt.images).argmax(1) == learnt.outputs().argmax(1)) >= 0.95


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((4, *SIZE), np.float64), "float32 of shape"),
        (np.zeros(SIZE, np.float32), "float32 of shape"),
        (np.zeros((0, *SIZE), np.float32), "float32 of shape"),
        (np.zeros((4, 1, 32, 32), np.float32), r"reads images of shape \(3, 32, 32\)"),
        (np.zeros((4, *SIZE), np.float32), "all of one value"),
        (np.full((4, *SIZE), np.nan, np.float32), "undefined"),
    ],
)
def test_calibration_that_cannot_serve_is_refused(
    images: np.ndarray, sentence: str, learnt: Learnt, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=sentence):
        quantise(learnt.net, tmp_path / "net.onnx", images, scheme=ORT, manifest=learnt.manifest)
    with pytest.raises(BadInput):
        quantise(learnt.net, tmp_path / "net.onnx", images, scheme=ORT, input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"scheme": "onnxruntime-int4"}, "no scheme 'onnxruntime-int4'"),
        ({"scheme": ORT, "preset": "mixed"}, "has no setting 'preset'; it has calibration, weights"),
        ({"scheme": ORT, "weights": "4bit"}, "weights of scheme onnxruntime-int8 is reduced or full"),
        ({"scheme": ORT, "float_layers": ["9"]}, "'9' is no layer with a weight"),
        ({"scheme": ORT, "float_layers": ["nowhere"]}, "'nowhere' is no layer with a weight"),
        ({"scheme": "openvino-int8"}, "format openvino"),
    ],
)
def test_what_does_not_exist_is_refused(given: dict, sentence: str, learnt: Learnt, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=sentence):
        quantise(learnt.net, tmp_path / "net.onnx", learnt.calibration, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_toolkit_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch, learnt: Learnt, tmp_path: Path) -> None:
    monkeypatch.setitem(SCHEMES, ORT, replace(SCHEMES[ORT], packages=("no_such_toolkit",)))
    assert not SCHEMES[ORT].available()
    with pytest.raises(BadInput, match=r"needs no_such_toolkit; run `pip install 'pumice\[deploy\]'`"):
        quantise(learnt.net, tmp_path / "net.onnx", learnt.calibration, scheme=ORT)


def _nothing(model: nn.Module, path: Path, *_: object, **__: object) -> None:
    path.write_bytes(b"no model")


def _undefined(model: nn.Module, path: Path, size: tuple[int, int, int], *_: object, **__: object) -> None:
    from pumice.deploy.onnx import export_onnx

    class Undefined(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)).repeat(1, 4)[:, :10] * float("inf")

    export_onnx(Undefined(), path, size)


@pytest.mark.parametrize("writer", [_nothing, _undefined])
def test_a_file_that_does_not_work_is_not_left(
    writer: object, monkeypatch: pytest.MonkeyPatch, learnt: Learnt, tmp_path: Path
) -> None:
    monkeypatch.setattr("pumice.deploy.schemes.onnxruntime_int8.write", writer)
    with pytest.raises(CheckFailed, match="the file that onnxruntime-int8 made"):
        quantise(learnt.net, tmp_path / "net.onnx", learnt.calibration, scheme=ORT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("calibration", ["percentile", "entropy"])
def test_ranges_from_histograms(calibration: str, learnt: Learnt, tmp_path: Path) -> None:
    # 21 images in parts of 7
    made = quantise(learnt.net, tmp_path / "net.onnx", learnt.calibration[:21], scheme=ORT, calibration=calibration)
    assert made.agreement >= 0.9
    assert made.settings == {"calibration": calibration, "weights": "reduced"}
