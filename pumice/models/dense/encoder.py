"""A backbone as the trunk of a dense network: (N, in_chans, H, W) -> the maps that a head reads, finest first."""

from collections.abc import Sequence

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.dense.plan import Tap
from pumice.models.spec import Encoder, NetSpec
from pumice.nn.inverted_residual import InvertedResidual


class RowsEncoder(Encoder):
    """A chain of rows, read at its taps; the rows after the last one are not built.

    Raises:
        BadInput: a block has nothing of a tap's name inside.
    """

    def __init__(self, spec: NetSpec, taps: Sequence[Tap], in_chans: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        widths: dict[tuple[int, str], int] = {}
        reductions: dict[tuple[int, str], int] = {}
        width = in_chans
        reached = spec.reductions()
        inner = {tap.row: tap.inner for tap in taps if tap.inner}
        for i, row in enumerate(spec.rows[: max(tap.row for tap in taps) + 1]):
            block = row.build(width)
            if i in inner:
                if not isinstance(block, InvertedResidual):
                    raise BadInput(f"block {i} of this backbone has no {inner[i]} inside; choose another backbone")
                widths[i, inner[i]] = block.depthwise.conv.in_channels
                whole = inner[i] == "depthwise" or i == 0
                reductions[i, inner[i]] = reached[i] if whole else reached[i - 1]
            width = row.width(width)
            widths[i, ""], reductions[i, ""] = width, reached[i]
            blocks.append(block)
        self.blocks = nn.Sequential(*blocks)
        self.taps, self.inner = tuple(taps), inner
        self.channels = tuple(widths[tap.row, tap.inner] for tap in taps)
        self.reductions = tuple(reductions[tap.row, tap.inner] for tap in taps)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps."""
        maps = {}
        for i, block in enumerate(self.blocks):
            if i in self.inner:
                assert isinstance(block, InvertedResidual)
                maps[i, self.inner[i]], x = block.tapped(x, self.inner[i])
            else:
                x = block(x)
            maps[i, ""] = x
        return [maps[tap.row, tap.inner] for tap in self.taps]


class WholeEncoder(Encoder):
    """A trunk that gives all its maps at once, ours or another library's, of which some are read.

    trunk: (N, in_chans, H, W) -> list of maps, finest first, as `features_only` makes them.
    channels, reductions: of all of them.  chosen: those that are read.
    """

    def __init__(
        self, trunk: nn.Module, channels: Sequence[int], reductions: Sequence[int], chosen: Sequence[int]
    ) -> None:
        super().__init__()
        self.trunk, self.chosen = trunk, tuple(chosen)
        self.channels = tuple(channels[i] for i in chosen)
        self.reductions = tuple(reductions[i] for i in chosen)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_chans, H, W) -> maps."""
        maps = self.trunk(x)
        return [maps[i] for i in self.chosen]
