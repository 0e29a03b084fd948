"""Times that follow a law are found again; what is far from everything measured is said to be uncertain."""

import json

import numpy as np

from pumice.cost.lut.features import NAMES
from pumice.cost.lut.regression import Regression, fit, roofline

MADDS, READ, WRITTEN, WEIGHTS = (NAMES.index(n) for n in ("madds", "read", "written", "weights"))
ALIGNED = NAMES.index("in_by_8")


def law(x):
    """0.01 ms + 20 GMAdds/s + bytes, twice as slow where channels are no multiple of eight."""
    amounts = np.exp(x)
    base = 0.01 + amounts[:, MADDS] / 2e7 + (amounts[:, READ] + amounts[:, WRITTEN]) / 1e7
    return base * np.where(x[:, ALIGNED] > 0, 1.0, 2.0)


def drawn(n, seed, top=18.0):
    random = np.random.default_rng(seed)
    x = np.zeros((n, len(NAMES)))
    x[:, MADDS] = random.uniform(10, top, n)
    x[:, READ], x[:, WRITTEN] = random.uniform(8, 14, (2, n))
    x[:, ALIGNED] = random.integers(0, 2, n)
    return x


def test_a_law_is_found():
    x = drawn(400, 0)
    noisy = law(x) * np.exp(np.random.default_rng(1).normal(0, 0.02, len(x)))
    regression = fit(x, noisy)
    new = drawn(200, 2)
    ms, spread = regression.predict(new)
    off = np.abs(ms / law(new) - 1)
    assert off.mean() < 0.05
    assert np.quantile(off, 0.95) < 0.15
    assert spread.shape == (200,)
    # The roofline alone cannot know of the two kernels.
    assert np.abs(roofline(regression.rates, new) / law(new) - 1).mean() > 0.2


def test_far_away_it_is_uncertain():
    regression = fit(drawn(200, 0), law(drawn(200, 0)))
    near, far = drawn(50, 3), drawn(50, 4)
    far[:, READ] += 12
    assert regression.predict(far)[1].min() > 2 * np.median(regression.predict(near)[1])


def test_features_that_never_varied_say_nothing():
    x = drawn(100, 0)
    regression = fit(x, law(x))
    other = x.copy()
    other[:, NAMES.index("groups")] = 5.0
    np.testing.assert_array_equal(regression.predict(x)[0], regression.predict(other)[0])


def test_json():
    x = drawn(60, 0)
    regression = fit(x, law(x))
    again = Regression.from_json(json.loads(json.dumps(regression.to_json())))
    np.testing.assert_allclose(again.predict(x)[0], regression.predict(x)[0], rtol=1e-3)
