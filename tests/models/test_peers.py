"""Our networks compute what those of timm, torchvision, pytorchcv and the authors compute, with the same weights.

In double precision, so that a wrong padding, eps or order cannot hide behind rounding.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from official import difference
from torch import Tensor, nn

from pumice.models import catalogue
from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.models.families import family_of, variants
from pumice.models.peers import PEERS, Peer
from pumice.models.weights import load_weights, source_of

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
Make = Callable[..., nn.Module]
Images = Callable[..., Tensor]
Compare = Callable[[Tensor, Tensor], float]
TOLERANCE = 1e-6  # of the difference between the outputs of two inputs, in double precision
HEAVY = 8e6  # parameters


def cases() -> list[Any]:
    """Every peer; the fast tier has one small network of each family and source."""
    found, seen = [], set()
    for name, peers in PEERS.items():
        for peer in peers if name in variants() else ():
            kind = (family_of(name), peer.library, peer.source)
            fast = kind not in seen and catalogue.entry(name).params < HEAVY
            seen |= {kind} if fast else set()
            marks = () if fast else pytest.mark.slow
            found.append(pytest.param(name, peer, id=f"{name}-{peer.net}", marks=marks))
    return found


@pytest.mark.parametrize(("name", "peer"), cases())
def test_outputs_are_the_peers(name: str, peer: Peer) -> None:
    pytest.importorskip(peer.library)
    assert difference(name, peer) <= TOLERANCE


@pytest.mark.parametrize(("name", "peer"), [case for case in cases() if case.values[1].source is None])
def test_keys_tell_the_source(name: str, peer: Peer) -> None:
    pytest.importorskip(peer.library)
    with torch.device("meta"):
        theirs, ours = create_model(peer.name, **peer.options), create_model(name)
    assert source_of(theirs.state_dict(), ours) == peer.library


def test_settings_of_tensorflow_are_no_detail(realistic: Make, images: Images, compare: Compare) -> None:
    """Taken for timm's own, the same weights give another function: padding and eps belong to them."""
    pytest.importorskip("timm")
    theirs = realistic(create_model("timm:tf_mobilenetv3_small_100"))
    right, wrong = (create_model("mobilenetv3_small_100").double().eval() for _ in range(2))
    load_weights(right, theirs.state_dict(), "official")
    load_weights(wrong, theirs.state_dict())  # by its keys: timm
    x = images(3, (3, 64, 64), 9)
    with torch.no_grad():
        assert compare(wrong(x), theirs(x)) > 0.02
    config, preprocess = config_of(right), preprocess_of(right)
    assert config is not None
    assert (config.padding, config.bn_eps, preprocess.mean, preprocess.std) == ("same", 1e-3, (0.5,) * 3, (0.5,) * 3)
    config = config_of(wrong)
    assert config is not None
    assert (config.padding, config.bn_eps, preprocess_of(wrong).mean[0]) == ("symmetric", None, 0.485)


# ---- ShuffleNetV2's release, whose layout no library has


class ReleaseUnit(nn.Module):
    """A unit as the release registers it: the main branch before the projection."""

    def __init__(self, c: int, o: int, stride: int) -> None:
        super().__init__()
        mid, out = o // 2, o - c if stride == 2 else o // 2
        entry = c if stride == 2 else o // 2
        self.stride = stride
        self.branch_main = nn.Sequential(
            *(nn.Conv2d(entry, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU()),
            *(nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False), nn.BatchNorm2d(mid)),
            *(nn.Conv2d(mid, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()),
        )
        if stride == 2:
            self.branch_proj = nn.Sequential(
                *(nn.Conv2d(c, c, 3, 2, 1, groups=c, bias=False), nn.BatchNorm2d(c)),
                *(nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU()),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class ReleaseNet(nn.Module):
    def __init__(self, widths: tuple[int, int, int], last: int) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        before = 24
        for i, (width, repeats) in enumerate(zip(widths, (4, 8, 4), strict=True)):
            units = [ReleaseUnit(before, width, 2)] + [ReleaseUnit(width, width, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{i + 2}", nn.Sequential(*units))
            before = width
        self.conv_last = nn.Sequential(nn.Conv2d(before, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(last, 1000, bias=False))

    def trunk(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.first_conv(x), 3, 2, 1)
        for i in (2, 3, 4):
            x = getattr(self, f"stage{i}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.conv_last(self.trunk(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("name", "widths"), [("050", (48, 96, 192)), ("100", (116, 232, 464)), ("150", (176, 352, 704))]
)
def test_shufflenet_v2_is_its_release(
    name: str, widths: tuple[int, int, int], realistic: Make, images: Images, compare: Compare
) -> None:
    theirs = realistic(ReleaseNet(widths, 1024))
    ours = create_model(f"shufflenetv2_{name}").double().eval()
    assert load_weights(ours, theirs.state_dict()).source == "official"
    with torch.no_grad():
        for size in ((3, 64, 64), (3, 51, 78)):
            x = images(3, size, 9)
            assert compare(ours(x), theirs(x)) < TOLERANCE
    preprocess = preprocess_of(ours)
    assert (preprocess.channels, preprocess.mean) == ("BGR", (0.0, 0.0, 0.0))
    assert preprocess.std == pytest.approx((1 / 255,) * 3)


TRUNK = WEIGHTS / "fastestdet_shufflenetv2.pth"
CAFFE = WEIGHTS / "squeezenet1_1_caffe_bgr.pth"


@pytest.mark.skipif(not TRUNK.exists(), reason="needs ../shared/weights")
def test_a_trunk_loads_without_its_head(images: Images, compare: Compare) -> None:
    model = create_model("shufflenetv2_050").eval()
    loaded = load_weights(model, TRUNK, strict=False)
    assert loaded.source == "official"
    assert {key.split(".")[0] + key.split(".")[1] for key in loaded.missing} == {"blocks18", "headclassifier"}
    theirs = ReleaseNet((48, 96, 192), 1024).eval()
    theirs.load_state_dict(torch.load(TRUNK, map_location="cpu", weights_only=True), strict=False)
    x = images(3, (3, 96, 64), 9).float() * 60 + 120
    with torch.no_grad():
        assert compare(model.blocks[:-1](x), theirs.trunk(x)) < 1e-5


@pytest.mark.skipif(not CAFFE.exists(), reason="needs ../shared/weights")
def test_caffe_weights_are_fed_as_caffe_does(images: Images, compare: Compare) -> None:
    torchvision = pytest.importorskip("torchvision")
    model = create_model("squeezenet1_1").eval()
    load_weights(model, CAFFE, source="official")
    preprocess = preprocess_of(model)
    assert preprocess.channels == "BGR"
    pixels = torch.randint(0, 256, (4, 3, 67, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    x = torch.from_numpy(preprocess.normalise(pixels.permute(0, 2, 3, 1).numpy()))
    by_hand = pixels.flip(1).float() - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    torch.testing.assert_close(x, by_hand, atol=1e-4, rtol=0)
    theirs = torchvision.models.squeezenet1_1(weights=None).eval()
    theirs.load_state_dict(torch.load(CAFFE, map_location="cpu", weights_only=True))
    with torch.no_grad():
        assert compare(model(x), theirs(x)) < 1e-5
