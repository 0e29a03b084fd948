"""One network of every family in the formats, held against the network by the rule of `benchmarks/formats.py`.

Always: ONNX written directly, in both runtimes that read it, and one of the formats by turns.  torch's exporter takes
2 to 10 s of CPU a network, so that it has a few families here; all families in all formats are in the slow tier.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from formats import JUDGED, ORDER, SETTLING, fed, judged, settle
from PIL import Image
from torch import nn

from pumice.deploy.direct import write_direct
from pumice.deploy.formats import FORMATS, writable
from pumice.deploy.parity import parity
from pumice.deploy.probes import natural_images
from pumice.deploy.session import installed
from pumice.models.catalogue import Entry, entries
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.models.manifest import Manifest

SIDE, CLASSES = 64, 10
PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "caltech40" / "val.npz"
SMALLEST = {e.family: e for e in sorted(entries(), key=lambda e: -e.madds) if e.status == "exact"}
FAMILIES = sorted(SMALLEST)
TURNS = ("ncnn", "pt2")  # the cheap ones


@cache
def pictures() -> list[Image.Image]:
    """Photographs where they are at hand, else generated images with their statistics."""
    count = SETTLING + JUDGED
    if not PHOTOS.exists():
        return natural_images(count, 80, 96)
    packed = np.load(PHOTOS)
    blob, ends = packed["blob"], packed["offsets"]
    chosen = np.linspace(0, len(ends) - 2, count).round().astype(int)
    return [Image.open(io.BytesIO(blob[ends[i] : ends[i + 1]].tobytes())).convert("RGB") for i in chosen]


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> tuple[Entry, nn.Module, Manifest, np.ndarray]:
    """The smallest exact network of a family with settled norms, and images that it has not seen."""
    entry = SMALLEST[request.param]
    side = min(SIDE, entry.input_size[1])
    torch.manual_seed(0)
    net = create_model(entry.name, num_classes=CLASSES)
    manifest = manifest_of(net).at(side, side)
    x = fed(pictures(), manifest)
    settle(net, torch.from_numpy(x[:SETTLING]))
    return entry, net, manifest, x[SETTLING:]


@pytest.mark.parametrize("made", FAMILIES, indirect=True)
def test_a_file_written_directly(made: tuple[Entry, nn.Module, Manifest, np.ndarray], tmp_path: Path) -> None:
    _, net, manifest, x = made
    write_direct(net, tmp_path / "net.onnx", x.shape[1:], manifest=manifest)
    for runtime in ("onnxruntime", "openvino"):
        seen = parity(tmp_path / "net.onnx", net, x, runtime=runtime, task=manifest.task)
        assert seen.ok, (runtime, seen)


def agrees(made: tuple[Entry, nn.Module, Manifest, np.ndarray], name: str) -> None:
    form = FORMATS[name]
    if not writable(form) or not any(map(installed, form.runtimes)):
        pytest.skip(f"the packages of {name} are not installed")
    row = judged(*made, name)
    assert row["ok"], row


BY_TURNS = [(family, TURNS[i % len(TURNS)]) for i, family in enumerate(FAMILIES)]


@pytest.mark.parametrize(("made", "name"), BY_TURNS, indirect=["made"])
def test_a_file_of_one_format(made: tuple[Entry, nn.Module, Manifest, np.ndarray], name: str) -> None:
    agrees(made, name)


@pytest.mark.slow
@pytest.mark.parametrize("made", FAMILIES, indirect=True)
@pytest.mark.parametrize("name", ORDER)
def test_a_file_of_every_format(made: tuple[Entry, nn.Module, Manifest, np.ndarray], name: str) -> None:
    agrees(made, name)
