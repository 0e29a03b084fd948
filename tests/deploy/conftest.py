"""Small networks whose outputs really depend on the image: fresh weights, batch norms settled on natural images."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.deploy.export import Exported, export
from pumice.deploy.probes import probe_inputs
from pumice.models.manifest import Manifest, ModelConfig

SIZE = (3, 40, 48)
CLASSES = ("ant", "bee", "crab", "dog", "eel")


def settle(model: nn.Module, input_size: tuple[int, int, int]) -> nn.Module:
    """Give batch norms the statistics of natural images: the exact mean over a few training-mode passes."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    x = torch.from_numpy(probe_inputs(16, input_size, Preprocess()))
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(x)
    return model.eval()


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Hardswish(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def small_net(seed: int = 0, classes: int = 5) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        Residual(12),
        nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU6(),
        Residual(24),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, classes),
    )
    return settle(net, SIZE)


def manifest() -> Manifest:
    return Manifest(ModelConfig("small", num_classes=5), Preprocess(size=SIZE[1:]), CLASSES)


@dataclass(frozen=True)
class Case:
    """A network, what it says of itself, and its two files."""

    net: nn.Module
    manifest: Manifest
    onnx: Exported
    xml: Exported

    def reexport(self, path: Path, net: nn.Module | None = None, **preprocess: object) -> Path:
        """The same file with another network or another preprocessing in its manifest."""
        other = replace(self.manifest, preprocess=replace(self.manifest.preprocess, **preprocess))
        return export(net or self.net, path, manifest=other, check=False).path


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    net = small_net()
    onnx = export(net, folder / "net.onnx", manifest=manifest())
    xml = export(net, folder / "net.xml", manifest=manifest())
    return Case(net, manifest(), onnx, xml)
