"""Channel masks: layers of every width as one layer of the largest (FBNetV2, arXiv:2004.05565, section 3.1).

Widths cannot be added, so the narrow ones are padded with zeros; a convolution padded so is a wider one times a mask,
and with the weights tied all options are one convolution, y = b(x) * sum_i g_i 1_i, with ones in the first c_i
channels.  Memory does not grow with the number of widths.

Norm and activation come before the mask.  A norm looks at each channel alone and its input has zeros for what is
masked before it, so one norm with one statistic per channel is that of every width: with one-hot gates the layer equals
the narrow one that has the first slices of its weights, in training and in evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pumice.models.fbnet_blocks import IR, Skip
from pumice.nn.conv import ConvNormAct
from pumice.nn.gate import SqueezeExcite
from pumice.nn.inverted_residual import InvertedResidual


@dataclass(frozen=True)
class Width:
    """A width that is not decided.

    mask: (largest, 1, 1), sum_i g_i 1_i.  effective: sum_i g_i c_i, a number.
    """

    mask: Tensor
    effective: Tensor


def width_of(gates: Tensor, widths: Sequence[float]) -> Width:
    """The width of options; gates and widths in the same order."""
    channels = torch.tensor(widths, dtype=gates.dtype, device=gates.device)
    within = torch.arange(int(max(widths)), device=gates.device)[None] < channels[:, None]
    return Width((gates @ within.to(gates.dtype))[:, None, None], (gates * channels).sum())


@dataclass(frozen=True)
class Work:
    """Multiplications of one convolution a pixel, the pixels that it writes, and its parameters beside the kernel."""

    kernel: Tensor
    pixels: Tensor
    rest: Tensor


class MaskedSkip(nn.Module):
    """The candidate `skip`, built by its row at the largest widths."""

    def __init__(self, row: Skip, in_channels: int) -> None:
        super().__init__()
        self.block = row.build(in_channels)

    def forward(self, x: Tensor, hidden: Width, squeeze: Width, width: Width) -> Tensor:
        """(N, C, H, W), masked -> (N, O, H/s, W/s), masked."""
        return x if isinstance(self.block, nn.Identity) else self.block(x) * width.mask

    def work(self, before: Width, hidden: Width, squeeze: Width, width: Width, pixels: Sequence[Tensor]) -> list[Work]:
        """Of the 1 x 1 convolution, where there is one."""
        if isinstance(self.block, nn.Identity):
            return []
        return [Work(before.effective * width.effective, pixels[1], 2 * width.effective)]


class MaskedResidual(nn.Module):
    """An inverted residual, built by its row at the largest widths and expansion."""

    def __init__(self, row: IR, in_channels: int) -> None:
        super().__init__()
        block = row.build(in_channels)
        assert isinstance(block, InvertedResidual)
        self.block, self.area = block, row.kernel_size**2

    def forward(self, x: Tensor, hidden: Width, squeeze: Width, width: Width) -> Tensor:
        """(N, C, H, W), masked -> (N, O, H/s, W/s), masked.  A residual's ends have one mask."""
        block = self.block
        h = block.depthwise(block.expand(x) * hidden.mask) * hidden.mask
        if isinstance(block.se, SqueezeExcite):
            h = h * block.se.gate(block.se.expand(block.se.act(block.se.reduce(block.se.pool(h))) * squeeze.mask))
        y = block.project(h) * width.mask
        return y if block.drop_path is None else x + block.drop_path(y)

    def work(self, before: Width, hidden: Width, squeeze: Width, width: Width, pixels: Sequence[Tensor]) -> list[Work]:
        """Of every convolution; pixels: of the input and of the output."""
        c, h, s, o = (w.effective for w in (before, hidden, squeeze, width))
        gate = [Work(h * s, h.new_ones(()), s), Work(h * s, h.new_ones(()), h)]
        return [
            Work(c * h, pixels[0], 2 * h),
            Work(h * self.area, pixels[1], 2 * h),
            *(gate if isinstance(self.block.se, SqueezeExcite) else []),
            Work(h * o, pixels[1], 2 * o),
        ]


class MaskedStem(nn.Module):
    """The first convolution at its largest width."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        assert isinstance(block, ConvNormAct)
        self.block = block

    def forward(self, x: Tensor, width: Width) -> Tensor:
        """(N, in_chans, H, W) -> (N, O, H/s, W/s), masked."""
        return self.block(x) * width.mask

    def work(self, width: Width, pixels: Tensor) -> list[Work]:
        """Of the convolution, which has a bias."""
        kernel = self.block.conv.weight[0].numel()
        return [Work(kernel * width.effective, pixels, 3 * width.effective)]
