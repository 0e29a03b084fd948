"""Which weights, images or layer made a loss infinite or no number."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from pumice.train.objective import Objective


def bad_parameter(root: nn.Module) -> str | None:
    """Name of the first parameter that holds a number that is not finite, None when all are finite."""
    return next((_plain(name) for name, p in root.named_parameters() if not bool(p.detach().isfinite().all())), None)


def bad_images(images: Tensor, names: Sequence[str]) -> list[str]:
    """Names of the images (N, C, H, W) that hold a number that is not finite."""
    good = images.isfinite().flatten(1).all(1).tolist()
    return [name for name, fine in zip(names, good, strict=False) if not fine]


def bad_layer(root: nn.Module, run: Callable[[], object]) -> str | None:
    """`trunk.0.1 (BatchNorm2d)`: the first module below `root` whose output is not finite while `run()` runs.

    A module ends after those inside it, so the innermost one is named; one that computes with functions alone is named
    itself.  None when all outputs are finite.
    """
    found: list[str] = []

    def look(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and any(not bool(tensor.isfinite().all()) for tensor in _tensors(output)):
                found.append(f"{_plain(name) or 'the network'} ({type(module).__name__})")

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in root.named_modules():
            if module is not root and not isinstance(module, Objective):  # which gives the losses
                hooks.callback(module.register_forward_hook(look(name)).remove)
        run()
    return found[0] if found else None


def few(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def _plain(name: str) -> str:
    """A name as the network's own, or the partner's: `net` and `objective` are what holds them during training."""
    for holder in ("net", "objective"):
        if name == holder or name.startswith(f"{holder}."):
            return name.removeprefix(holder).removeprefix(".")
    return name


def _tensors(value: Any) -> list[Tensor]:
    """Floating-point tensors in an output, however it is nested."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in _tensors(item)]
