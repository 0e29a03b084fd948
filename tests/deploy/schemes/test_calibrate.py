"""Images to calibrate on: from those to learn from, evenly over the classes, as the network reads them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pumice.data.open import open_data
from pumice.data.preprocess import Preprocess
from pumice.deploy.schemes.calibrate import calibration_images
from pumice.errors import BadInput
from pumice.models.manifest import Manifest, ModelConfig

MANIFEST = Manifest(ModelConfig("digits", num_classes=10), Preprocess(size=(16, 16)))


def test_they_are_drawn_evenly_from_the_training_images() -> None:
    images = calibration_images("digits", MANIFEST, count=30)
    assert images.shape == (30, 3, 16, 16)
    assert images.dtype == np.float32
    train = open_data("digits").train
    known = {
        MANIFEST.preprocess(load()).tobytes(): label for load, label in zip(train.loaders, train.labels, strict=True)
    }
    assert Counter(known[image.tobytes()] for image in images) == dict.fromkeys(range(10), 3)
    assert np.array_equal(images, calibration_images("digits", MANIFEST, count=30))
    assert not np.array_equal(images, calibration_images("digits", MANIFEST, count=30, seed=1))
    assert len({image.tobytes() for image in images}) == 30


def test_what_cannot_serve_is_refused(tmp_path: Path) -> None:
    grey = replace(MANIFEST, model=replace(MANIFEST.model, in_chans=1))
    with pytest.raises(BadInput, match="digits reads 1 channels"):
        calibration_images("digits", grey)
    with pytest.raises(BadInput, match="at least 1 image"):
        calibration_images("digits", MANIFEST, count=0)
    with pytest.raises(BadInput, match=str(tmp_path)):
        calibration_images(str(tmp_path), MANIFEST)
