"""What `fit` does otherwise for a dense task: backbones with the task's usual head, at inputs of the data's shape."""

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from pumice.errors import BadInput
from pumice.loop.candidates import Candidate, mark, promise, takes_part
from pumice.loop.config import FitConfig
from pumice.models.catalogue import entries
from pumice.progress import track
from pumice.tasks.names import network_for

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import Splits

# Backbones that take part unless others are named; building and counting one takes a second.
BACKBONES = (
    "mobilenetv3_small_050",
    "mobilenetv3_small_100",
    "mobilenetv3_large_075",
    "mobilenetv3_large_100",
    "mobilenetv2_035",
    "mobilenetv2_100",
    "shufflenetv2_050",
    "ghostnet_100",
    "efficientnet_lite0",
)
HEIGHTS = {"detect": (192, 256, 320), "segment": (128, 192, 256), "keypoints": (128, 192, 256)}
STEP = 32  # pixels that sides are multiples of
HALVED = 8.0  # points of promise that half the side costs: a prior for the order, never a result


def propose_dense(
    config: FitConfig, splits: "Splits[Any]", runtimes: tuple[str, ...], build: Callable[[str], "nn.Module"]
) -> list[Candidate]:
    """Every candidate, counted; those over a limit that needs no measurement are marked so.

    Raises:
        BadInput: no backbone matches, or none can be built with its published weights.
    """
    from pumice.cost.count import profile

    named = [e for e in entries() if takes_part(e, config, None) and (config.models or e.name in BACKBONES)]
    if not named:
        what = " ".join(config.models) or "these settings"
        raise BadInput(f"no backbone matches {what}; `pumice list` names them all")
    heights = HEIGHTS[config.task]
    found: list[Candidate] = []
    refused: BadInput | None = None
    for entry in track(named, "counting candidates"):
        name = network_for(config.task, entry.name)
        try:
            net = build(name)
        except BadInput as error:  # its published weights cannot be had, say
            refused = error
            continue
        for height in heights:
            width = width_for(config.task, splits.train, height)
            try:
                cost = profile(net, (3, height, width))
            except BadInput:
                continue  # it does not take that size
            lost = HALVED * math.log2(heights[-1] / height)
            for runtime in runtimes:
                candidate = Candidate(
                    *(name, height, runtime, cost.params, cost.madds, cost.extra_madds, cost.peak_activation_bytes),
                    promise=promise(entry, 224) - lost,
                    width=width,
                )
                mark(candidate, config.budget)
                found.append(candidate)
    if not found and refused is not None:
        raise refused
    return found


def width_for(task: str, samples: Any, height: int) -> int:
    """Pixels: square for boxes, the data's own shape for masks, four to three for persons."""
    if task == "detect":
        return height
    if task == "keypoints":
        return height * 3 // 4
    from pumice.data.masks import sizes_of

    aspect = median(width / high for high, width in sizes_of(samples))
    return max(STEP, round(height * aspect / STEP) * STEP)


def adapted_manifest(manifest: Any, config: FitConfig, splits: "Splits[Any]") -> Any:
    """With what reading the outputs needs of data and task."""
    from pumice.tasks.names import OPTIONS, create_task

    task = create_task(config.task, config.task_options)
    decode = {**manifest.decode, **task.carried(splits.train), OPTIONS: config.task_options}
    return replace(manifest, decode=decode)
