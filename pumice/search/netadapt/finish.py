"""The end of a search: long-term tuning and training from scratch, and the run folder of the found net."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pumice.files import atomic, write_json
from pumice.models.build import plan_of, rebuild
from pumice.models.checkpoint import load_checkpoint, read_manifest, save_checkpoint
from pumice.models.dense.names import is_dense
from pumice.models.external import is_external
from pumice.models.network_file import NetworkFile
from pumice.models.weights import load_indices
from pumice.nn.initialise import initialise
from pumice.search.netadapt.record import Record, Step
from pumice.search.netadapt.start import Start
from pumice.tasks.classify import evaluate
from pumice.train.config import TrainConfig
from pumice.train.run import resume, train

if TYPE_CHECKING:
    from pumice.data.images import Splits

COPIED = (  # from the folder of a training into that of the search; the one that says it is finished comes last
    *("config.json", "environment.json", "data.json", "profile.json", "metrics.csv", "predictions.csv"),
    *("predictions.json", "best.safetensors", "metrics.json"),
)


def finish(record: Record, best: Step, start: Start, splits: "Splits") -> dict[str, Any]:
    """Train what is to be trained, and make the folder of the search a run of the found net.

    The weights are those trained from scratch, else those of long-term tuning, else those of the last step.

    Returns:
        `top1` of these weights on the validation images, and of each training (`tuned`, `retrained`).
    """
    found, out, settings = record.weights(best.number), record.out, start.settings
    top1: dict[str, Any] = {}
    source = None
    if settings.long_epochs:
        source, config = record.folder / "tuned", start.training(settings.long_epochs, found)
        top1["tuned"] = trained(source, config, splits)["top1"]
    if settings.retrain_epochs:
        begin = fresh(record.folder / "fresh.safetensors", found, start.asked["seed"])
        source, config = record.folder / "retrained", start.training(settings.retrain_epochs, begin, fresh=True)
        top1["retrained"] = trained(source, config, splits)["top1"]
    if source is None:
        top1["top1"] = as_run(found, start.training(1, found), splits, out, best)["top1"]
    else:
        adopt(source, out)
        top1["top1"] = top1.get("retrained", top1.get("tuned"))
    manifest = read_manifest(out / "best.safetensors")
    assert manifest is not None
    known = {"accuracy": best.accuracy, "cost": best.cost, "unit": record.unit, "method": "netadapt"}
    NetworkFile.of(manifest, {**known, "trial": best.number}).write(out / "best.json")
    return top1


def trained(folder: Path, config: TrainConfig, splits: "Splits") -> dict[str, Any]:
    """Train in a run folder, or go on with what is there; its scores on the validation images.

    Raises:
        KeyboardInterrupt: the user stopped it; called again it goes on.
        BadInput, CheckFailed: see `pumice.train.train`.
    """
    begun = (folder / "config.json").is_file()
    result = resume(folder, splits=splits) if begun else train(config, folder, splits=splits)
    if result.interrupted or result.scores is None:
        raise KeyboardInterrupt
    return result.scores.to_json()


def fresh(path: Path, found: Path, seed: int) -> Path:
    """A checkpoint of the found net with starting weights, to train from scratch; written unless it is there."""
    manifest = read_manifest(found)
    assert manifest is not None
    if not path.is_file():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = rebuild(manifest.model)
            name = manifest.model.name
            if not (is_external(name) or is_dense(name)):
                # As wide as it is: the spread of fresh weights follows from the widths of their layer.
                initialise(net, plan_of(name, dict(manifest.model.options))[0].init)
        load_indices(net, found)
        save_checkpoint(path, net, replace(manifest, budget={}))
    return path


def adopt(folder: Path, out: Path) -> None:
    """Copy what a training left into the folder of the search."""
    for name in COPIED:
        if (folder / name).is_file():
            with atomic(out / name) as scratch:
                shutil.copyfile(folder / name, scratch)


def as_run(found: Path, config: TrainConfig, splits: "Splits", out: Path, best: Step) -> dict[str, Any]:
    """The run folder of a net that is not trained further; its scores on the validation images."""
    net, manifest = load_checkpoint(found)
    scores = evaluate(net, manifest.preprocess, splits.val).to_json()
    write_json(out / "config.json", config.to_json())
    with atomic(out / "best.safetensors") as scratch:
        shutil.copyfile(found, scratch)
    write_json(
        out / "metrics.json",
        {
            "finished": True,
            "task": "classify",
            "model": manifest.model.name,
            "data": splits.source,
            "classes": list(splits.classes),
            "images": {"train": splits.train_images, "val": len(splits.val), "skipped": len(splits.skipped)},
            "input_size": list(manifest.input_size),
            "epochs": 0,
            "best_epoch": 0,
            "val": scores,
            "manifest": manifest.to_json(),
            "catalogue": None,
            "params": best.params,
            "madds": best.madds,
            "seconds": best.seconds,
        },
    )
    return scores
