"""The experiments by name.  Free of torch, so that an unknown name is refused at once."""

from importlib import import_module
from typing import TYPE_CHECKING

from pumice.errors import BadInput, nearest

if TYPE_CHECKING:
    from pumice.cost.guidelines.experiment import Experiment

EXPERIMENTS = {
    "g1": "pumice.cost.guidelines.shufflenet_v2:G1",
    "g2": "pumice.cost.guidelines.shufflenet_v2:G2",
    "g3": "pumice.cost.guidelines.shufflenet_v2:G3",
    "g4": "pumice.cost.guidelines.shufflenet_v2:G4",
    "units": "pumice.cost.guidelines.units:UNITS",
    "h-swish": "pumice.cost.guidelines.mobilenet_v3:H_SWISH",
    "tail": "pumice.cost.guidelines.mobilenet_v3:TAIL",
    "stem": "pumice.cost.guidelines.mobilenet_v3:STEM",
    "kernels": "pumice.cost.guidelines.kernels:KERNELS",
}
DEFAULT = ("g1", "g2", "g3", "g4")


def check_names(names: list[str]) -> list[str]:
    """The names, each once, in their order; the four guidelines when there is none.

    Raises:
        BadInput: there is no experiment of such a name.
    """
    for name in names:
        if name not in EXPERIMENTS:
            hint = nearest(name, list(EXPERIMENTS)) or f"; choose {', '.join(EXPERIMENTS)}"
            raise BadInput(f"there is no experiment {name!r}{hint}")
    return list(dict.fromkeys(names or DEFAULT))


def experiment(name: str) -> "Experiment":
    """The experiment of a name that `check_names` has seen."""
    module, attribute = EXPERIMENTS[name].split(":")
    found: Experiment = getattr(import_module(module), attribute)
    return found
