"""Methods that train a supernet first: what they have learnt proposes the trials."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.search.study.config import SearchConfig

if TYPE_CHECKING:
    from pumice.search.problem import Problem
    from pumice.search.searcher import Searcher

FOLDER = "supernet"


def supernet_searcher(config: SearchConfig, problem: "Problem", out: Path) -> "Searcher":
    """Train, or go on with, the supernet in OUT/supernet on the training images; then draw from it.

    Settings (`method.epochs=30`): those of `Schedule`, whose warm-up and cooling follow the epochs where only these are
    given; batch_size; unit, of the cost in the loss.

    Raises:
        BadInput: a setting that there is not; see `dnas` and `dmasking`.
    """
    import torch

    from pumice.data.augment import Augment
    from pumice.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
    from pumice.search.dmasking import dmasking
    from pumice.search.dnas import dnas
    from pumice.search.study.methods import settings_of
    from pumice.search.supernet.images import Feeding
    from pumice.search.supernet.schedule import Schedule
    from pumice.train.config import TrainConfig
    from pumice.train.open import open_for

    training = TrainConfig.from_json(config.training)
    given, names = dict(config.method_options), [one.name for one in fields(Schedule)]
    more: dict[str, Any] = {name: given.pop(name) for name in ("batch_size", "unit") if name in given}
    fitted = settings_of(_more, more, config.method, ("batch_size", "unit"))
    settings = settings_of(Schedule.__init__, given, config.method, [*names, "batch_size", "unit"])
    schedule = Schedule().shortened(settings["epochs"]) if {*settings} == {"epochs"} else Schedule(**settings)
    feeding = Feeding(
        Preprocess(
            training.size or problem.space.image,
            crop_pct=1.0,
            mean=training.mean or IMAGENET_MEAN,
            std=training.std or IMAGENET_STD,
        ),
        batch_size=fitted.get("batch_size", 192),
        augment=Augment(
            scale=training.rrc_scale,
            ratio=training.rrc_ratio,
            pad=training.pad_crop,
            hflip=training.hflip,
            color_jitter=training.color_jitter,
            auto_augment=training.auto_augment,
            re_prob=training.re_prob,
        ),
        workers=training.workers,
    )
    on_gpu = training.accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    common: dict[str, Any] = {
        **{"schedule": schedule, "feeding": feeding},
        **({"unit": fitted["unit"]} if "unit" in fitted else {}),
        **{"seed": config.seed, "device": "cuda" if on_gpu else "cpu", "folder": out / FOLDER},
    }
    splits = open_for(training)
    if config.method == "dnas":
        return dnas(problem, splits, **common).searcher
    return dmasking(problem, splits, counted="params" if config.cost == "params" else "madds", **common).searcher


def _more(batch_size: int, unit: float) -> None:
    """The types of the settings that are not the schedule's."""
