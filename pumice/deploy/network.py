"""The network behind an export: a still copy of it, what is known about it, the size it reads."""

import copy
from pathlib import Path

import torch
from torch import nn

from pumice.deploy.baked import Baked
from pumice.errors import BadInput
from pumice.graph.fold import fold_norms
from pumice.models import checkpoint
from pumice.models.described import config_of
from pumice.models.manifest import Manifest


def load(source: str | Path | nn.Module, manifest: Manifest | None = None) -> tuple[nn.Module, Manifest | None]:
    """The network of a run folder, checkpoint, name or module, and its manifest.

    A name without weights always gives the same random ones, so that a file can be verified against its name.
    """
    if isinstance(source, nn.Module):
        return source, manifest_of(source, manifest)
    from pumice.models.source import load_source

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, carried = load_source(source)
    return model, manifest or carried


def frozen(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, float32, on the CPU; the original keeps its mode and device."""
    return copy.deepcopy(model).eval().float().cpu()


def folded(model: nn.Module, input_size: tuple[int, int, int]) -> nn.Module:
    """A frozen copy with its batch norms folded where that is exact.

    A network that cannot be traced keeps them: it is slower, not wrong.
    """
    still = frozen(model)
    if isinstance(still, Baked):
        still.network = folded(still.network, input_size)
        return still
    try:
        return fold_norms(still, input_size).eval()
    except BadInput:
        return still


def manifest_of(model: nn.Module, manifest: Manifest | None = None) -> Manifest | None:
    """The manifest given, else one from the configuration that our own networks carry, else None.

    Nothing is invented for a network that says nothing: a guessed normalisation would be believed by whoever reads
    the file.
    """
    if manifest is not None:
        return manifest
    return None if config_of(model) is None else checkpoint.manifest_of(model)


def size_of(
    model: nn.Module, manifest: Manifest | None, input_size: tuple[int, int, int] | None = None
) -> tuple[int, int, int]:
    """(C, H, W) as given, else the manifest's.

    Raises:
        BadInput: neither is known, or a number is below 1.
    """
    size = input_size or (manifest.input_size if manifest else None)
    if size is None:
        raise BadInput(f"the input size of {type(model).__name__} is unknown; give manifest= or input_size=(C, H, W)")
    if len(size) != 3 or min(size) < 1:
        raise BadInput(f"input size {tuple(size)} is impossible; give (channels, height, width)")
    channels, height, width = size
    return channels, height, width


def name_of(model: nn.Module, manifest: Manifest | None) -> str:
    """What to call the network in a sentence."""
    return manifest.model.name if manifest else type(model).__name__
