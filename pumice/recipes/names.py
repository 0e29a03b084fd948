"""Every published training by name; which one a network has."""

from importlib import import_module

from pumice.errors import BadInput, nearest
from pumice.models.catalogue import entry
from pumice.train.config import TrainConfig

SMALL_DATA = "small_data"

# Name -> the file of this folder that has a function of that name.
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


def recipe_of(model: str) -> str | None:
    """The name of the training that a network's authors published; None where there is none, or none known.

    Raises:
        BadInput: none of our networks has the name.
    """
    if ":" in model:
        return None
    found = entry(model)
    if found.task != "classify" or model.startswith(("ghost_resnet", "ghost_vgg")):
        return None
    name = found.family
    if name == "igc":
        name = "igcv3" if model.startswith("igcv3") else "igcv1"
    if model.endswith("_cifar"):
        name += "_cifar"
    return name if name in RECIPES else None


def published_recipe(name: str, data: str, model: str) -> TrainConfig:
    """A published training as it stands, by its name or, with "auto", by the network.

    Raises:
        BadInput: there is no such recipe or network, or the network has none.
    """
    if name == "auto":
        own = recipe_of(model)
        if own is None:
            raise BadInput(f"no training is published for {model}; leave --recipe out, or name one such as micronet")
        name = own
    if name not in RECIPES:
        known = [*RECIPES, SMALL_DATA, "auto"]
        near = nearest(name, known) or f"; choose {', '.join(known)}"
        raise BadInput(f"there is no recipe {name!r}{near}")
    config: TrainConfig = getattr(import_module(f"pumice.recipes.{RECIPES[name]}"), name)(data, model)
    return config
