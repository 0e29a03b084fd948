"""Distillation: a trained network, the teacher, answers the same images, and the student learns from its answers too.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531.
"""

from hashlib import blake2b
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of
from pumice.models.described import preprocess_of
from pumice.models.network_file import weights_beside
from pumice.models.source import load_source
from pumice.train.config import TrainConfig
from pumice.train.net import with_weights
from pumice.train.objective import Objective, divergence, loss_of


class Teacher(nn.Module):
    """A trained network that never changes: always in evaluation mode, without gradients.

    It reads the student's batch: (N, C, H, W), normalised with the student's mean and deviation, is normalised with its
    own instead, put in its order of channels, and resized to its own input size (bilinear, antialiased).  Its crop and
    interpolation do not matter, for it sees the student's augmented pixels.

    digest: of its weights, by which a resumed run knows its teacher.
    """

    mean: Tensor
    std: Tensor
    own_mean: Tensor
    own_std: Tensor

    def __init__(self, net: nn.Module, seen: Preprocess) -> None:
        super().__init__()
        own = preprocess_of(net)
        self.net, self.size, self.reversed = net, own.size, own.channels != seen.channels
        for name, values in (("mean", seen.mean), ("std", seen.std), ("own_mean", own.mean), ("own_std", own.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()
        hashed = blake2b(digest_size=16)
        for tensor in net.state_dict().values():
            hashed.update(tensor.flatten().view(torch.uint8).numpy())
        self.digest = hashed.hexdigest()

    def train(self, mode: bool = True) -> Self:
        """It stays in evaluation mode."""
        return super().train(False)

    def pixels(self, images: Tensor) -> Tensor:
        """The student's batch as this network reads it."""
        scaled = images * self.std + self.mean  # in [0, 1]
        if self.reversed:
            scaled = scaled.flip(1)
        own = (scaled - self.own_mean) / self.own_std
        if own.shape[2:] == self.size:
            return own
        return functional.interpolate(own, self.size, mode="bilinear", antialias=True)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """The student's batch -> logits (N, classes)."""
        return self.net(self.pixels(images))


class Distillation(Objective):
    """L = (1 - a) CE(net) + a T^2 KL(softmax(teacher / T) || softmax(net / T)).

    weight: a; the paper gives the labels considerably less than the teacher, without a figure.  temperature: T.
    """

    def __init__(self, teacher: Teacher, label_smoothing: float, weight: float, temperature: float) -> None:
        super().__init__(label_smoothing)
        self.teacher, self.weight, self.temperature = teacher, weight, temperature

    @property
    def teacher_digest(self) -> str | None:
        """See `Teacher`."""
        return self.teacher.digest

    def forward(self, net: nn.Module, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """See `Objective.forward`."""
        logits = net(images)
        hard = loss_of(logits, target, self.label_smoothing)
        soft = divergence(logits, self.teacher(images), self.temperature)
        return {"network": (1 - self.weight) * hard + self.weight * soft}


def load_teacher(config: TrainConfig, classes: tuple[str, ...]) -> nn.Module:
    """The trained network that `config` names: a run, a checkpoint, or a name with weights.

    The outputs of published weights and of other people's files are taken to be in the order of `classes`.

    Raises:
        BadInput: there is no such network, it is not trained, or not for these classes.
    """
    name, file = config.teacher, config.teacher_weights
    assert name is not None
    if Path(name).is_dir() or Path(name).suffix == ".safetensors" or weights_beside(name) is not None:
        if file is not None or config.teacher_pretrained:
            raise BadInput(f"the teacher {name} has weights; leave out teacher_weights and teacher_pretrained")
        net, manifest = load_source(name)
    elif file is not None:
        net = with_weights(name, Path(file), {})
        manifest = manifest_of(net)
    else:
        net, manifest = load_source(name)
        if not config.teacher_pretrained:
            raise BadInput(f"the teacher {name} is not trained; give its --teacher-weights, or --teacher-pretrained")
    manifest.needs_classifier("a teacher answers with the classes of whole images")
    if manifest.model.num_classes != len(classes):
        raise BadInput(
            f"the teacher {name} knows {manifest.model.num_classes} classes, {config.data} has {len(classes)}: "
            f"it cannot teach them; train it on {config.data} first, and give that run as the teacher"
        )
    if manifest.classes and manifest.classes != classes:
        other = next((c for c in manifest.classes if c not in classes), None)
        what = "they are in another order" if other is None else f"{config.data} has no {other!r}"
        raise BadInput(f"the teacher {name} was trained on other classes: {what}; train it on {config.data} first")
    if config.teacher_pretrained:  # only now, as it may download
        net, _ = load_source(name, pretrained=True)
    return net
