"""ESPNet: facts of the release, its weights on real photos, and its own options."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.cost.count import profile
from pumice.data.image import read_image
from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.net import Net
from pumice.models.weights import load_weights

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights"
CITYSCAPES = {"sky": 10, "building": 2, "road": 0, "tree": 8, "car": 13}
CAMVID = {"sky": 0, "building": 1, "road": 3, "tree": 5, "car": 8}


def net(name: str, **arguments: Any) -> Net:
    model = create_model(name, **arguments)
    assert isinstance(model, Net)
    return model.eval()


def meta(name: str, **arguments: Any) -> Net:
    with torch.device("meta"):
        return net(name, **arguments)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpack = SHARED / "data" / "unpack.py"
    if not unpack.is_file() or not WEIGHTS.is_dir():
        pytest.skip("../shared is absent: it holds the real photos and the authors' weights")
    folder = tmp_path_factory.mktemp("camvid")
    subprocess.run([sys.executable, unpack, "camvid", folder], check=True, capture_output=True)
    return folder


# What the authors' weights reach on four photos of another camera and country: shares of each class's pixels.
@pytest.mark.parametrize(
    ("name", "file", "least"),
    [
        ("espnet_p2_q8", "decoder_espnet_p_2_q_8", {"sky": 0.8, "building": 0.7, "road": 0.8}),
        ("espnet_c_p2_q8", "encoder_espnet_p_2_q_8", {"sky": 0.7, "building": 0.7, "road": 0.7}),
        ("espnetv2_seg_050", "espnetv2_s_0.5_city_1024x512", {"sky": 0.8, "building": 0.8, "road": 0.8, "car": 0.7}),
    ],
)
def test_official_weights_see_streets(camvid: Path, name: str, file: str, least: dict[str, float]) -> None:
    model = net(name)
    assert load_weights(model, WEIGHTS / f"{file}.pth").source == "official"
    photos = sorted((camvid / "val").iterdir())[:4]
    found, truth = [], []
    for photo in photos:
        pixels = np.asarray(read_image(photo).resize((672, 512), Image.Resampling.BILINEAR))
        with torch.no_grad():
            classes = model(torch.from_numpy(model.preprocess.normalise(pixels))[None]).argmax(1)[0]
        small = Image.fromarray(classes.numpy().astype(np.uint8)).resize((480, 360), Image.Resampling.NEAREST)
        found.append(np.asarray(small))
        truth.append(np.asarray(Image.open(next((camvid / "valannot").glob(f"{photo.stem}*")))))
    seen, true = np.stack(found), np.stack(truth)
    for label, share in least.items():
        assert (seen[true == CAMVID[label]] == CITYSCAPES[label]).mean() > share, label
    above, below = seen[:, :120], seen[:, -60:]
    upper = [CITYSCAPES[label] for label in ("sky", "building", "tree")]
    assert np.isin(above, upper).mean() > 0.8
    assert (below == CITYSCAPES["road"]).mean() > 0.6


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="../shared is absent: it holds the authors' weights")
def test_the_encoders_file_starts_the_decoders_net() -> None:
    """As the authors train: ESPNet-C first, then the decoder on top."""
    model, encoder = net("espnet_p2_q8"), net("espnet_c_p2_q8")
    file = WEIGHTS / "encoder_espnet_p_2_q_8.pth"
    load_weights(encoder, file)
    with pytest.raises(BadInput, match="not weights of espnet_p2_q8"):
        load_weights(model, file)
    loaded = load_weights(model, file, strict=False)
    assert loaded.missing[0] == "head.norm3.weight"
    torch.testing.assert_close(model.head.project3.weight, encoder.head.classifier.weight)  # type: ignore[union-attr]
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.trunk((2,))(x)[0], encoder.trunk((2,))(x)[0])


def test_preprocessing_is_the_authors_arithmetic() -> None:
    """BGR, less the mean, over the standard deviation, and over 255 once more."""
    from pumice.models.conversion.espnet import CITYSCAPES as preprocess

    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    image = pixels[..., ::-1].astype(np.float64)
    image = (image - [72.3923111, 82.90893555, 73.15840149]) / [45.3192215, 46.15289307, 44.91483307] / 255
    np.testing.assert_allclose(preprocess.normalise(pixels), image.transpose(2, 0, 1), rtol=0, atol=1e-8)
    assert (preprocess.channels, preprocess.crop_pct) == ("BGR", 1.0)


@pytest.mark.parametrize(
    ("name", "options", "size", "params", "madds"),
    [
        ("espnet_p2_q3", {"skip": "reinforced"}, (512, 1024), 203_189, 3_469_500_416),
        ("espnet_p2_q5", {"skip": "reinforced"}, (512, 1024), 267_957, 3_993_788_416),
        ("espnet_p2_q8", {"skip": "reinforced"}, (512, 1024), 365_109, 4_780_220_416),
        ("espnet_p2_q8", {"skip": "reinforced", "num_classes": 12}, (360, 480), 354_517, 1_335_320_100),
        ("espnet_p2_q8", {"num_classes": 12}, (360, 480), 354_193, 1_321_323_300),
        ("espnet_p2_q8", {"num_classes": 19}, (512, 1024), 362_949, 4_603_043_840),
        ("espnet_p2_q8", {"num_classes": 21}, (512, 512), 366_022, 2_406_363_136),
        ("espnet_c_p2_q3", {"num_classes": 19, "p": 5}, (512, 1024), 210_889, None),
    ],
)
def test_counts_of_other_forms_of_the_release(
    name: str, options: dict[str, Any], size: tuple[int, int], params: int, madds: int | None
) -> None:
    """Counted in the authors' code, and in pytorchcv's for the last."""
    found = profile(meta(name, **options), (3, *size))
    assert (found.params, found.madds) == (params, madds or found.madds)


def test_eps_is_the_releases_until_weights_say_otherwise(tmp_path: Path) -> None:
    def eps(model: torch.nn.Module) -> set[float]:
        return {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)}

    model = net("espnet_p2_q3")
    assert eps(model) == {1e-3}
    model.reset_classifier(9)
    assert eps(model) == {1e-3}
    save_checkpoint(tmp_path / "net.safetensors", model, manifest_of(model))
    assert eps(load_checkpoint(tmp_path / "net.safetensors")[0]) == {1e-3}
    assert eps(net("espnet_p2_q3", checkpoint_path=str(tmp_path / "net.safetensors"), num_classes=9)) == {1e-3}
    other = net("espnet_p2_q3", bn_eps=1e-4)
    other.reset_classifier(9)
    assert eps(other) == {1e-4}
    assert eps(net("espnetv2_050")) == {1e-5}


@pytest.mark.parametrize("skip", ["plain", "reinforced"])
def test_the_decoder_reads_the_skip_that_was_asked_for(skip: str) -> None:
    model = meta("espnet_p2_q3", skip=skip, in_chans=4)
    wide = 16 + (4 if skip == "reinforced" else 0)
    assert model.feature_info.channels() == [wide, 2 * 64 + 4, 256]
    assert model.state_dict()["head.merge1.conv.weight"].shape == (20, wide + 20, 3, 3)


def test_classes_are_everywhere_in_the_decoder() -> None:
    model, other = meta("espnet_p2_q3"), meta("espnet_p2_q3", num_classes=7)
    model.reset_classifier(7)
    assert [(k, v.shape) for k, v in model.state_dict().items()] == [
        (k, v.shape) for k, v in other.state_dict().items()
    ]
    assert model(torch.zeros(1, 3, 32, 40, device="meta")).shape == (1, 7, 32, 40)
    assert meta("espnet_c_p2_q3", num_classes=1)(torch.zeros(1, 3, 32, 40, device="meta")).shape == (1, 1, 4, 5)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("espnet_p2_q3", {"num_classes": 4}, "at least 5 classes, not 4: each of its 5 branches makes one"),
        ("espnet_c_p2_q3", {"num_classes": 0}, "at least 1 class, not 0"),
        ("espnet_p2_q3", {"q": 0}, "p 2 and q 0 must be from 1 on"),
        ("espnet_p2_q3", {"skip": "wide"}, "skip must be 'plain' or 'reinforced', not 'wide'"),
        ("espnet_p2_q3", {"width": 0.5}, "no option 'width'; it takes p, q, hff, skip"),
    ],
)
def test_bad_arguments_are_one_sentence(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as raised:
        meta(name, **arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(BadInput, match="sides are multiples of 8 from 8 pixels, not 60 x 64"):
        meta("espnet_p2_q3")(torch.zeros(1, 3, 60, 64, device="meta"))
