"""Which weights, images or layer made a loss infinite or no number."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pumice.train.config import TrainConfig
from pumice.train.objective import Objective
from pumice.train.stream import Stream

if TYPE_CHECKING:
    from pumice.train.module import Learner


def failure(
    module: "Learner",
    values: dict[str, float],
    own: dict[str, float],
    batch: tuple[Tensor, Tensor],
    before: tuple[int, int],
    part: int,
) -> str:
    """What made a loss of a batch infinite or no number, in a sentence: weights, images, a layer or the loss itself.

    Args:
        module: as it was before the step; the generators stand where the batch found them.
        values: losses, by whose they are, the means of all processes.
        own: those of this process.
        batch: part number `part` of this process's images of the step.
        before: place of the step before.
    """
    bad_losses = [whose for whose, value in values.items() if not math.isfinite(value)]
    loss = "the loss" if len(values) == 1 else f"the loss of {' and '.join(bad_losses)}"
    step, mend = module.steps_done + 1, lower_rate(module.config)
    with_batch = f"with {in_words(module.stream, module.place)}"
    apart = module.config.strategy == "fsdp" or module.config.sync_bn
    if (name := bad_parameter(module)) is not None and module.global_step == 0:
        cause, mend = f"the weights {name} were so before the first step", "start from other weights"
    elif name is not None:
        batch_before = in_words(module.stream, before)
        cause = f"step {step - 1} made the weights {name} infinite or no number, with {batch_before}"
    elif all(map(math.isfinite, own.values())):
        cause = "so it is in another process, and finite in this one"
    elif bad := bad_images(batch[0], module.stream.names(*module.place)[part * len(batch[0]) :]):
        cause = f"{few(bad)} {'is' if len(bad) == 1 else 'are'} infinite or no number as the network sees them"
        mend = "look at the pixels, and at the mean and std that they are normalised with"
    elif module.trainer.world_size > 1 and apart:  # one process cannot run such layers again alone
        cause = f"it was so {with_batch}"
    elif (layer := bad_layer(module, lambda: module.losses_of(batch))) is not None:
        cause = f"the output of layer {layer} is the first that is infinite or no number, {with_batch}"
    else:
        cause = f"the output of every layer is finite and the loss of them is not, {with_batch}"
    return f"{loss} at step {step} is {values[bad_losses[0]]}: {cause}; {mend}"


def in_words(stream: Stream, place: tuple[int, int]) -> str:
    """The batch of an epoch, both counted from 0."""
    names = stream.names(*place)
    return f"the batch of {len(names)} images {few(names)}"


def lower_rate(config: TrainConfig) -> str:
    """The mend for weights that ran away."""
    lower = f"`--set optim.lr={config.lr / 4:.1g}`"
    return f"going on would meet it again, so train anew with a lower learning rate, {lower}"


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
            judges = isinstance(module, Objective) or name.startswith("objective.criterion")  # which give the losses
            if module is not root and not judges:
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
