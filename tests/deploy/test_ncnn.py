"""ncnn: operators said otherwise, operators refused, and files that ncnn itself would crash on."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("ncnn")
pytest.importorskip("pnnx")

from pumice.deploy import ncnn_lowering
from pumice.deploy.compare import relative_error, variation
from pumice.deploy.export import export
from pumice.deploy.ncnn_lowering import Lowered, take
from pumice.deploy.ncnn_param import read_layers
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.errors import BadInput
from pumice.nn.cond_conv import CondConv
from pumice.nn.shift_max import DynamicShiftMax
from pumice.nn.shuffle import ChannelShuffle
from pumice.nn.spatial_attention import SpatialAttention
from tests.deploy.conftest import SIZE, manifest, small_net

TOLERANCE = 1e-5


class Pick(nn.Module):
    """Channels by number: with a method, by brackets, repeated, and one of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor([7, 0, 1, 2, 6, 5, 3, 4]))
        self.register_buffer("some", torch.tensor([2, 3, 3, -1, 5, 2]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.index_select(1, self.order), 2 * x[:, self.some], torch.index_select(x, 1, self.order)], 1)


class Attended(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = SpatialAttention(8)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


def around(*middle: nn.Module, out: int = 8) -> nn.Module:
    """Layers of 8 channels between a convolution and a classifier of 5 classes."""
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out, 5, bias=False)]
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), *middle, nn.ReLU(), *head).eval()


@pytest.mark.parametrize(
    "net",
    [
        around(Pick(), out=22),
        around(ChannelShuffle(2), ChannelShuffle(4), ChannelShuffle(2)),
        around(DynamicShiftMax(8, 4, 4, (1, 1), (0.5, 0)), ChannelShuffle(4), ChannelShuffle(4)),
        around(Attended()),
        around(CondConv(8, 8, 3, experts=3)),
    ],
    ids=["channels by number", "shuffles in a row", "shift-max", "view_as", "kernels of each image"],
)
def test_operators_that_ncnn_has_no_layer_for(net: nn.Module, tmp_path: Path):
    file = export(net, tmp_path / "net", format="ncnn", input_size=SIZE, batch=3)
    x = probe_inputs(3, SIZE, None, seed=5)
    with torch.inference_mode():
        want = net(torch.from_numpy(x)).numpy()
    assert variation(want) > 0.1
    with open_session(file, batch=3) as session:
        assert relative_error(session.run(x), want) < TOLERANCE


@pytest.mark.parametrize(
    "index",
    [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 4, 5, 0, 1, 2], [2], [1, 2, 2, 3, 1, 2], [0, 0], [4, 5, 4, 5, 0]],
)
def test_channels_taken_by_number(index: list[int]):
    x = torch.rand(2, 6, 3)
    assert torch.equal(take(x, 1, index), x[:, index])
    assert torch.equal(take(x.transpose(1, 2), 2, index), x.transpose(1, 2)[..., index])


def test_only_what_is_meant_is_lowered():
    x, rows, columns = torch.rand(4, 5), torch.tensor([0, 3]), torch.tensor([1, 2])
    mask = x > 0.5
    want = [x[rows, columns], x[mask], x[1], x[..., columns], x[None, :, 2:], x[:, columns], x.shape, x.size(-1)]
    with Lowered():
        got = [x[rows, columns], x[mask], x[1], x[..., columns], x[None, :, 2:], x[:, columns], x.shape, x.size(-1)]
    for a, b in zip(got, want, strict=True):
        assert torch.equal(a, b) if isinstance(a, Tensor) else a == b


def test_an_operator_that_stays_is_named_with_its_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ncnn_lowering, "Lowered", nullcontext)
    net = around(nn.Sequential(nn.ReLU(), Pick()), out=22)
    with pytest.raises(
        BadInput, match=r"ncnn, which has no layer for torch.index_select in 1.1; choose another format"
    ):
        export(net, tmp_path / "net", format="ncnn", input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sides", [(40, 48), (36, 52)])
def test_maps_come_out_whole(sides: tuple[int, int], tmp_path: Path):
    """ncnn pads every channel of a map to 16 bytes; a map of 9 x 13 shows it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 3, 1)).eval()
    file = export(net, tmp_path / "net", format="ncnn", input_size=(3, *sides))
    x = probe_inputs(2, (3, *sides), None)
    with open_session(file) as session, torch.inference_mode():
        got, want = session.run(x), net(torch.from_numpy(x)).numpy()
    assert got.shape == want.shape
    assert relative_error(got, want) < TOLERANCE


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        small_net(), tmp_path_factory.mktemp("ncnn") / "net", format="ncnn", manifest=manifest(), batch=2
    ).path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    for part in written.iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    return tmp_path / "model.param"


def test_the_files_of_a_folder(written: Path):
    assert {part.name for part in written.iterdir()} == {"model.param", "model.bin", "pumice.json"}
    first = read_layers(written / "model.param")[0]
    assert (first.type, first.numbers) == ("Input", {"0": "48", "1": "40", "2": "3"})
    weights = sum(p.numel() for name, p in small_net().named_parameters()) * 4
    assert (written / "model.bin").stat().st_size > 0.9 * weights  # float32; norms are folded


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("7767517", "7767518", "its first line is not 7767517"),
        ("0=5 1=1 2=120\n", "0=5 1=1 2=12", "its last line is not whole"),
        ("HardSwish ", "HardRwish ", "layer HardRwish .* which this ncnn does not know"),
        (" 1 1 in0 1 ", " 1 1 in1 1 ", "reads in1, which no layer before it writes"),
        (" 1 1 in0 1 ", " 1 9 in0 1 ", "15 layers write 25 blobs, not 15 and 17"),
        ("Input  ", "Input  x ", "is no whole .param of ncnn"),
        ("Input  ", "Noop  ", "does not read one image"),
    ],
)
def test_a_wrong_param_is_refused_before_ncnn_sees_it(copied: Path, old: str, new: str, why: str):
    text = copied.read_text()
    assert old in text
    copied.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=why):
        open_session(copied, batch=None)


@pytest.mark.parametrize("kept", [0, 3, 1000, -1, None])
def test_short_or_absent_weights_are_refused(copied: Path, kept: int | None):
    weights = copied.with_suffix(".bin")
    content = weights.read_bytes()
    weights.unlink() if kept is None else weights.write_bytes(content[:kept])
    with pytest.raises(
        BadInput, match="no model.bin beside it" if kept is None else "cannot load .* with its model.bin"
    ):
        open_session(copied, batch=None)


def test_a_file_of_another_maker(copied: Path):
    """No pumice.json, and an Input that says no size."""
    copied.with_name("pumice.json").unlink()
    text = copied.read_text()
    copied.write_text(text.replace(" 0=48 1=40 2=3", "", 1))
    with pytest.raises(BadInput, match="open to any input size and carries none"):
        open_session(copied)
    x = probe_inputs(2, SIZE, None)
    with open_session(copied, input_size=SIZE) as session, torch.inference_mode():
        assert session.manifest is None
        assert relative_error(session.run(x), small_net()(torch.from_numpy(x)).numpy()) < TOLERANCE


def test_threads_do_not_change_the_answer(written: Path):
    x = probe_inputs(4, SIZE, None)
    with open_session(written, threads=1, batch=2) as one, open_session(written, threads=2, batch=2) as two:
        got = one.run(x)
        assert np.array_equal(got, one.run(x))
        assert relative_error(two.run(x), got) < 1e-6


def test_a_file_opens_without_torch(written: Path):
    code = (
        "import sys; from pumice.deploy.session import open_session; open_session(sys.argv[1], batch=2).close(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(written)], check=True)
