"""Kernels: layers of any shape, compiled for wide vectors, narrow ones and none, against torch in float64."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.native.compiled import QUICK, Loaded, answers, images, missing
from tests.native.drawn import drawn

pytestmark = pytest.mark.skipif(bool(missing("cc")), reason="no C compiler")
FLAGS = {"native": ("-march=native", QUICK), "scalar": ("-DPUMICE_SCALAR", QUICK), "plain": (QUICK,)}
"""As wide as this processor, one number at a time, and what every processor of the kind has."""
TOLERANCE = 5e-6
"""Of a layer's largest difference to a reference in double precision, beside its largest number, or beside 1, as large
as what goes in: what rounding did in the layers before is in it, and some leave small differences of larger numbers."""
DRAWN = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),  # a smaller program costs another compilation, and the message names the layer anyway
    suppress_health_check=list(HealthCheck),
)


def compare(seed: int, flags: tuple[str, ...]) -> None:
    """Every layer of a program that is drawn from a seed."""
    made = drawn(seed)
    given_images = images(made.program, 2, seed=1)
    wanted = answers(made.program, given_images)
    with tempfile.TemporaryDirectory() as folder:
        loaded = Loaded(made.program, Path(folder), flags=flags, choices=made.choices)
        got = np.stack([loaded(image) for image in given_images])
    for said, part in made.layers:
        larger = max(float(np.abs(wanted[:, part]).max()), 1.0)
        assert np.abs(got[:, part] - wanted[:, part]).max() <= TOLERANCE * larger, said


@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_kernels(flags: str, seed: int) -> None:
    compare(seed, FLAGS[flags])


@pytest.mark.slow
@pytest.mark.parametrize("flags", FLAGS)
@settings(DRAWN, derandomize=False, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_more_kernels(flags: str, seed: int) -> None:
    compare(seed, FLAGS[flags])
