"""A network as data: rows and a head, or a plain module's numbers.  A variant names one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.heads import DenseHead, Head, HeadRow
from pumice.models.rows import Row
from pumice.models.sides import ANY, Sides
from pumice.nn.initialise import Scheme

Task = Literal["classify", "detect", "segment", "keypoints"]


@dataclass(frozen=True)
class NetSpec:
    """A chain of rows and a head.

    init: the rule of the starting weights.
    bn_momentum: torch's meaning, the weight of the new batch.
    bn_eps: of every batch norm, where the user and the weights name none.
    sides: the sizes of input that it takes.
    """

    rows: tuple[Row, ...]
    head: HeadRow
    init: Scheme = "fan_out"
    bn_momentum: float = 0.1
    bn_eps: float = 1e-5
    sides: Sides = ANY

    def reductions(self) -> list[int]:
        """Input pixels per output pixel after each row."""
        reductions, total = [], 1
        for row in self.rows:
            total *= row.stride
            reductions.append(total)
        return reductions

    def dilated(self, output_stride: int) -> "NetSpec":
        """The same net at a finer output: strides beyond `output_stride` become dilation.

        The row whose stride is dropped keeps the dilation before it and the rows after it take the new one, as
        TensorFlow's MobileNets do.

        Raises:
            BadInput: output_stride is not a power of two from 1 to 32.
        """
        if output_stride not in (1, 2, 4, 8, 16, 32):
            raise BadInput(f"output_stride {output_stride} cannot be had; choose 8, 16 or 32")
        rows, reached, dilation = [], 1, 1
        for row in self.rows:
            if reached * row.stride > output_stride:
                rows.append(row.dilated(dilation, stride=1))
                dilation *= row.stride
            else:
                rows.append(row.dilated(dilation))
                reached *= row.stride
        return replace(self, rows=tuple(rows))


class Encoder(nn.Module, ABC):
    """The trunk of a net that is no chain of rows.

    channels, reductions: width, and input pixels per pixel, of each map that it returns.
    """

    channels: tuple[int, ...]
    reductions: tuple[int, ...]

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps, finest first."""


@dataclass(frozen=True)
class PlainSpec(ABC):
    """A net that is no chain of rows (an image path, a decoder): its family's subclass, whose fields are its numbers.

    Such a net is traced, measured, pruned and exported like any other, but not searched block by block.
    """

    init: Scheme = field(default="fan_out", kw_only=True)
    bn_momentum: float = field(default=0.1, kw_only=True)
    bn_eps: float = field(default=1e-5, kw_only=True)
    sides: Sides = field(default=ANY, kw_only=True)

    @abstractmethod
    def encoder(self, in_chans: int) -> Encoder:
        """The trunk."""

    @abstractmethod
    def head(self, channels: tuple[int, ...], num_classes: int, drop_rate: float | None) -> Head | DenseHead:
        """A `Head` on the encoder's last map, or a `DenseHead` on all of them; drop_rate None is the paper's own."""

    def head_on(self, encoder: Encoder, num_classes: int, drop_rate: float | None) -> Head | DenseHead:
        """The head for the encoder that was built."""
        return self.head(encoder.channels, num_classes, drop_rate)


@dataclass(frozen=True)
class Variant:
    """A network with a name.

    net: the family's function from options to a spec; its keyword arguments are the options that users may set.
    options: what this variant sets.
    published: the line of published.csv that this net is, or None.
    input_size: one side of a square, or (height, width): what its published figures belong to.
    num_classes: of the published net.
    task: what its head is for.
    status: "exact", "reconstruction" or "optional", as the list of networks says.
    note: what a user must know before quoting a figure.
    """

    net: Callable[..., NetSpec | PlainSpec]
    options: Mapping[str, Any] = field(default_factory=dict)
    published: str | None = None
    input_size: int | tuple[int, int] = 224
    num_classes: int = 1000
    task: Task = "classify"
    status: Literal["exact", "reconstruction", "optional"] = "exact"
    note: str = ""

    @property
    def image(self) -> tuple[int, int]:
        """(height, width)."""
        return self.input_size if isinstance(self.input_size, tuple) else (self.input_size, self.input_size)

    @property
    def crop_pct(self) -> float:
        """Of the shorter side, what the net sees in evaluation: the middle of a photo to classify, else all of it."""
        return 0.875 if self.task == "classify" else 1.0
