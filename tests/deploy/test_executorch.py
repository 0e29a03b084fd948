"""ExecuTorch beyond the contract of formats: threads, wrong files, operators without a kernel, int8."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.data.digits import _pixels
from pumice.deploy.compare import relative_error
from pumice.deploy.executorch_lowering import planar
from pumice.deploy.export import export
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.errors import BadInput
from pumice.nn.channelwise import ChannelwiseConv, ConvClassifier, GroupChannelwiseConv
from tests.deploy.conftest import SIZE, small_net

pytest.importorskip("executorch")

from pumice.deploy.executorch import write_executorch
from pumice.deploy.executorch_int8 import write_executorch_int8

DIGITS = (1, 16, 16)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("executorch") / "net.pte"
    write_executorch(small_net(), path, SIZE)
    return path


def test_sessions_of_different_threads_take_turns(file: Path):
    x = probe_inputs(3, SIZE, None)
    with torch.inference_mode():
        want = small_net()(torch.from_numpy(x)).numpy()
    with open_session(file, threads=1) as one, open_session(file, threads=3) as three:
        for session in (one, three, one, one, three):
            assert relative_error(session.run(x), want) < 1e-5
            assert pool() == session.threads
        method = three._method
        three.run(x)
        assert three._method is method  # loaded again only when another took the threads
        assert one._method is None


def pool() -> int:
    from executorch.extension.pybindings import portable_lib

    return portable_lib._threadpool_get_thread_count()


def test_any_array_is_read_and_an_answer_is_kept(file: Path):
    x = probe_inputs(2, SIZE, None)
    with open_session(file, threads=1) as session:
        first = session.run(x[:1])
        kept = first.copy()
        turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        turned.flags.writeable = False
        both = session.run(turned)
        assert np.array_equal(first, kept)  # not the runtime's own memory
        assert np.array_equal(both[:1], kept)
        assert relative_error(both[1:], kept) > 0.01


def test_nothing_is_said_to_the_terminal(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    damaged = tmp_path / "net.pte"
    damaged.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"executorch cannot open .*net\.pte, it is damaged or made for another runtime"):
        open_session(damaged)
    for threads in (2, 1):
        with open_session(file, threads=threads) as session:
            session.run(probe_inputs(1, SIZE, None))
    assert capfd.readouterr() == ("", "")


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_a_program_of_something_else_is_refused(tmp_path: Path):
    from pumice.deploy.executorch import lowered

    (tmp_path / "two.pte").write_bytes(lowered(torch.export.export(Two(), (torch.ones(1, 3, 8, 8),) * 2)))
    with pytest.raises(BadInput, match="does not read one batch of images"):
        open_session(tmp_path / "two.pte")


class Odd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


class Deep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv3d(x[:, None], torch.ones(1, 1, 3, 3, 3)).flatten(1, 2)


def test_convolutions_over_channels_become_planar():
    torch.manual_seed(0)
    net = nn.Sequential(GroupChannelwiseConv(2), ChannelwiseConv(5), ConvClassifier(16, 5, 7)).eval()
    net[1].conv.bias = nn.Parameter(torch.ones(1))
    net.double()
    x = torch.rand(2, 16, 7, 7, dtype=torch.float64)
    flat = planar(copy.deepcopy(net))
    with torch.inference_mode():
        want = net(x)
        assert relative_error(flat(x).numpy(), want.numpy()) < 1e-12
    assert not any("conv3d" in str(node.target) for node in torch.export.export(flat, (x,)).graph.nodes)


@pytest.mark.parametrize(("layer", "operator"), [(Odd(), "aten::special_bessel_j0"), (Deep(), "aten::convolution")])
def test_an_operator_that_cannot_run_is_named_with_its_layer(layer: nn.Module, operator: str, tmp_path: Path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(layer), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(BadInput, match=f"cannot export Sequential to ExecuTorch: .*{operator} of layer 1.0 as it is"):
        export(net, tmp_path / "net.pte", input_size=(3, 8, 8))
    assert list(tmp_path.iterdir()) == []


class Gated(nn.Module):
    """A squeeze-and-excitation, whose hard sigmoid and product are what int8 gets wrong first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


@dataclass(frozen=True)
class Trained:
    net: nn.Module
    train: NDArray[np.float32]
    val: NDArray[np.float32]
    labels: NDArray[np.int64]


@pytest.fixture(scope="module")
def trained() -> Trained:
    pixels, labels = _pixels()
    x = np.float32(pixels.repeat(2, 1).repeat(2, 2)[:, None]) / 128 - 1
    y = np.array(labels)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()),
        nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6(), Gated(64)),
        nn.Sequential(nn.Conv2d(64, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(4):
        for rows in torch.randperm(1200).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(torch.from_numpy(x[rows])), torch.from_numpy(y[rows])).backward()
            optimiser.step()
    return Trained(net.eval(), x[:1200], x[1200:], y[1200:])


@pytest.fixture(scope="module")
def int8(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "net.pte"
    write_executorch_int8(trained.net, path, DIGITS, trained.train[:96], batch=16)
    return path


@pytest.mark.slow
def test_int8_decides_as_the_network_does(trained: Trained, int8: Path):
    with torch.inference_mode():
        want = trained.net(torch.from_numpy(trained.val)).numpy()
    assert (want.argmax(1) == trained.labels).mean() > 0.85
    with open_session(int8, batch=None, threads=1) as session:
        assert (session.dtype, session.batch, session.input_size) == ("int8", 16, DIGITS)
        got = session.run(trained.val)
        assert (got.argmax(1) == want.argmax(1)).mean() > 0.97
        assert 1e-3 < relative_error(got, want) < 0.2  # float would be far nearer
        assert np.array_equal(got, session.run(trained.val))
    floats = sum(p.numel() for p in trained.net.parameters()) * 4
    assert int8.stat().st_size < floats / 2
    assert b"dim_order" not in int8.read_bytes()  # no constant of a hard sigmoid is converted in every pass


@pytest.mark.slow
def test_layers_that_stay_in_float(trained: Trained, int8: Path, tmp_path: Path):
    some = tmp_path / "some.pte"
    write_executorch_int8(trained.net, some, DIGITS, trained.train[:16], float_layers=["3"], batch=16)
    # The 64 * 64 * 9 weights of stage 3 take 4 bytes each instead of 1.
    assert some.stat().st_size - int8.stat().st_size == pytest.approx(3 * 64 * 64 * 9, rel=0.05)


@pytest.mark.parametrize(
    ("images", "layers", "sentence"),
    [
        (np.zeros((4, 3, 16, 16), np.float32), (), r"calibrated on float32 images of shape \('N', 1, 16, 16\), not on"),
        (np.zeros((0, *DIGITS), np.float32), (), "calibrated on float32 images"),
        (np.zeros((4, *DIGITS)), (), "not on float64"),
        (np.full((4, *DIGITS), np.nan, np.float32), (), "numbers that are not finite"),
        (np.zeros((4, *DIGITS), np.float32), ("2.3.gates",), "has no layer '2.3.gates'"),
    ],
)
def test_bad_calibration_is_refused(
    images: NDArray[np.float32], layers: tuple[str, ...], sentence: str, tmp_path: Path
):
    with pytest.raises(BadInput, match=sentence):
        write_executorch_int8(nn.Sequential(), tmp_path / "net.pte", DIGITS, images, float_layers=layers)
    assert list(tmp_path.iterdir()) == []
