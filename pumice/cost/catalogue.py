"""Write pumice/models/catalogue.json: `python -m pumice.cost.catalogue`.

The table stands behind `pumice list`, `pumice info` and the candidates of `pumice fit`.  Sizes are counted from the
networks themselves; published figures come from published.csv beside the families.
"""

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from pumice.cost.count import profile
from pumice.files import write_text
from pumice.models import families
from pumice.models.create import create_model
from pumice.models.net import Net
from pumice.models.peers import published_weights
from pumice.progress import track

SIZES = (96, 128, 160, 192, 224)  # at which `fit` may ship a network
MORE = 10  # classes that a second net has more, to show what one costs
TABLE = Path(str(files("pumice.models") / "catalogue.json"))


def published() -> dict[tuple[str, str], dict[str, Any]]:
    """(family, variant) -> what was printed, numbers as numbers, None where nothing was."""
    text = (files("pumice.models") / "published.csv").read_text(encoding="utf-8")
    rows = {}
    for row in csv.DictReader(text.splitlines()):
        numbers = {k: float(row[k]) if row[k] else None for k in ("top1", "params_m", "madds_m")}
        key = row["family"], row["variant"]
        size: int | str = int(row["input"]) if row["input"].isdigit() else row["input"]
        rows[key] = {
            "variant": row["variant"],
            "input": size,
            **numbers,
            "other": row["other"],
            "source": row["source"],
        }
    return rows


def describe(name: str) -> dict[str, Any]:
    """One row of the table."""
    variant, family = families.variant(name), families.family_of(name)
    file = family.__name__.rpartition(".")[2]
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, Net)
    cost = profile(model, (3, *variant.image))
    sizes: dict[str, dict[str, int]] = {}
    params_per_class = 0
    if variant.task == "classify":  # the nets that `fit` may ship; what a class costs elsewhere is no straight line
        with torch.device("meta"):
            wide = create_model(name, num_classes=variant.num_classes + MORE)
        params_per_class = (profile(wide, (3, *variant.image)).params - cost.params) // MORE
        for size in SIZES:
            if not model.sides.allow(size, size):
                continue
            few, many = profile(model, (3, size, size)), profile(wide, (3, size, size))
            sizes[str(size)] = {
                "madds": few.madds,
                "madds_per_class": (many.madds - few.madds) // MORE,
                "extra_madds": few.extra_madds,
                "peak_activation_bytes": few.peak_activation_bytes,
            }
    return {
        "name": name,
        "family": file,
        "paper": " ".join((family.__doc__ or "").split("\n\n")[0].split()),
        "task": variant.task,
        "input_size": [3, *variant.image],
        "num_classes": variant.num_classes,
        "params": cost.params,
        "params_per_class": params_per_class,
        "madds": cost.madds,
        "extra_madds": cost.extra_madds,
        "memory_access": cost.memory_access,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "sizes": sizes,
        "status": variant.status,
        "note": variant.note,
        "pretrained": published_weights(name) is not None,
        "published": published()[file, variant.published] if variant.published else None,
        "options": families.options_of(name),
    }


def table() -> list[dict[str, Any]]:
    """Every network."""
    return [describe(name) for name in track(families.variants(), "counting")]


if __name__ == "__main__":
    write_text(TABLE, json.dumps(table(), indent=1, ensure_ascii=False) + "\n")
