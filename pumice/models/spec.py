"""A network as data: rows, a head, and the settings of its norms.  A variant names one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pumice.errors import BadInput
from pumice.models.heads import HeadRow
from pumice.models.rows import Row
from pumice.nn.initialise import Scheme


@dataclass(frozen=True)
class NetSpec:
    """A chain of rows and a head.

    init: the rule of the starting weights.
    bn_momentum: torch's meaning, the weight of the new batch.
    """

    rows: tuple[Row, ...]
    head: HeadRow
    init: Scheme = "fan_out"
    bn_momentum: float = 0.1

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


@dataclass(frozen=True)
class Variant:
    """A network with a name.

    net: the family's function from options to NetSpec; its keyword arguments are the options that users may set.
    options: what this variant sets.
    published: the line of published.csv that this net is, or None.
    status: "exact", "reconstruction" or "optional", as the list of networks says.
    note: what a user must know before quoting a figure.
    """

    net: Callable[..., NetSpec]
    options: Mapping[str, Any] = field(default_factory=dict)
    published: str | None = None
    input_size: int = 224
    status: Literal["exact", "reconstruction", "optional"] = "exact"
    note: str = ""
