"""Whole networks: native code beside torch in double precision, on images of noise."""

from pathlib import Path

import pytest
import torch

from pumice.errors import BadInput
from pumice.models.catalogue import entries
from tests.native.compiled import QUICK, Loaded, images, missing
from tests.native.networks import compiled, program_of, settled

pytestmark = pytest.mark.skipif(bool(missing("cc")), reason="no C compiler")
TOLERANCE = 1e-4
SMALL = ("micronet_m0", "shufflenetv1_g8_025", "mobilenetv1_025", "squeezenet1_1")
NETWORKS = (
    *("micronet_m0", "micronet_m1", "micronet_m2", "micronet_m3"),
    *("shufflenetv2_050", "shufflenetv2_100", "shufflenetv1_g3_100", "igcv3_100", "ghostnet_100"),
    *("condensenet74_c4_g4", "mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100"),
    *("mnasnet_100", "fbnet_c", "squeezenet1_1", "efficientnet_b0", "peleenet", "semnasnet_100"),
)


def agrees(name: str, side: int, folder: Path, *flags: str) -> None:
    """The largest difference is small beside how far the answers spread, or beside what torch itself is off by in
    single precision (deep random networks multiply it), and the answers differ between images.
    """
    model = settled(name, side)
    program = compiled(model, side, name)
    loaded = Loaded(program, folder, flags=("-march=native", *flags))
    given = images(program, 2)
    with torch.no_grad():
        single = model(torch.from_numpy(given)).numpy()
        wanted = model.double()(torch.from_numpy(given).double()).numpy()
    spread = wanted.max() - wanted.min()
    assert abs(wanted[0] - wanted[1]).max() > 0.01 * spread
    for image, answer in zip(given, wanted, strict=True):
        assert abs(loaded(image) - answer).max() <= max(TOLERANCE * spread, 4 * abs(single - wanted).max())


@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name: str, tmp_path: Path) -> None:
    agrees(name, 64, tmp_path, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    agrees(name, 224, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [entry.name for entry in entries() if entry.status == "exact"])
def test_every_exact_network_is_compiled_or_refused_by_name(name: str, tmp_path: Path) -> None:
    try:
        program_of(name, 96)
    except BadInput as refused:
        pytest.skip(str(refused))
    agrees(name, 96, tmp_path, QUICK)
