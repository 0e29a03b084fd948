"""The block of an experiment, repeated, each time with weights of its own."""

from collections.abc import Callable

from torch import nn

from pumice.nn.initialise import initialise


def stack(block: Callable[[], nn.Module], repeats: int = 10) -> nn.Sequential:
    """(N, C, H, W) -> (N, O, 1, 1): the blocks one after another, then the mean of every channel.

    Without the mean a runtime would hand out a map of up to megabytes, and how long that takes depends on its width:
    it would be charged to the wider rows of a table.
    """
    net = nn.Sequential(*(block() for _ in range(repeats)), nn.AdaptiveAvgPool2d(1))
    initialise(net, "fan_in")  # torch's own weights would let forty layers fade towards numbers that slow a processor
    return net


def nearest_width(madds: Callable[[int], float], target: float, step: int = 1) -> int:
    """The multiple of `step` at which `madds(width)`, which grows with the width, is nearest to `target`."""
    width = step
    while madds(width + step) <= target:
        width += step
    return min(width, width + step, key=lambda c: abs(madds(c) - target))
