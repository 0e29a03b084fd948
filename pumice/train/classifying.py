"""The parts of a training that are classification's own: augmented images, cross-entropy, a partner or teacher."""

from torch import nn

from pumice.data.augment import Augment
from pumice.data.images import Splits
from pumice.data.pipeline import make_loaders
from pumice.models.described import preprocess_of
from pumice.train.config import TrainConfig
from pumice.train.distill import Distillation, Teacher, load_teacher
from pumice.train.judging import ClassJudging
from pumice.train.net import fed
from pumice.train.objective import Objective
from pumice.train.partner import MutualLearning, build_partner
from pumice.train.parts import Parts, Place


def class_parts(net: nn.Module, splits: Splits, config: TrainConfig, objective: Objective, place: Place) -> Parts:
    """The parts around an objective of `create_objective`.

    Raises:
        BadInput: see `make_loaders`.
    """
    train, val = make_loaders(
        splits,
        fed(config, preprocess_of(net)),
        batch_size=config.batch_size,
        seed=config.seed,
        workers=config.workers,
        augment=Augment(
            scale=config.rrc_scale,
            ratio=config.rrc_ratio,
            pad=config.pad_crop,
            hflip=config.hflip,
            color_jitter=config.color_jitter,
            auto_augment=config.auto_augment,
            re_prob=config.re_prob,
        ),
        val_batch_size=max(64, config.batch_size),
        pin_memory=place.on_gpu,
        rank=place.rank,
        world=place.world,
        balanced=config.balanced,
        accumulate=config.accumulate,
    )
    return Parts(train, val, objective, ClassJudging(splits.val), splits.train.names)


def create_objective(net: nn.Module, config: TrainConfig, classes: tuple[str, ...]) -> Objective:
    """What the configuration has a network learn from: the labels, and a partner or a teacher.

    Raises:
        BadInput: there is no such partner or teacher.
    """
    preprocess, smoothing = fed(config, preprocess_of(net)), config.label_smoothing
    weight, temperature = config.distill_weight, config.distill_temperature
    if config.partner is not None:
        partner = build_partner(net, config, classes, preprocess)
        settings = (1.0 if weight is None else weight, temperature or 1.0)
        return MutualLearning(partner, smoothing, *settings, config.distill_gradient)
    if config.teacher is not None:
        teacher = Teacher(load_teacher(config, classes), preprocess)
        return Distillation(teacher, smoothing, 0.9 if weight is None else weight, temperature or 4.0)
    return Objective(smoothing)
