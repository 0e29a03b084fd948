"""Faults sown one at a time; verify must catch each, and pass the file without."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pumice.deploy.compare import relative_error, same_top1, variation
from pumice.deploy.export import export
from pumice.deploy.openvino import OpenVinoSession
from pumice.deploy.probes import natural_images
from pumice.deploy.verify import Verification, verify
from pumice.errors import BadInput
from tests.deploy.conftest import CLASSES, SIZE, Case, small_net
from tests.deploy.test_export import wrong


def failed(result: Verification) -> set[str]:
    return {check.name for check in result.checks if not check.ok}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five classes, four images each, of several shapes."""
    folder = tmp_path_factory.mktemp("photos")
    for c, name in enumerate(CLASSES):
        for part, count in (("train", 1), ("val", 4)):
            (folder / part / name).mkdir(parents=True)
            for i, image in enumerate(natural_images(count, 60 + 7 * c, 90, seed=10 * c + count)):
                image.save(folder / part / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("kind", ["onnx", "xml"])
@pytest.mark.parametrize("source", ["generated", "photos"])
def test_a_right_file_passes(case: Case, photos: Path, kind: str, source: str):
    result = verify(getattr(case, kind), case.net, manifest=case.manifest, data=photos if source == "photos" else None)
    assert result.ok, failed(result)
    assert result.max_relative_error < 1e-4
    assert result.top1_agreement == 1
    assert result.images == (20 if source == "photos" else 64)
    assert result.runtime == {"onnx": "onnxruntime", "xml": "openvino"}[kind]
    assert result.refused == ()
    assert result.warnings == ()
    record = result.to_json()
    assert record["ok"] is True
    assert {check["name"] for check in record["checks"]} >= {
        "outputs", "outputs finite", "top-1", "depends on the image", "number of classes", "class names", "image size",
        "crop", "interpolation", "mean", "std", "channel order",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "check", "in_outputs"),
    [
        ({"channels": "BGR"}, "channel order", True),
        ({"mean": (0.0, 0.0, 0.0)}, "mean", True),
        ({"std": (1.0, 1.0, 1.0)}, "std", True),
        ({"interpolation": "bilinear"}, "interpolation", True),
        ({"crop_pct": 1.0}, "crop", True),
        ({"size": (48, 40)}, "image size", False),  # a static file cannot be fed so; "input size" fails as well
    ],
)
@pytest.mark.parametrize("source", ["generated", "photos"])
def test_wrong_preprocessing_shows_in_the_record_and_in_the_outputs(
    tmp_path: Path, case: Case, photos: Path, fault: dict, check: str, in_outputs: bool, source: str
):
    file = doctored(tmp_path / "net.onnx", case, preprocess=replace(case.manifest.preprocess, **fault))
    data = photos if source == "photos" else None
    result = verify(file, case.net, manifest=case.manifest, data=data, runtime="onnxruntime", images=16)
    assert check in failed(result)
    assert ("outputs" in failed(result)) == in_outputs


def doctored(path: Path, case: Case, **changes: object) -> Path:
    """The right file with another manifest."""
    from pumice.deploy.carried import MANIFEST
    from pumice.deploy.onnx import read_onnx, set_property

    proto = read_onnx(case.onnx.path)
    set_property(proto, MANIFEST, replace(case.manifest, **changes).dumps())
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("classes", "detail"),
    [
        (("bee", "ant", "crab", "dog", "eel"), "another order: class 0 is 'bee', not 'ant'"),
        (("ant", "bee", "cow", "dog", "eel"), "'crab' is in one only"),
        (("ant", "bee", "crab", "dog"), "'eel' is in one only"),
        ((), "0 names, the reference has 5"),
    ],
)
def test_wrong_class_names_are_caught(tmp_path: Path, case: Case, classes: tuple[str, ...], detail: str):
    file = doctored(tmp_path / "net.onnx", case, classes=classes)
    result = verify(file, case.net, manifest=case.manifest, images=4, runtime="onnxruntime")
    assert failed(result) == {"class names"}
    assert detail in next(check.detail for check in result.checks if check.name == "class names")


def test_a_convolution_off_by_one_per_cent_is_caught(tmp_path: Path, case: Case):
    net = copy.deepcopy(case.net)
    with torch.no_grad():
        net[3].body[3].weight *= 1.01
    file = export(net, tmp_path / "net.onnx", manifest=case.manifest, check=False)
    result = verify(file, case.net, manifest=case.manifest)
    assert "outputs" in failed(result)
    assert result.refused == ("onnxruntime", "openvino")


def test_another_checkpoint_is_caught(case: Case):
    result = verify(case.onnx, small_net(seed=1), manifest=case.manifest)
    assert failed(result) >= {"outputs", "top-1"}


def test_another_number_of_classes_is_caught(case: Case):
    result = verify(case.onnx, small_net(classes=7), manifest=case.manifest, images=4)
    assert failed(result) >= {"outputs", "number of classes"}
    assert result.to_json()["max_relative_error"] is None


class Constant(nn.Module):
    """Ignores its input."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(0 * x.mean((1, 2, 3), keepdim=True).flatten(1))


def test_a_network_that_ignores_its_input_is_said(tmp_path: Path, case: Case):
    file = export(Constant(), tmp_path / "net.onnx", manifest=case.manifest)
    against_a_live_one = verify(file, case.net, manifest=case.manifest, images=8)
    assert failed(against_a_live_one) >= {"outputs", "depends on the image"}
    against_itself = verify(file, net := Constant(), manifest=case.manifest, images=8)
    assert not against_itself.ok  # other random weights
    net.load_state_dict(Constant().state_dict())
    file = export(net, tmp_path / "net.onnx", manifest=case.manifest)
    against_itself = verify(file, net, manifest=case.manifest, images=8)
    assert against_itself.ok
    assert "ignores the image" in against_itself.warnings[0]


class NotFinite(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(-x.abs().mean((2, 3)))


def test_outputs_that_are_not_finite_are_caught(tmp_path: Path):
    net = NotFinite()
    file = export(net, tmp_path / "net.onnx", input_size=SIZE, check=False)
    assert failed(verify(file, net, images=4)) >= {"outputs finite", "outputs"}


def test_a_runtime_that_is_wrong_is_refused_and_not_chosen(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OpenVinoSession, "infer", wrong(OpenVinoSession))
    result = verify(case.onnx, case.net, manifest=case.manifest, images=8)
    assert result.ok
    assert (result.runtime, result.refused) == ("onnxruntime", ("openvino",))
    assert "openvino does not agree" in result.warnings[0]
    assert not verify(case.onnx, case.net, manifest=case.manifest, images=8, runtime="openvino").ok
    assert not verify(case.xml, case.net, manifest=case.manifest, images=8).ok


def test_a_file_without_manifest_fails_against_a_checkpoint_that_has_one(tmp_path: Path, case: Case):
    file = export(case.net, tmp_path / "net.onnx", input_size=SIZE, check=False)
    assert failed(verify(file, case.net, manifest=case.manifest, images=4)) == {"manifest"}
    result = verify(file, case.net, images=4)  # neither says anything: the outputs alone are compared
    assert result.ok
    assert "not compared" in next(check.detail for check in result.checks if check.name == "manifest")


def test_a_checkpoint_file_is_a_reference(tmp_path: Path):
    from pumice.models.checkpoint import manifest_of, save_checkpoint
    from pumice.models.create import create_model
    from tests.deploy.conftest import settle

    torch.manual_seed(0)
    net = settle(create_model("squeezenet1_1", num_classes=5), (3, 64, 64))
    weights = tmp_path / "net.safetensors"
    save_checkpoint(weights, net, manifest_of(net, classes=CLASSES).at(64, 64))
    file = export(weights, tmp_path / "net.onnx", check=False)
    assert verify(file, weights, images=8).ok
    assert verify(file, net, manifest=manifest_of(net).at(64, 64), images=8).ok  # a bare network names no classes
    assert failed(verify(file, net, images=8)) >= {"image size"}


def test_bad_input(tmp_path: Path, case: Case):
    (tmp_path / "text.onnx").write_text("not a network")
    for file, message in (
        (tmp_path / "text.onnx", "text.onnx is not an ONNX model"),
        (tmp_path / "absent.onnx", "no file"),
        (tmp_path / "weights.pth", "no model file to verify"),
    ):
        with pytest.raises(BadInput, match=message):
            verify(file, case.net, manifest=case.manifest)
    with pytest.raises(BadInput, match="images is at least 1"):
        verify(case.onnx, case.net, images=0)
    with pytest.raises(BadInput, match="did you mean"):
        verify(case.onnx, "squeezenet1_2")


def test_top1_counts_a_disagreement_only_beyond_the_tolerance():
    want = np.array([[1.0, 0.99995, 0.0], [1.0, 0.9, 0.0]], np.float32)
    got = want[:, [1, 0, 2]]
    assert same_top1(got, want, 1e-4).tolist() == [True, False]
    assert same_top1(want[:, :2], want, 1e-4).tolist() == [False, False]


def test_relative_error_and_variation():
    want = np.array([[2.0, -4.0]], np.float32)
    assert relative_error(want + 0.4, want) == pytest.approx(0.1)
    assert relative_error(want[:, :1], want) == float("inf")
    assert relative_error(np.full_like(want, np.nan), want) == float("inf")
    assert relative_error(0 * want, 0 * want) == 0
    assert variation(np.array([[1.0], [3.0]], np.float32)) == pytest.approx(1 / 3)
    assert variation(np.ones((4, 2), np.float32)) == 0


def test_generated_images_have_the_spectrum_of_photographs():
    images = natural_images(12, 128, 160, seed=3)
    assert images[0].size == (160, 128)
    grey = np.stack([np.asarray(image.convert("L"), float) for image in images])
    power = (np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(160)[None])
    bands = [power[(frequency > low) & (frequency < 2 * low)].mean() for low in (0.03, 0.06, 0.12)]
    # Amplitude near 1/f: power falls about fourfold an octave; white noise would stay level.
    assert 2 < bands[0] / bands[1] < 8
    assert 2 < bands[1] / bands[2] < 8
    assert isinstance(images[0], Image.Image)
    assert np.asarray(images[0]).std() > 15
