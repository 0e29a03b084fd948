"""What a search found, as a file: the JSON file of `pumice.models.network_file`.

`save_checkpoint("best.safetensors", net, manifest)` of `pumice.models.checkpoint` puts its weights beside `best.json`.
"""

from pathlib import Path
from typing import Any

from pumice.models.network_file import NetworkFile
from pumice.models.spaces.space import Space
from pumice.search.trial import Trial


def write_found(
    path: str | Path, space: Space, trial: Trial, *, method: str, unit: str = "", num_classes: int, **more: Any
) -> Path:
    """Write `NAME.json` of a trial of a space.

    Args:
        method: that found it.
        unit: of the trial's cost.
        num_classes: of the data that it was judged on.
        more: whatever else the search knows (target, data, seed, ...), JSON values.
    """
    search = {
        "accuracy": trial.accuracy,
        "cost": trial.cost,
        "unit": unit,
        "method": method,
        "trial": trial.number,
        "words": space.words(trial.choice),
        **more,
    }
    options = {**space.options, "choice": list(trial.choice)}
    size = (3, *space.image_of(trial.choice))
    return NetworkFile(f"space:{space.name}", options, num_classes, 3, size, search).write(path)


def write_scaled(
    path: str | Path, model: str, options: dict[str, Any], side: int, *, num_classes: int, **search: Any
) -> Path:
    """Write `NAME.json` of a network of a family with options and another input, as compound scaling finds them."""
    return NetworkFile(model, options, num_classes, 3, (3, side, side), search).write(path)
