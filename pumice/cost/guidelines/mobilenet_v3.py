"""What MobileNetV3 (Howard et al., ICCV 2019, arXiv:1905.02244) argues by latency: h-swish, its last stage, its stem.

From the paper: the milliseconds of table 5, which those of its other tables for MobileNetV3-Large show to be a Pixel
1.s; what the last stage and the stem save (section 5.1).
"As written" is x * ReLU6(x + 3) / 6, four operations; "one op" is the runtime's own h-swish, whatever it makes of it.
A runtime may recognise the four and run them as one: then both rows take as long.
"""

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from pumice.cost.guidelines.experiment import Case, Claim, Column, Experiment, Widths
from pumice.models.create import create_model

NAME, SIZE = "mobilenetv3_large_100", (3, 224, 224)
TABLE_5 = {16: (53.5, 68.9), 80: (51.4, 57.5), 112: (51.0, 54.4)}  # N -> ms of h-swish @N as one op, as written
RELU_MS = 50.5


class WrittenHardswish(nn.Module):
    """x * ReLU6(x + 3) / 6, operation by operation: (N, C, H, W) -> the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return x * F.relu6(x + 3.0) / 6.0


def written(model: nn.Module) -> nn.Module:
    """The model with every h-swish as written, changed in place."""
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Hardswish):
            model.set_submodule(path, WrittenHardswish())
    return model


def _large(as_written: bool = False, relu_stem: bool = False, **options: Any) -> nn.Module:
    model = create_model(NAME, **options)
    if relu_stem:
        model.set_submodule("blocks.0.act", nn.ReLU())
    return written(model) if as_written else model


def _case(label: str, setting: str, ms: float | None = None, **options: Any) -> Case:
    return Case(label, setting, partial(_large, **options), {} if ms is None else {"Pixel 1": ms})


def _column(cases: tuple[Case, ...], claims: tuple[Claim, ...]) -> tuple[Column, ...]:
    return (Column("V3-Large", cases, (SIZE,) * len(cases), claims),)


def _h_swish(widths: Widths) -> tuple[Column, ...]:
    cases = [_case("ReLU", "everywhere", RELU_MS, act="RE")]
    for n, (one, four) in sorted(TABLE_5.items(), reverse=True):
        setting = f"from {n} channels"
        cases.append(_case(f"@{n}, one op", setting, one, hswish_from=n))
        cases.append(_case(f"@{n}, as written", setting, four, hswish_from=n, as_written=True))
    claims = (
        *(Claim("ReLU", f"@{n}, one op") for n in sorted(TABLE_5, reverse=True)),
        *(Claim(f"@{n}, one op", f"@{n}, as written") for n in sorted(TABLE_5, reverse=True)),
        Claim("@112, one op", "@80, one op"),
        Claim("@80, one op", "@16, one op"),
    )
    return _column(tuple(cases), claims)


def _tail(widths: Widths) -> tuple[Column, ...]:
    cases = (
        _case("original", "960-320-1280 at 7x7", tail="original"),
        _case("efficient", "960 at 7x7, 1280 at 1x1"),
    )
    return _column(cases, (Claim("efficient", "original", saves_ms=7.0, saves_madds=30e6),))


def _stem(widths: Widths) -> tuple[Column, ...]:
    cases = (
        _case("32, ReLU", "32", stem=32, relu_stem=True),
        _case("32, h-swish", "32", stem=32),
        _case("16, h-swish", "16"),
    )
    claims = (
        Claim("16, h-swish", "32, ReLU", saves_ms=2.0, saves_madds=10e6),
        Claim("16, h-swish", "32, h-swish"),
    )
    return _column(cases, claims)


H_SWISH = Experiment(
    "h-swish",
    "The price of h-swish",
    "H-swish takes time: less as one operation than as written, and less where only the deeper layers have it.",
    "MobileNetV3, arXiv:1905.02244, table 5",
    {"Pixel 1": "ms"},
    _h_swish,
)
TAIL = Experiment(
    "tail",
    "The efficient last stage",
    "Pooling before the last 1 x 1 convolution, and leaving the block before it out, saves time (7 ms on a phone).",
    "MobileNetV3, arXiv:1905.02244, section 5.1 and figure 5",
    {},
    _tail,
)
STEM = Experiment(
    "stem",
    "The stem",
    "A stem of 16 filters with h-swish saves time against one of 32 (2 ms on a phone).",
    "MobileNetV3, arXiv:1905.02244, section 5.1",
    {},
    _stem,
)
