"""What a cut network needs to recover: statistics of its batch norms anew, and training."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.data.images import ImageSet, Splits
from pumice.errors import BadInput
from pumice.models.described import preprocess_of
from pumice.tasks.classify import Scores, evaluate
from pumice.train.config import TrainConfig

BATCH = 64
STATISTICS = 1024  # images that batch norms take their statistics from
GRADIENTS = 512  # images that Taylor importance takes its gradients from


@dataclass(frozen=True)
class Tuning:
    """Images, and how to train on them.

    epochs: of all tuning together; None is the configuration's.  0 leaves the weights and restates batch norms.
    """

    splits: Splits
    config: TrainConfig
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.splits.stream is not None:
            raise BadInput("pruning looks at images in its own order, which a stream has not; give a folder of images")

    @property
    def length(self) -> int:
        """Epochs of all tuning together."""
        return self.config.epochs if self.epochs is None else self.epochs

    def accuracy(self, net: nn.Module) -> Scores:
        """On the validation images."""
        return evaluate(net, preprocess_of(net), self.splits.val, BATCH)

    def train(self, net: nn.Module, epochs: int) -> list[dict[str, float]]:
        """Train in place for so many epochs, a schedule of its own; the rows of its history."""
        from pumice.train.trainer import judged_weights, train_once

        if self.config.bn_momentum is not None:
            for norm in _norms(net):
                norm.momentum = self.config.bn_momentum
        config = replace(self.config, epochs=epochs, warmup_epochs=min(self.config.warmup_epochs, epochs / 4))
        state, history = train_once(net, self.splits, config)
        net.load_state_dict(judged_weights(state))
        return history

    def restate(self, net: nn.Module) -> None:
        """Let every batch norm take its statistics anew, over training images as validation would show them."""
        norms = [norm for norm in _norms(net) if norm.running_mean is not None]
        if not norms:
            return
        kept = [norm.momentum for norm in norms]
        net.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
        with torch.no_grad():
            for images, _ in batches(net, self.splits.train, STATISTICS, self.config.seed):
                net(images)
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
        net.eval()

    def squares(self, net: nn.Module) -> dict[str, Tensor]:
        """(w dL/dw)^2 of every parameter, summed over batches of training images; L is the cross-entropy."""
        net.eval()
        trained = {name: p for name, p in net.named_parameters(remove_duplicate=False) if p.requires_grad}
        found = {name: torch.zeros_like(p) for name, p in net.named_parameters(remove_duplicate=False)}
        for images, labels in batches(net, self.splits.train, GRADIENTS, self.config.seed):
            loss = nn.functional.cross_entropy(net(images), labels)
            gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
            for (name, p), gradient in zip(trained.items(), gradients, strict=True):
                if gradient is not None:
                    found[name] += (p.detach() * gradient) ** 2
        return found


def batches(net: nn.Module, images: ImageSet, count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(N, C, H, W) and (N,) of images drawn without repetition, at least two a batch."""
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    device, feed = next(net.parameters()).device, preprocess_of(net)
    for part in np.array_split(chosen, max(1, len(chosen) // BATCH)):
        arrays = np.stack([feed(images.image(int(i))) for i in part])
        labels = torch.tensor([images.labels[int(i)] for i in part])
        yield torch.from_numpy(arrays).to(device), labels.to(device)


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]
