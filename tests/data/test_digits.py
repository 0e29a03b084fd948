import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pumice.data import digits
from pumice.data.digits import open_digits
from pumice.errors import BadInput


def test_digits():
    splits = open_digits()
    assert splits.classes == tuple("0123456789")
    assert (len(splits.train), len(splits.val), splits.skipped) == (1438, 359, ())
    truth = load_digits()
    for images in (splits.train, splits.val):
        for i in range(0, len(images), 50):
            origin = int(images.names[i].removeprefix("digits/"))
            assert images.labels[i] == truth.target[origin]
            image = images.image(i)
            assert (image.mode, image.size) == ("RGB", (8, 8))
            # 0..16 becomes 0..255, rounded.
            assert np.abs(np.asarray(image)[..., 0] - truth.images[origin] * 255 / 16).max() <= 0.5
    assert max(np.asarray(splits.val.image(0)).max() for _ in range(1)) == 255


def test_split_follows_the_seed():
    assert open_digits(seed=1).val.names == open_digits(seed=1).val.names != open_digits(seed=2).val.names
    counts = np.bincount(open_digits().val.labels)
    assert counts.min() >= 34
    assert counts.max() <= 38


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch):
    digits._pixels.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(BadInput, match=r"pip install 'pumice\[train\]'"):
        open_digits()
