"""Every task by name: its class, and the network that a name means for it.  No torch here."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.tasks.found import Reader
from pumice.tasks.task import Task, TaskScores
from pumice.values import checked

if TYPE_CHECKING:
    from pumice.models.manifest import Manifest

TaskName = Literal["classify", "detect", "segment", "keypoints"]
CLASSIFY: TaskName = "classify"

# Dense task -> where its class lives, and the head that it puts on a backbone.
_CLASSES = {
    "detect": "pumice.tasks.detect.task:Detect",
    "segment": "pumice.tasks.segment.task:Segment",
    "keypoints": "pumice.tasks.keypoints.task:Keypoints",
}
_READERS = {
    "detect": "pumice.tasks.detect.found:DetectReader",
    "segment": "pumice.tasks.segment.found:SegmentReader",
    "keypoints": "pumice.tasks.keypoints.found:KeypointsReader",
}
LIBRARIES = ("timm", "torchvision", "pytorchcv", "space")  # prefixes of networks that the catalogue does not list
OPTIONS = "options"  # of the task, in `Manifest.decode`
HEADS = {"detect": "ssdlite", "segment": "lraspp", "keypoints": "heatmap"}
DENSE = tuple(_CLASSES)


def task_class(name: str) -> type[Task]:
    """The class of a dense task.

    Raises:
        BadInput: there is no such task.
    """
    if name not in _CLASSES:
        raise BadInput(f"there is no dense task {name!r}{nearest(name, list(DENSE)) or f'; choose {_choices()}'}")
    found: type[Task] = _imported(_CLASSES[name])
    return found


def create_task(name: str, options: dict[str, Any] | None = None) -> Task:
    """A dense task.

    Args:
        name: one of `DENSE`.
        options: JSON values of those fields of its `Options` that differ from the defaults.

    Raises:
        BadInput: there is no such task or option, or a value is of another type or impossible.
    """
    task = task_class(name)
    hints = get_type_hints(task.Options)
    for option in options or {}:
        if option not in hints:
            near = nearest(option, list(hints)) or f"; choose {', '.join(hints)}"
            raise BadInput(f"{name} has no option {option!r}{near}")
    return task(task.Options(**{k: checked(f"task.{k}", v, hints[k]) for k, v in (options or {}).items()}))


def task_of(manifest: "Manifest") -> Task:
    """The dense task of a network, with the options that it was trained with."""
    return create_task(manifest.task, manifest.decode.get(OPTIONS))


def reader_of(manifest: "Manifest") -> Reader:
    """What feeds images to a dense network and reads its outputs."""
    found: Reader = _imported(_READERS[manifest.task])(manifest.preprocess, manifest.classes, manifest.decode)
    return found


def scores_from(name: str, values: dict[str, Any]) -> TaskScores:
    """Scores of any task from their JSON values."""
    if name == CLASSIFY:
        from pumice.tasks.classify import Scores

        return Scores(**values)
    return task_class(name).Scores(**values)


def task_of_net(name: str) -> str:
    """What a network is for, where the user does not say; of a backbone, to classify.

    Raises:
        BadInput: none of our networks has the name.
    """
    from pumice.models.catalogue import entry

    prefix, colon, _ = name.partition(":")
    if not colon:
        return entry(name).task
    if prefix in LIBRARIES:
        return CLASSIFY
    from pumice.models.dense.heads import HEADS as PLANS  # imports torch

    return PLANS[prefix].task if prefix in PLANS else CLASSIFY


def network_for(task: str, name: str) -> str:
    """The name of the network that `name` means for a dense task: a backbone gets the task's usual head.

    Raises:
        BadInput: there is no such network, or it is for another task.
    """
    from pumice.models.catalogue import entry

    prefix, colon, _ = name.partition(":")
    if colon:
        return f"{HEADS[task]}:{name}" if prefix in LIBRARIES else name
    found = entry(name)
    if found.task not in (CLASSIFY, task):
        raise BadInput(f"{name} is a net to {found.task}; to {task}, name a classifier or {HEADS[task]}:BACKBONE")
    return name if found.task == task else f"{HEADS[task]}:{name}"


def _imported(place: str) -> Any:
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)


def _choices() -> str:
    return " or ".join(DENSE)
