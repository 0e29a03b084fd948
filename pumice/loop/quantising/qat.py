"""Quantisation-aware tuning: a few epochs in which a network learns to bear the rounding of an 8-bit file.

The float network teaches its rounded copy (Hinton et al., arXiv:1503.02531, as `pumice.train.distill`; for networks of
few bits A. Mishra and D. Marr, "Apprentice", ICLR 2018, arXiv:1711.05852), beside the labels.  Batch norms are folded
before, so they keep their statistics, as R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient
inference", 2018 (arXiv:1806.08342), ends tuning.  What comes out are float weights, which any scheme quantises as
before.
"""

from dataclasses import replace
from importlib.util import find_spec

from torch import nn

from pumice.data.images import Splits
from pumice.data.memory import keep_decoded
from pumice.deploy.network import folded, frozen
from pumice.deploy.schemes.rounding import rounding, take_weights
from pumice.errors import BadInput
from pumice.loop.halving import evenly, shuffled
from pumice.models.described import describe
from pumice.models.manifest import Manifest
from pumice.progress import status

EPOCHS = 3
LR = 5e-4
MOST_IMAGES = 10_000  # of an epoch
WATCHED = 200  # validation images that an epoch's score is told of; nothing is chosen by it


def tuned(model: nn.Module, manifest: Manifest, splits: Splits, *, epochs: int = EPOCHS, seed: int = 0) -> nn.Module:
    """The network with its norms folded and its weights tuned for 8 bits; the same seed gives the same weights.

    Images are cropped a little and never mirrored.  The weights are those after the last epoch.

    Args:
        model: trained classifier; it is not changed.
        manifest: says how images are fed.
        splits: images to learn from.
        epochs: of at most 10,000 images.
        seed: of the order of images and their crops.

    Raises:
        BadInput: too few images to learn from, or the packages of training are absent.
        CheckFailed: the loss is no longer a number.
    """
    if epochs < 1:
        raise BadInput(f"tuning for {epochs} epochs changes nothing; give at least 1")
    if splits.stream is not None or len(splits.train) < 2:
        raise BadInput(f"{splits.source} has no images to tune with; give a folder with 2 training images or more")
    if find_spec("lightning") is None or find_spec("timm") is None:
        raise BadInput("tuning needs the train extra; run `pip install 'pumice[train]'`")
    from pumice.train.config import TrainConfig
    from pumice.train.distill import Distillation, Teacher
    from pumice.train.trainer import train_once

    teacher = frozen(model)
    network = folded(model, manifest.input_size)
    student = rounding(network)
    for net in (teacher, student):
        describe(net, preprocess=manifest.preprocess)
    config = TrainConfig(
        data=splits.source,
        epochs=epochs,
        batch_size=min(64, len(splits.train)),
        lr=LR,
        weight_decay=0.0,
        warmup_epochs=0.0,
        grad_clip=1.0,
        ema_decay=None,
        freeze_norm=True,  # those that could not be folded
        rrc_scale=(0.8, 1.0),
        hflip=0.0,
        color_jitter=0.0,
        seed=seed,
    )
    images = keep_decoded(shuffled(splits.train, MOST_IMAGES, seed))
    objective = Distillation(Teacher(teacher, manifest.preprocess), 0.0, 0.9, 4.0)
    with status("tuning for 8 bits") as show:

        def told(row: dict[str, float]) -> bool:
            show(f"epoch {row['epoch']:.0f} of {epochs}, loss {row['train_loss']:.3f}, top-1 {row['val_top1']:.1%}")
            return False

        seen = replace(splits, train=images, val=evenly(splits.val, WATCHED))
        train_once(student, seen, config, objective=objective, each_epoch=told)
    take_weights(network, student.cpu())
    return network.eval()
