"""The run folder of a pruned network: what `val`, `export`, `verify` and `report` read of any run."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pumice.cost.budget import Budget
from pumice.cost.count import profile
from pumice.data.describe import description
from pumice.files import write_json
from pumice.models.catalogue import entry
from pumice.models.checkpoint import save_checkpoint
from pumice.models.manifest import Manifest
from pumice.models.network_file import NetworkFile
from pumice.search.prune.result import Pruned
from pumice.search.prune.target import Target
from pumice.search.prune.tune import Tuning
from pumice.tasks.classify import logits_of, score
from pumice.tasks.names import LIBRARIES
from pumice.tasks.predictions import answers, sheet, write_answers
from pumice.train.environment import environment
from pumice.train.folder import claim


class Folder:
    """A run folder that is there from the beginning and gone again if nothing comes of it.

    settings: JSON values, what the user asked for; they become config.json.

    Raises:
        BadInput: the folder holds something, or cannot be made.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.out, self._made = out, claim(out)
        write_json(out / "config.json", {"verb": "prune", **settings})
        write_json(out / "environment.json", environment())

    def give_up(self) -> None:
        """Remove what has been written."""
        for path in list(self.out.iterdir()):
            path.unlink()
        if self._made:
            shutil.rmtree(self.out, ignore_errors=True)

    def write(
        self, net: nn.Module, manifest: Manifest, target: Target, result: Pruned, tuning: Tuning | None, seconds: float
    ) -> None:
        """Everything but config.json and the card; metrics.json, which says that the run is finished, comes last.

        manifest: of the network before it was cut.
        """
        from pumice.models.described import config_of
        from pumice.train.records import write_metrics

        config = config_of(net)
        assert config is not None
        limits = Budget(target.latency_ms, None if target.latency_ms else target.allowed(result.madds_before))
        budget = dict(limits.to_json())
        if result.latency_after is not None:
            budget |= {"runtime": result.latency_after.runtime, "threads": result.latency_after.threads}
            if result.latency_after.predicted:
                budget["predicted_for"] = result.latency_after.machine
            write_json(self.out / "benchmark.json", result.latency_after.to_json())
        manifest = replace(manifest, model=config, budget=budget)
        save_checkpoint(self.out / "best.safetensors", net, manifest)
        NetworkFile.of(manifest.at(*result.input_size[1:]), _search(result, target)).write(self.out / "best.json")
        write_json(self.out / "profile.json", profile(net, result.input_size).to_json())
        write_json(self.out / "prune.json", result.to_json())
        judged = {} if tuning is None else self._judged(net, manifest, tuning)
        if result.history:
            write_metrics(self.out / "metrics.csv", result.history)
        *libraries, name = config.name.split(":")
        record = {
            "finished": True,
            "task": manifest.task,
            "model": config.name,
            "classes": list(manifest.classes),
            "params": result.params_after,
            "madds": result.madds_after,
            "input_size": list(result.input_size),
            "epochs": len(result.history),
            "best_epoch": len(result.history) or None,
            "seconds": seconds,
            **judged,
            "budget": limits.to_json(),
            "within_budget": True,
            "pruned": {k: v for k, v in result.to_json().items() if k not in ("groups", "kept", "frozen")},
            "manifest": manifest.to_json(),
            "catalogue": None if {*libraries} & {*LIBRARIES} else entry(name).to_json(),
        }
        write_json(self.out / "metrics.json", record)

    def _judged(self, net: nn.Module, manifest: Manifest, tuning: Tuning) -> dict[str, Any]:
        """What the network says of each validation image, and its scores."""
        splits = tuning.splits
        write_json(self.out / "data.json", description(splits))
        logits = logits_of(net, manifest.preprocess, splits.val)
        rows = answers(splits.val, logits)
        write_answers(self.out / "predictions.csv", rows)
        write_json(self.out / "predictions.json", sheet(splits.val, rows))
        return {
            "data": splits.source,
            "images": {"train": splits.train_images, "val": len(splits.val), "skipped": len(splits.skipped)},
            "val": score(logits, np.asarray(splits.val.labels), splits.classes).to_json(),
        }


def _search(result: Pruned, target: Target) -> dict[str, Any]:
    """What the network file says of how it was found; the cost in the target's unit."""
    known = {"method": "prune", "accuracy": result.accuracy_after, "unit": "multiply-adds", "cost": result.madds_after}
    if target.latency_ms is None or result.latency_after is None:
        return {**known, "target": target.allowed(result.madds_before)}
    return {**known, "unit": "ms", "cost": result.latency_after.bound_ms[0], "target": target.latency_ms}
