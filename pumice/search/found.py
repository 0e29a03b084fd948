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
    size = (3, *space.image_of(trial.choice))
    return NetworkFile(*space.network(trial.choice), num_classes, 3, size, search).write(path)
