"""Is a data set of boxes, masks or poses fit to learn from: what it holds, and images on both sides of the split."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from pumice.data.check import Pair, pairs_of
from pumice.data.images import ImageSet, Load, Splits
from pumice.data.inspect import inspect

_SUMMARIES = {
    "detect": "pumice.data.box_summary",
    "segment": "pumice.data.mask_summary",
    "keypoints": "pumice.data.pose_summary",
}


def check_dense(splits: Splits[Any], task: str) -> tuple[Any, list[Pair]]:
    """The task's summary (`ok`, `problems`, `advice`, `to_json`), and pairs of a training and a validation image.

    Every image is read and decoded once.  A pair is equal byte by byte, or nearly the same picture.
    """
    found = import_module(_SUMMARIES[task]).summary(splits)
    leaks = _leaks(splits)
    problems, advice = list(found.problems), list(found.advice)
    damaged = [one for one in splits.skipped if one.damaged]
    other = [one for one in splits.skipped if not one.damaged]
    if damaged:
        first = damaged[0]
        problems.append(
            f"{len(damaged)} of the images cannot be read and will be left out ({first.path}: {first.reason}); "
            "remove or mend them"
        )
    leaks = [pair for pair in leaks if pair.first != pair.second]  # those of one name are counted already
    if leaks:
        count = len({pair.second for pair in leaks})
        problems.append(
            f"{'1 validation image is' if count == 1 else f'{count} validation images are'} also to be learnt from "
            f"({leaks[0].first} and {leaks[0].second}); remove one of each, or the scores will be too good"
        )
    if other:
        advice.append(f"of the data {len(other)} cannot be used as they are ({other[0].path}: {other[0].reason})")
    return replace(found, problems=tuple(problems), advice=tuple(advice)), leaks


def _leaks(splits: Splits[Any]) -> list[Pair]:
    """Pairs of images on both sides; several samples of one image count once."""
    images: list[tuple[str, str, Load]] = []
    for side, samples in (("train", splits.train), ("val", splits.val)):
        once = {id(load): (name, load) for name, load in zip(samples.names, samples.loaders, strict=True)}
        images += [(side, name, load) for name, load in once.values()]
    where, names, loaders = zip(*images, strict=True)
    seen = inspect(ImageSet(("",), (0,) * len(names), names, loaders))
    good = [i for i, one in enumerate(seen) if not one.fault]
    return [pair for pair in pairs_of(seen, good, where, names, [""] * len(names))[0] if pair.leaks]
