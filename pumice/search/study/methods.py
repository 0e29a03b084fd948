"""The methods by name, and what a configuration makes of one: problem, objective, searcher.

Everything heavy is imported when it is asked for.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.search.study.config import SUPERNETS, SearchConfig
from pumice.values import checked

if TYPE_CHECKING:
    from pumice.search.cost import Cost
    from pumice.search.objective import Objective
    from pumice.search.problem import Problem
    from pumice.search.reward import Reward
    from pumice.search.searcher import Searcher

SEARCHERS = {  # a class that proposes, and whose arguments after problem and seed are the settings
    "random": "pumice.search.searcher:Random",
    "evolution": "pumice.search.evolution:Evolution",
    "mnasnet": "pumice.search.mnasnet:Mnasnet",
    "jointnas": "pumice.search.jointnas.searcher:JointNAS",
}
NETWORKS = ("netadapt", "scaling")  # begin with a network instead of a space, and keep their own records
KNOWN = (*SEARCHERS, *SUPERNETS, *NETWORKS)


@dataclass(frozen=True)
class Built:
    """num_classes: of the networks that are judged.

    digest: of the names of the images that they are trained on; "" where none are.
    machine: key of the machine that latencies are measured on; "" where none are.
    """

    problem: "Problem"
    objective: "Objective"
    num_classes: int
    digest: str = ""
    machine: str = ""

    def what(self, config: SearchConfig) -> dict[str, Any]:
        """What the study is; see `SearchConfig.what`."""
        also = {"images of SHA-256": self.digest[:16], "machine": self.machine}
        return config.what() | {name: value for name, value in also.items() if value}


def check_method(name: str) -> None:
    """
    Raises:
        BadInput: no method has the name.
    """
    if name not in KNOWN:
        raise BadInput(f"there is no method {name!r}{nearest(name, list(KNOWN)) or ', choose ' + ', '.join(KNOWN)}")


def build(config: SearchConfig) -> Built:
    """Problem and objective.

    Raises:
        BadInput: a space, table, target or data that cannot be searched.
    """
    from pumice.cost.machine import machine_key
    from pumice.data.describe import names_digest
    from pumice.models.spaces.names import create_space
    from pumice.search.costs import Measured
    from pumice.search.problem import Problem
    from pumice.search.study.judging import costs_of, trained
    from pumice.search.study.table import read_table

    space, digest = create_space(config.space, **config.space_options), ""
    objective: Objective
    listed = None
    if config.table is not None:
        objective, listed = read_table(config, space)
        classes = space.num_classes
    else:
        objective = proxy = trained(config, space)
        classes, digest = len(proxy.splits.classes), names_digest(proxy.splits)
    cost: Cost = listed or costs_of(config, space, classes)
    machine = machine_key() if isinstance(cost, Measured) else ""
    return Built(Problem(space, cost, config.target, reward_of(config)), objective, classes, digest, machine)


def reward_of(config: SearchConfig) -> "Reward":
    """The reward by its name, with its settings."""
    from pumice.search.reward import Accuracy, Weighted

    if config.reward == "accuracy" or config.target is None:
        return Accuracy()
    usual = {"alpha": -0.07, "beta": -0.07} if config.reward == "soft" else {"alpha": 0.0, "beta": -1.0}
    set = {name: checked(f"reward.{name}", value, float) for name, value in config.reward_options.items()}
    return Weighted(config.target, **(usual | set))


def searcher_of(config: SearchConfig, problem: "Problem", out: Path) -> "Searcher":
    """The searcher of a method.

    Raises:
        BadInput: a setting that it does not have, or cannot take.
    """
    if config.method in SUPERNETS:
        from pumice.search.study.supernets import supernet_searcher

        return supernet_searcher(config, problem, out)
    module, _, name = SEARCHERS[config.method].partition(":")
    kind: type[Searcher] = getattr(import_module(module), name)
    known = list(inspect.signature(kind.__init__).parameters)  # after self, problem and seed
    return kind(problem, config.seed, **settings_of(kind.__init__, config.method_options, config.method, known[3:]))


def settings_of(
    function: Callable[..., Any], given: dict[str, Any], whose: str, known: Sequence[str]
) -> dict[str, Any]:
    """Settings as the types of the function that takes them.

    Args:
        whose: of the command line's word for them.
        known: those of its parameters that are settings.

    Raises:
        BadInput: a setting that it does not have, or a value of another type.
    """
    hints = get_type_hints(function)
    for name in given:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise BadInput(f"{whose} has no setting {name!r}{nearest(name, list(known))}; {has}")
    return {name: checked(name, value, hints[name]) for name, value in given.items()}
