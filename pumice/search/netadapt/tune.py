"""A cut net: norms estimated anew, short-term tuning, accuracy on images that it was not trained on."""

from dataclasses import replace
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.data.images import ImageSet, Splits
from pumice.data.loaders import judging_loader
from pumice.data.memory import keep_decoded
from pumice.data.order import mix
from pumice.data.pipeline import EvalImages
from pumice.data.split import split_set
from pumice.errors import BadInput
from pumice.models.described import preprocess_of
from pumice.search.netadapt.settings import Settings
from pumice.train.config import TrainConfig
from pumice.train.trainer import train_once


def held_out(splits: Splits, holdout: float, seed: int) -> Splits:
    """The training images in two parts, every class in both: to tune on, and (as `val`) to judge proposals by.

    The validation images are in neither, so that the search has not seen what its result is judged by.

    holdout: a share of the training images, or, from 2 on, their number.

    Raises:
        BadInput: a stream, or too few images.
    """
    images = len(splits.train)
    if splits.stream is not None:
        raise BadInput(
            "netadapt holds images of the training set out, so it needs data that have an index; give an image folder"
        )
    share = holdout if holdout < 1 else holdout / max(1, images)
    if not 0 < share < 1 or images * (1 - share) < 2:
        raise BadInput(f"{splits.source} has {images} training images; hold fewer than that out")
    train, held = split_set(splits.train, val_fraction=share, seed=seed)
    return replace(splits, train=train, val=held)


class Tuner:
    """Tunes and judges nets of one search.

    splits: of `held_out`.
    config: how nets are tuned; its epochs and seed are of each tuning's own.
    """

    def __init__(self, splits: Splits, config: TrainConfig, settings: Settings) -> None:
        self.splits = replace(splits, train=keep_decoded(splits.train), val=keep_decoded(splits.val))
        self.config, self.settings = config, settings
        self.device = _device(config)
        self._held: EvalImages | None = None

    def accuracy(self, net: nn.Module) -> float:
        """Share of the held-out images that the net gets right."""
        if self._held is None:
            self._held = EvalImages(self.splits.val, preprocess_of(net))
        net.to(self.device).eval()
        right = 0
        with torch.inference_mode():
            for images, labels in judging_loader(self._held, 2 * self.config.batch_size, seed=0):
                right += int((net(images.to(self.device)).argmax(1).cpu() == labels).sum())
        return right / len(self._held)

    def estimate(self, net: nn.Module, number: int) -> None:
        """Estimate the running statistics of batch norms anew, in place, as plain means over a few batches.

        number: of the step, which decides the images.
        """
        norms = _norms(net)
        if not norms or not self.settings.statistics:
            return
        images = self._drawn(number, self.settings.statistics * self.config.batch_size)
        momenta = [norm.momentum for norm in norms]
        net.to(self.device).eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean
            norm.train()
        with torch.no_grad():
            for batch, _ in judging_loader(EvalImages(images, preprocess_of(net)), self.config.batch_size, seed=0):
                if len(batch) > 1:
                    net(batch.to(self.device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        net.eval()

    def tune(self, net: nn.Module, number: int) -> float:
        """Short-term tuning in place; the accuracy afterwards.

        All proposals of a step see the same images in the same order, so that only their widths differ.
        """
        steps = self.settings.tune_steps
        if not steps:
            return self.accuracy(net)
        batch = min(self.config.batch_size, len(self.splits.train))
        epochs = ceil(steps / (len(self.splits.train) // batch))
        images = self._drawn(number, ceil(steps / epochs) * batch)
        config = replace(self.config, epochs=epochs, batch_size=batch, seed=mix(self.config.seed, number, 1) & 0xFFFFF)
        for norm in _norms(net):
            norm.momentum = norm.momentum if config.bn_momentum is None else config.bn_momentum
        net.train()
        _, rows = train_once(net, replace(self.splits, train=images), config)
        net.eval()
        return float(rows[-1]["val_top1"])

    def _drawn(self, number: int, count: int) -> ImageSet:
        images = self.splits.train
        order = np.random.default_rng((self.config.seed, number)).permutation(len(images))[:count]
        return images.subset(order.tolist())


def draw_anew(net: nn.Module, before: nn.Module, seed: int) -> None:
    """Give the layers whose tensors have another shape than in `before` fresh weights, in place."""
    wide = dict(before.named_modules())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for path, module in net.named_modules():
            own, old = module._parameters, wide[path]._parameters
            if any(_shape(own[name]) != _shape(old[name]) for name in own):
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [m for m in net.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def _shape(tensor: Tensor | None) -> tuple[int, ...]:
    return () if tensor is None else tuple(tensor.shape)


def _device(config: TrainConfig) -> torch.device:
    gpu = config.accelerator in ("cuda", "gpu") or (config.accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")
