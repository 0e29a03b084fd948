"""What all published trainings have in common."""

from typing import Any

from pumice.tasks.names import TaskName
from pumice.train.config import TrainConfig

IMAGENET = 1_281_167
CIFAR = 50_000
CITYSCAPES = 2_975
VOC_0712 = 16_551  # trainval of both years
COCO = 118_287  # train2017, which is trainval35k
COCO_PERSONS = 150_000  # with keypoints, as papers round it


def published(recipe: str, data: str, model: str, *, images: int = IMAGENET, **fields: Any) -> TrainConfig:
    """A published training: nothing but what `fields` say, and the random crops and mirror images of ImageNet.

    Crops cover 8 to 100 % of the area at an aspect of 3/4 to 4/3 (Szegedy et al., "Going deeper with convolutions",
    2014, section 6).  Learning rates fall to 0.  Batch, learning rate and epochs are those of the publication, for
    `images` training images; `pumice.recipes.scale` fits them to others.
    """
    none: dict[str, Any] = {
        "warmup_epochs": 0.0,
        "final_lr": 0.0,
        "label_smoothing": 0.0,
        "rrc_scale": (0.08, 1.0),
        "hflip": 0.5,
        "color_jitter": 0.0,
    }
    numbers = {"images": images, **{name: fields[name] for name in ("batch_size", "epochs", "lr")}}
    return TrainConfig(data=data, model=model, recipe=recipe, published=numbers, **(none | fields))


def epochs_of(iterations: int, batch_size: int, images: int = IMAGENET) -> int:
    """How many epochs so many iterations are."""
    return round(iterations * batch_size / images)


def published_dense(
    recipe: str, data: str, model: str, task: TaskName, *, images: int, task_options: dict[str, Any], **fields: Any
) -> TrainConfig:
    """A published training of a dense task: nothing but what `fields` and the options of the task say.

    images: training images of the publication, of persons where it trains on persons.
    """
    none: dict[str, Any] = {"warmup_epochs": 0.0, "final_lr": 0.0, "label_smoothing": 0.0}
    numbers = {"images": images, **{name: fields[name] for name in ("batch_size", "epochs", "lr")}}
    of_task: dict[str, Any] = {"task": task, "task_options": task_options}
    return TrainConfig(data=data, model=model, recipe=recipe, published=numbers, **of_task, **(none | fields))
