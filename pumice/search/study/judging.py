"""What a configuration judges networks by: trainings on images, and costs of real networks."""

from typing import TYPE_CHECKING

from pumice.search.study.config import SearchConfig

if TYPE_CHECKING:
    from pumice.models.spaces.space import Space
    from pumice.search.cost import Cost
    from pumice.search.proxy import ProxyTraining

PROXY = ("holdout", "images", "classes")
RUNTIME = "onnxruntime"  # where neither a table nor a runtime is named


def costs_of(config: SearchConfig, space: "Space", num_classes: int) -> "Cost":
    """The cost of the networks of a space: counted, predicted by a table, or measured.

    Raises:
        BadInput: a table that cannot be read or is not for these networks, or a runtime that is not installed.
    """
    from pumice.search.costs import MAdds, Measured, Params
    from pumice.search.table_latency import TableLatency

    cost: Cost
    if config.cost != "latency":
        cost = (MAdds if config.cost == "madds" else Params)(space, num_classes)
    elif config.lut is not None:
        from pumice.cost.lut.table import Lut

        cost = TableLatency(space, Lut.load(config.lut), num_classes)
    else:
        cost = Measured(space, config.runtime or RUNTIME, num_classes)
    return cost


def trained(config: SearchConfig, space: "Space") -> "ProxyTraining":
    """Short trainings on images.

    Raises:
        BadInput: a setting that they do not have, or data that cannot be searched on.
    """
    from pumice.search.proxy import ProxyTraining
    from pumice.search.study.methods import settings_of
    from pumice.train.config import TrainConfig

    options = settings_of(ProxyTraining.__init__, config.proxy_options, "proxy", PROXY)
    training = ProxyTraining(space, TrainConfig.from_json(config.training), seed=config.seed, **options)
    assert training.splits.train  # opened now, so that what is wrong with the data is said before the first trial
    return training
