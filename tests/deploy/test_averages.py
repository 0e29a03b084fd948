"""Averages over large maps: the same number, and closer to the exact one in runtimes that add up number by number."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pumice.deploy.averages import InSteps, _divisor
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS
from pumice.deploy.session import open_session

AVERAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "pool": lambda x: F.adaptive_avg_pool2d(x, 1),
    "module": nn.AdaptiveAvgPool2d((1, 1)),
    "mean": lambda x: x.mean((2, 3)),
    "kept": lambda x: torch.mean(x, (-1, -2), keepdim=True),
    "keyword": lambda x: x.mean(dim=(2, 3), keepdim=True),
}
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "all": lambda x: x.mean(),
    "channels": lambda x: x.mean((1, 2)),
    "rows": lambda x: x.mean(2),
    "three": lambda x: x.mean((1, 2, 3)),
    "windows": lambda x: F.adaptive_avg_pool2d(x, 4),
    "columns": lambda x: F.adaptive_avg_pool2d(x, (1, 4)),
    "type": lambda x: x.mean((2, 3), dtype=torch.float64),
    "small": lambda x: x[:, :, :16, :16].mean((2, 3)),
    "prime": lambda x: x[:, :, :37, :37].mean((2, 3)),
}


def pooled(average: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, int]:
    """What it answers within `InSteps`, and how many windows were averaged on the way."""
    with torch.profiler.profile() as ran, InSteps():
        answer = average(x)
    return answer, sum(event.name == "aten::avg_pool2d" for event in ran.events())


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("sides", [(40, 40), (37, 42), (200, 6)])
def test_averages_over_large_maps_go_in_two_steps(name: str, sides: tuple[int, int]):
    x = torch.rand(2, 3, *sides, dtype=torch.float64)
    answer, steps = pooled(AVERAGES[name], x)
    assert steps == 1
    torch.testing.assert_close(answer, AVERAGES[name](x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_stays(name: str):
    x = torch.rand(2, 3, 40, 40)
    answer, steps = pooled(OTHERS[name], x)
    assert steps == 0
    assert torch.equal(answer, OTHERS[name](x))


def test_windows_are_about_as_many_as_their_pixels():
    assert [_divisor(side) for side in (1, 37, 56, 75, 112, 300)] == [1, 1, 7, 5, 8, 15]


@pytest.mark.parametrize(("format", "package"), [("ncnn", "pnnx"), ("litert", "litert_torch"), ("executorch",) * 2])
def test_a_file_averages_a_large_map_as_exactly_as_torch(format: str, package: str, tmp_path: Path):
    pytest.importorskip(package)
    size = (3, 150, 150)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    x = torch.randn(2, *size) * torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1) + 1
    file = export(net, tmp_path / f"net{FORMATS[format].suffix}", format=format, input_size=size, batch=2)
    with open_session(file.path, batch=2) as session, torch.no_grad():
        answer, exact = session.run(x.numpy()), net.double()(x.double()).numpy()
    assert np.abs(exact[0] - exact[1]).max() > 0.1 * np.abs(exact).max()
    assert np.abs(answer - exact).max() < 6e-7 * np.abs(exact).max()  # in one sum 2e-6 to 5e-6
