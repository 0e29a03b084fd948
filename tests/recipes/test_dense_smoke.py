"""Every recipe of a dense task trains: coloured rectangles, a small net of its kind, some ten steps; the loss falls.

Rates that a batch of 8 makes small need more steps than a test has time for, so a case may name its own multiple.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pumice.cli.train import configured
from pumice.recipes.names import DENSE_RECIPES
from pumice.train.net import build_net
from pumice.train.trainer import train_once
from tests.cli import made


@dataclass(frozen=True)
class Case:
    """A net, and how it is trained.  faster: times the scaled learning rate."""

    model: str
    img_size: int = 64
    epochs: int = 8
    faster: float = 1.0


CASES = {
    "espnet": Case("espnet_p2_q3", faster=10.0),
    "espnet_c": Case("espnet_c_p2_q3"),
    "espnet_v2_segment": Case("espnetv2_seg_050"),
    "espnet_v2_segment_full": Case("espnetv2_seg_050"),
    "light_head": Case("lighthead:mobilenetv3_small_035", 128),
    "micronet_keypoints": Case("heatmap:mobilenetv3_small_035", epochs=16, faster=32.0),
    "micronet_segment": Case("micronet_m0_mraspp"),
    "mobilenet_v3_segment": Case("lraspp:mobilenetv3_small_035"),
    "pelee_coco": Case("pelee_coco", 304, 3, faster=4.0),
    "pelee_voc": Case("pelee_voc", 304, 3, faster=4.0),
    "ssdlite": Case("ssdlite:mobilenetv3_small_035", 128, faster=4.0),
}
DATA = {"detect": made.boxes, "segment": made.masks, "keypoints": made.poses}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def losses(name: str, folder: Path) -> list[float]:
    """Mean training loss of each epoch."""
    case = CASES[name]
    task = next(t for t in DATA if t in name) if any(t in name for t in DATA) else ""
    task = task or ("segment" if name.startswith("espnet") else "detect")
    data = str(DATA[task](folder / "data", train=24))
    if name == "espnet":  # its decoder needs five classes
        (folder / "data" / "classes.txt").write_text("ground\nred\nblue\ngreen\nblack\n")
    fixed = {"epochs": case.epochs, "img_size": case.img_size, "accelerator": "cpu"}
    config, splits = configured(name, data, case.model, fixed, [])
    config, splits = configured(name, data, case.model, {**fixed, "lr": case.faster * config.lr}, [])
    assert (config.recipe, config.task) == (name, task)
    net = build_net(config, splits.classes)
    _, history = train_once(net, splits, config)
    return [row["train_loss"] for row in history]


def test_every_recipe_has_a_case() -> None:
    assert set(CASES) == set(DENSE_RECIPES)


@pytest.mark.parametrize(
    "name", [n if n == "micronet_segment" else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_the_loss_falls(name: str, tmp_path: Path) -> None:
    found = losses(name, tmp_path)
    assert found[-1] < 0.8 * found[0], found
