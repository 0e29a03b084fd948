"""The cut: a network without some channels of its groups, and the masked network that it must equal."""

from collections.abc import Mapping, Sequence

from torch import nn

from pumice.graph.channels import Group

Kept = Mapping[str, Sequence[int]]


def check_kept(groups: Sequence[Group], kept: Kept) -> None:
    """
    Raises:
        BadInput: a choice names no group, or breaks one's rule.
    """
    raise NotImplementedError


def cut(model: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """A copy of the model with only the kept channels."""
    raise NotImplementedError


def masked(model: nn.Module, groups: Sequence[Group], kept: Kept) -> nn.Module:
    """A copy of the model at full size whose cut channels are zero wherever they are read."""
    raise NotImplementedError
