"""Every published training by name; which one a network has."""

from importlib import import_module

from pumice.errors import BadInput, nearest
from pumice.models.catalogue import entry
from pumice.tasks.names import CLASSIFY, network_for
from pumice.train.config import TrainConfig

SMALL_DATA = "small_data"

# Name -> the file of this folder that has a function of that name; these are to classify.
RECIPES: dict[str, str] = {
    "channelnet": "channelnet",
    "condensenet": "condensenet",
    "condensenet_cifar": "condensenet",
    "efficientnet": "efficientnet",
    "espnet_v2": "espnet_v2",
    "fbnet": "fbnet",
    "fbnet_v2": "fbnet",
    "fbnet_v3": "fbnet",
    "ghostnet": "ghostnet",
    "igcv1": "igc",
    "igcv1_cifar": "igc",
    "igcv3": "igc",
    "micronet": "micronet",
    "micronet_paper": "micronet",
    "mnasnet": "mnasnet",
    "mobilenet_v1": "mobilenet_v1",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3": "mobilenet_v3",
    "peleenet": "peleenet",
    "shufflenet_v1": "shufflenet",
    "shufflenet_v2": "shufflenet",
    "squeezenet": "squeezenet",
    "squeezenext": "squeezenext",
    "weightnet": "weightnet",
}

# The same for trainings to detect, to segment and of keypoints.
DENSE_RECIPES: dict[str, str] = {
    "espnet": "espnet",
    "espnet_c": "espnet",
    "espnet_v2_segment": "espnet_v2_dense",
    "espnet_v2_segment_full": "espnet_v2_dense",
    "light_head": "ssdlite",
    "micronet_keypoints": "micronet_dense",
    "micronet_segment": "micronet_dense",
    "mobilenet_v3_segment": "mobilenet_v3_dense",
    "pelee_coco": "pelee",
    "pelee_voc": "pelee",
    "ssdlite": "ssdlite",
}

# (task, beginning of a network's name, the training that its authors published).
DENSE_NETS = (
    ("detect", "pelee_voc", "pelee_voc"),
    ("detect", "pelee_coco", "pelee_coco"),
    ("segment", "espnet_p2", "espnet"),
    ("segment", "espnet_c", "espnet_c"),
    ("segment", "espnetv2_seg", "espnet_v2_segment"),
    ("segment", "mraspp:micronet", "micronet_segment"),
    ("segment", "lraspp:mobilenetv", "mobilenet_v3_segment"),
    ("segment", "raspp:mobilenetv", "mobilenet_v3_segment"),
    ("keypoints", "micro_heatmap:micronet", "micronet_keypoints"),
    ("keypoints", "heatmap:mobilenetv3_small", "micronet_keypoints"),  # which that paper compares with
)


def recipe_of(model: str, task: str | None = None) -> str | None:
    """The name of the training that a network's authors published; None where there is none, or none known.

    task: what it is trained for; None is what the network is for, and of a backbone to classify.

    Raises:
        BadInput: none of our networks has the name, or it is for another task.
    """
    if task not in (None, CLASSIFY):
        return _dense_recipe(task, network_for(task, model))
    if ":" in model:
        dense = [task for task, start, _ in DENSE_NETS if model.startswith(start)]
        return _dense_recipe(dense[0], model) if dense else None
    found = entry(model)
    if found.task != CLASSIFY:
        return _dense_recipe(found.task, model)
    if model.startswith(("ghost_resnet", "ghost_vgg")):
        return None
    name = found.family
    if name == "igc":
        name = "igcv3" if model.startswith("igcv3") else "igcv1"
    if model.endswith("_cifar"):
        name += "_cifar"
    return name if name in RECIPES else None


def _dense_recipe(task: str, network: str) -> str | None:
    if network.startswith("micronet") and network.endswith(("_mraspp", "_keypoints")):
        return f"micronet_{task}"
    fitting = (name for of, start, name in DENSE_NETS if of == task and network.startswith(start))
    return next(fitting, None)


def published_recipe(name: str, data: str, model: str, task: str | None = None) -> TrainConfig:
    """A published training as it stands, by its name or, with "auto", by the network and the task.

    task: see `recipe_of`.

    Raises:
        BadInput: there is no such recipe or network, or the network has none.
    """
    if name == "auto":
        own = recipe_of(model, task)
        if own is None:
            wanted = "" if task in (None, CLASSIFY) else f" to {task}" if task != "keypoints" else " of keypoints"
            raise BadInput(
                f"no training{wanted} is published for {model}; leave --recipe out, or name one such as micronet"
            )
        name = own
    files = RECIPES | DENSE_RECIPES
    if name not in files:
        known = [*files, SMALL_DATA, "auto"]
        near = nearest(name, known) or f"; choose {', '.join(known)}"
        raise BadInput(f"there is no recipe {name!r}{near}")
    config: TrainConfig = getattr(import_module(f"pumice.recipes.{files[name]}"), name)(data, model)
    return config
