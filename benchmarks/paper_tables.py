"""The tables of the papers that `papers.py` measures again: benchmarks/papers/*.csv, facts with their source.

A row names the net as the paper does, then what runs for it here (`model` and `options`, empty where nobody published
enough to build it), its input, the batch of the paper's GPU column, and what was printed.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from reconstructions import KINDS, reconstruct
from torch import Tensor, nn

from pumice.errors import BadInput, nearest
from pumice.models.create import create_model

FOLDER = Path(__file__).parent / "papers"
OURS = ("net", "model", "options", "input", "gpu_batch")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    input_size: (C, H, W).  gpu_batch: images a pass in the paper's GPU column, 1 where it has none.
    printed: column -> what the paper printed, "" where it printed nothing.
    """

    net: str
    model: str
    options: Mapping[str, Any]
    input_size: tuple[int, int, int]
    gpu_batch: int
    printed: Mapping[str, str]

    def build(self) -> nn.Module:
        """The net with fresh weights, in evaluation mode; speed does not depend on weights.

        Raises:
            BadInput: its library is not installed or lacks it.
        """
        options = dict(self.options)
        written = options.pop("written", False)
        if self.model in KINDS:
            model = reconstruct(self.model, **options)
        else:
            model = create_model(self.model, **options)
        return (as_written(model) if written else model).eval()


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    measured_on: the hardware and runtime of the printed speeds.
    speed: the printed column that the measured speed is compared with, higher or lower being faster.
    columns: printed column -> its head.
    precision: of what runs here, "float32" or "int8".
    runtimes: what is measured unless the user says otherwise.
    """

    name: str
    title: str
    source: str
    measured_on: str
    speed: str
    columns: Mapping[str, str]
    precision: str = "float32"
    runtimes: tuple[str, ...] = ("onnxruntime", "openvino")

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its lines, in groups of nets that the paper compares with each other."""
        text = (FOLDER / f"{self.name}.csv").read_text(encoding="utf-8")
        return tuple(_row(line) for line in csv.DictReader(text.splitlines()))


PIXELS = {"pixel1_ms": "Pixel 1 ms", "pixel2_ms": "Pixel 2 ms", "pixel3_ms": "Pixel 3 ms"}
PHONES = "one large core of Pixel 1, 2, 3; TFLite"
SHUFFLE = {"gpu_batches_s": "GPU batches/s", "arm_images_s": "ARM images/s"}
BOARDS = "GTX 1080 Ti, cuDNN 7; Snapdragon 810, one thread; mean of 100 runs"
V2, V3 = "ShuffleNetV2, arXiv:1807.11164", "MobileNetV3, arXiv:1905.02244v5"
TABLES = {
    table.name: table
    for table in (
        Table(
            "shufflenetv2_table8",
            "ShuffleNetV2, table 8: accuracy and speed at four levels of multiply-adds",
            f"{V2}, table 8",
            f"{BOARDS}; GPU batch 8",
            "arm_images_s",
            {"level_m": "level, M", "error": "error, %", **SHUFFLE},
        ),
        Table(
            "shufflenetv2_appendix1a",
            "ShuffleNetV2, appendix table 1a: speed at large inputs",
            f"{V2}, appendix, table 1a",
            f"{BOARDS}; GPU batch 8 at 320x320 and 40 M, else 1",
            "arm_images_s",
            {"level_m": "level, M", **SHUFFLE},
        ),
        Table(
            "mobilenetv3_float",
            "MobileNetV3, float",
            f"{V3}, table 3; TF-slim's README",
            PHONES,
            "pixel1_ms",
            {"top1": "top-1, %", "madds_m": "MAdds, M", "params_m": "params, M", **PIXELS},
        ),
        Table(
            "mobilenetv3_int8",
            "MobileNetV3, 8 bits; here post-training quantisation of random weights, for speed alone",
            f"{V3}, table 4; TF-slim's README",
            PHONES,
            "pixel1_ms",
            {"top1": "8-bit top-1, %", **PIXELS},
            precision="int8",
        ),
        Table(
            "mobilenetv3_hswish",
            "MobileNetV3-Large: where h-swish is, and whether the runtime has it as one operation",
            f"{V3}, table 5",
            "one large core of Pixel 1, TFLite; 'as written' is the time without the optimised operation",
            "pixel1_ms",
            {"top1": "top-1, %", "pixel1_ms": "Pixel 1 ms"},
        ),
        Table(
            "micronet",
            "MicroNet, table 7 and figure 5",
            "MicroNet, arXiv:2108.05894, table 7; latency read from the drawing of figure 5, +-0.05 ms",
            "Xeon E5-2620 v4, one thread, PyTorch, mean of 5000",
            "xeon_ms",
            {"params_m": "params, M", "madds_m": "MAdds, M", "top1": "top-1, %", "xeon_ms": "Xeon ms"},
            runtimes=("eager", "onnxruntime", "openvino"),
        ),
    )
}


def chosen(names: list[str]) -> list[Table]:
    """The named tables, all without a name.

    Raises:
        BadInput: there is no such table.
    """
    for name in names:
        if name not in TABLES:
            raise BadInput(f"no table {name!r}{nearest(name, list(TABLES)) or '; choose ' + ', '.join(TABLES)}")
    return [TABLES[name] for name in names or TABLES]


class WrittenHardswish(nn.Module):
    """h-swish as its equation, in separate operations: x * ReLU6(x + 3) / 6; any shape -> the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x * F.relu6(x + 3) / 6


def as_written(model: nn.Module) -> nn.Module:
    """The net with every nn.Hardswish replaced, in place."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Hardswish):
                setattr(parent, name, WrittenHardswish())
    return model


def _row(line: Mapping[str, str]) -> Row:
    height, _, width = line["input"].partition("x")
    return Row(
        net=line["net"],
        model=line["model"],
        options=_options(line["options"]),
        input_size=(3, int(height), int(width or height)),
        gpu_batch=int(line["gpu_batch"] or 1),
        printed={key: value for key, value in line.items() if key not in OURS},
    )


def _options(text: str) -> dict[str, Any]:
    """`hswish_from=16;written=true` -> {"hswish_from": 16, "written": True}; a word that is no JSON is a string."""
    found: dict[str, Any] = {}
    for part in filter(None, text.split(";")):
        key, _, value = part.partition("=")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found
