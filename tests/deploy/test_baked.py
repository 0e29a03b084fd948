"""Files that read pixels and normalise them themselves answer as the plain ones do."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.cost.latency import benchmark
from pumice.data.image import ImageBytes, read_image
from pumice.data.preprocess import Preprocess
from pumice.deploy.baked import Baked
from pumice.deploy.carried import read_manifest
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS, Format, writable
from pumice.deploy.op_times import op_times
from pumice.deploy.predict import predict
from pumice.deploy.probes import natural_images, probe_pixels
from pumice.deploy.session import installed, open_session
from pumice.deploy.verify import verify
from pumice.errors import BadInput, CheckFailed
from pumice.models.manifest import Manifest
from pumice.tasks.keypoints.decode import flip_tested
from pumice.tasks.keypoints.found import KeypointsReader
from pumice.tasks.segment.found import SegmentReader
from tests.deploy.conftest import SIZE, manifest, small_net

# Unlike for every channel, so that a wrong order shows.
ODD = {"mean": (0.2, 0.5, 0.7), "std": (0.1, 0.3, 0.5), "channels": "BGR"}


def said(**preprocess: object) -> Manifest:
    return replace(manifest(), preprocess=replace(manifest().preprocess, **preprocess))


def decoded(data: bytes) -> Image.Image:
    return read_image(ImageBytes(data, "photo.jpg"))


def jpegs(count: int) -> list:
    """Photographs as a camera stores them, of a size that is cropped."""
    loaders = []
    for i, image in enumerate(natural_images(count, 71, 97, seed=5)):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        loaders.append((f"{i}.jpg", partial(decoded, buffer.getvalue())))
    return loaders


SLOW = {name: [pytest.mark.slow] for name in ("aoti", "executorch", "c")}  # to compile, to import, to compile


@pytest.fixture(
    params=[pytest.param(name, marks=SLOW.get(name, [])) for name, form in FORMATS.items() if form.bakes],
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
    return export(small_net(), folder / f"net{form.suffix}", format=form.name, manifest=said(**ODD), bake=True)


def test_it_answers_as_the_plain_network_on_photographs(form: Format, written):
    images = jpegs(6)
    with open_session(small_net(), manifest=said(**ODD), input_size=SIZE) as plain:
        want = predict(plain, images)
    for runtime in filter(installed, form.runtimes):
        with open_session(written, runtime=runtime) as session:
            assert session.pixels
            assert session.manifest == said(**ODD, baked=True) == read_manifest(written)
            assert (session.input_size, session.input_shape) == (SIZE, (1, *SIZE[1:], 3))
            found = predict(session, images)
            with pytest.raises(BadInput, match=r"reads uint8 of shape \(1, 40, 48, 3\), not float32"):
                session.run(np.zeros((1, *SIZE), np.float32))
        for got, one in zip(found, want, strict=True):
            assert [label for label, _ in got.ranked] == [label for label, _ in one.ranked]
            assert [p for _, p in got.ranked] == pytest.approx([p for _, p in one.ranked], abs=1e-4)
        assert len({p.ranked for p in found}) == len(found)
        assert written.checked[runtime] < 1e-5


def test_it_verifies_against_the_plain_network_and_not_against_another(form: Format, written):
    right = verify(written, small_net(), manifest=said(**ODD), images=8)
    assert right.ok
    assert right.max_relative_error < 1e-5
    other = verify(written, small_net(), manifest=said(**{**ODD, "channels": "RGB"}), images=8)
    assert [check.name for check in other.checks if not check.ok][:1] == ["outputs"]
    assert any(check.name == "channel order" and not check.ok for check in other.checks)


def test_it_is_timed(written):
    timing = benchmark(written, time_limit_s=0.2)
    assert timing.input_size == SIZE
    assert timing.p50_ms > 0


def test_its_operators_are_timed(tmp_path: Path):
    file = export(small_net(), tmp_path / "net.onnx", manifest=manifest(), bake=True, check=False).path
    for runtime in ("onnxruntime", "openvino"):
        assert len(op_times(file, runtime, passes=3)) > 5


def test_what_was_baked_in_is_checked_at_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = Baked.forward
    monkeypatch.setattr(Baked, "forward", lambda self, pixels: plain(self, pixels.flip(3)))
    with pytest.raises(CheckFailed, match="does not compute what the network computes"):
        export(small_net(), tmp_path / "net.onnx", manifest=manifest(), bake=True)
    assert list(tmp_path.iterdir()) == []


def test_batch_and_size_stay_open(tmp_path: Path):
    file = export(small_net(), tmp_path / "net.xml", manifest=manifest(), bake=True, dynamic="both")
    pixels = probe_pixels(3, 56, 40)
    with torch.inference_mode():
        want = small_net()(torch.from_numpy(manifest().preprocess.normalise(pixels))).numpy()
    with open_session(file, batch=3, input_size=(3, 56, 40)) as session:
        assert session.run(pixels) == pytest.approx(want, abs=1e-5)


def test_records_without_the_field_are_read_and_still_written():
    old = Preprocess(size=(64, 48)).to_json()
    assert "baked" not in old
    assert Preprocess.from_json(old) == Preprocess(size=(64, 48))
    baked = Preprocess(size=(64, 48), baked=True)
    assert Preprocess.from_json(baked.to_json()) == baked
    image = Image.fromarray(np.arange(90 * 70 * 3, dtype=np.uint32).reshape(90, 70, 3).astype(np.uint8))
    assert baked(image).dtype == np.uint8
    assert np.array_equal(Preprocess(size=(64, 48)).normalise(baked(image)), Preprocess(size=(64, 48))(image))


def test_dense_networks_are_fed_pixels_too():
    image, baked = natural_images(1, 71, 97)[0], Preprocess((40, 48), resize="stretch", baked=True)
    plain = replace(baked, baked=False)
    for kind, boxes in ((SegmentReader, ()), (KeypointsReader, [(10.0, 10.0, 60.0, 60.0, 1.0)])):
        got, want = (kind(one, ("a", "b"), {}).inputs(image, boxes) for one in (baked, plain))
        assert (got.dtype, got.shape) == (np.uint8, (1, 40, 48, 3))
        assert np.array_equal(plain.normalise(got), want)
    # A flip test mirrors left and right, not the channels.
    sums = flip_tested(lambda x: x[..., 0][:, None].astype(np.float32), [0])
    assert np.array_equal(sums(got), got[..., 0][:, None].astype(np.float32))


def test_what_cannot_be_baked_says_so(tmp_path: Path):
    with pytest.raises(BadInput, match=r"does not say how images are fed to it; give manifest= to bake"):
        export(small_net(), tmp_path / "net.onnx", input_size=SIZE, bake=True)
    grey = replace(manifest(), model=replace(manifest().model, in_chans=1))
    with pytest.raises(BadInput, match="small does not read RGB images"):
        export(small_net(), tmp_path / "net.onnx", input_size=(1, 40, 48), manifest=grey, bake=True)
    with pytest.raises(BadInput, match="a file of format ncnn cannot read pixels"):
        export(small_net(), tmp_path / "net", format="ncnn", manifest=manifest(), bake=True)
    with pytest.raises(BadInput, match="reads normalised planes, but says pixels"):
        open_session(small_net(), manifest=said(baked=True), input_size=SIZE)
    assert list(tmp_path.iterdir()) == []
