"""An additive table finds its terms again, and says how well it fits."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pumice.cost.lut.additive import Additive, fit_additive, r_squared
from pumice.errors import BadInput

BENCH = Path(__file__).resolve().parents[4] / "shared/reference/search/bench/fbnet_latency.csv"


def test_terms_are_found_again():
    random = np.random.default_rng(0)
    true = Additive(random.uniform(0, 1, (6, 4)), 2.0)
    choices = random.integers(0, 4, (300, 6))
    found = fit_additive(choices[:200], true.predict(choices[:200]))
    np.testing.assert_allclose(found.predict(choices[200:]), true.predict(choices[200:]), rtol=1e-9)
    # Differences within a position are determined, the shares of constant and positions are not.
    np.testing.assert_allclose(np.diff(found.terms, axis=1), np.diff(true.terms, axis=1), atol=1e-9)


def test_r_squared():
    measured = np.array([1.0, 2.0, 4.0])
    assert r_squared(measured, measured) == 1.0
    assert r_squared(measured, np.full(3, measured.mean())) == pytest.approx(0.0)
    assert r_squared(measured, np.array([1.0, 2.0, 3.0])) == pytest.approx(1 - 1 / (14 / 3))


def test_choices_outside_the_table():
    table = Additive(np.zeros((3, 2)))
    with pytest.raises(BadInput, match="3 positions of choices 0 to 1"):
        table.predict(np.array([[0, 1, 2]]))
    with pytest.raises(BadInput, match="3 positions"):
        table.predict(np.array([[0, 1]]))


# The values of the reference's own linear tables: 4,000 networks fitted, 1,000 tested.
R2 = {
    **{"pixel3": 1.0, "raspi4": 1.0, "eyeriss": 1.0, "fpga": 1.0, "titan_rtx_64": 0.998, "titan_rtx_1": 0.997},
    **{"silver_4210r": 0.986, "2080ti_1": 0.975, "gold_6240": 0.929, "1080ti_1": 0.897, "samsung_a50": 0.84},
    "pixel2": 0.61,
}


@pytest.mark.skipif(not BENCH.exists(), reason="the public list of measured networks is not here")
def test_public_latencies():
    rows = list(csv.DictReader(BENCH.read_text().splitlines()))
    choices = np.array([[int(digit) for digit in row["ops"]] for row in rows])
    for device, expected in R2.items():
        ms = np.array([float(row[device]) for row in rows])
        found = r_squared(ms[4000:], fit_additive(choices[:4000], ms[:4000]).predict(choices[4000:]))
        assert abs(found - expected) < (0.005 if expected < 0.9 else 0.0006), device
