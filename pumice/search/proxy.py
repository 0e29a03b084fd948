"""Proxy training: a short training of each choice, judged on images that were held out of the training images.

The validation images of the data are not looked at; they are for the net that the search ends with.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from pumice.data.images import ImageSet, Splits
from pumice.data.split import split_set
from pumice.errors import BadInput, Diverged
from pumice.models.spaces.space import Choice, Space
from pumice.search.objective import Objective, Report
from pumice.train.config import TrainConfig

if TYPE_CHECKING:
    from torch import nn


class ProxyTraining(Objective):
    """Top-1 on the held-out images after the last epoch, or after the one at which the report says to stop.

    space: one that `pumice.models.spaces.names` lists.
    config: of every training, as the recipe for small data makes it; model, its options and the seed are the choice's,
        and so are the fields that the choice sets as a recipe.  `img_size` None is what the choice is made for.
    seed: of the search: which images are held out, and with the choice, all randomness of its training.
    holdout: of the training images, of each class.
    images: at most so many training images, held-out ones included; classes: so many of the classes, drawn by the seed.
    splits: the data, if they are open already; `config.data` otherwise.
    """

    def __init__(
        self,
        space: Space,
        config: TrainConfig,
        *,
        seed: int = 0,
        holdout: float = 0.2,
        images: int | None = None,
        classes: int | None = None,
        splits: Splits | None = None,
    ) -> None:
        self.space, self.config, self.seed = space, config, seed
        self.holdout, self.images, self.classes = holdout, images, classes
        self._splits = splits

    def accuracy(self, choice: Choice, report: Report) -> float:
        """0 where training diverges.

        Raises:
            BadInput: data or settings that cannot work.
            KeyboardInterrupt: on Ctrl-C, after the step.
        """
        return self.trained(choice, report)[1]

    def trained(self, choice: Choice, report: Report) -> tuple["nn.Module", float]:
        """The network as it was judged, and its accuracy."""
        from pumice.train.net import build_net
        from pumice.train.trainer import judged_weights, train_once

        config = self.config_of(choice)
        net = build_net(config, self.splits.classes)
        try:
            state, rows = train_once(
                net,
                self.splits,
                config,
                each_epoch=lambda row: report(int(row["epoch"]), row["val_top1"]),
            )
        except Diverged:
            return net, 0.0
        net.load_state_dict(judged_weights(state))
        return net, rows[-1]["val_top1"]

    def config_of(self, choice: Choice) -> TrainConfig:
        """How a choice is trained."""
        height, width = self.space.image_of(choice)
        size = height if height == width else (height, width)
        digest = sha256(f"{self.seed} {'.'.join(map(str, choice))}".encode()).digest()
        return replace(
            self.config,
            model=f"space:{self.space.name}",
            model_options={**self.space.options, "choice": list(choice)},
            img_size=size if self.config.img_size is None else self.config.img_size,
            seed=int.from_bytes(digest[:4], "big") >> 1,
            **self.space.recipe(choice),
        )

    @cached_property
    def splits(self) -> Splits:
        """What is trained on, and as `val` what is judged on, both of the training images.

        Raises:
            BadInput: the data are no images to classify that can be counted, or too few.
        """
        from pumice.train.open import open_for

        whole = open_for(replace(self.config, seed=self.seed)) if self._splits is None else self._splits
        if whole.stream is not None or not isinstance(whole.train, ImageSet):
            raise BadInput(f"a search holds images out of the training images, and {whole.source} is no set to do so")
        train = whole.train
        if self.classes is not None:
            train = of_classes(train, _drawn(len(train.classes), self.classes, self.seed))
        if self.images is not None and self.images < len(train):
            train = split_set(train, val_fraction=self.images / len(train), seed=self.seed)[1]
        kept, judged = split_set(train, val_fraction=self.holdout, seed=self.seed)
        if not len(judged) or len(kept) < 2:
            raise BadInput(f"{len(train)} images of {whole.source} are too few to hold some out; give more")
        return Splits(whole.source, kept, judged, whole.skipped)


def of_classes(images: ImageSet, classes: Sequence[int]) -> ImageSet:
    """The images of some classes alone, which are then all there are."""
    place = {old: new for new, old in enumerate(classes)}
    part = images.subset(i for i, label in enumerate(images.labels) if label in place)
    names = tuple(images.classes[old] for old in classes)
    return ImageSet(names, tuple(place[label] for label in part.labels), part.names, part.loaders)


def _drawn(count: int, wanted: int, seed: int) -> list[int]:
    """Raises BadInput where there are not so many."""
    if not 2 <= wanted <= count:
        raise BadInput(f"a search on {wanted} classes is impossible with the {count} of the data; give 2 to {count}")
    return sorted(np.random.default_rng(seed).permutation(count)[:wanted].tolist())
