"""How a built network carries its config and preprocessing, whichever library its class comes from."""

from torch import nn

from pumice.data.preprocess import Preprocess
from pumice.models.manifest import ModelConfig


def describe(model: nn.Module, config: ModelConfig | None = None, preprocess: Preprocess | None = None) -> None:
    """Attach `model.config` and `model.preprocess`; None leaves what is there."""
    if config is not None:
        model.__dict__["config"] = config
    if preprocess is not None:
        model.__dict__["preprocess"] = preprocess


def config_of(model: nn.Module) -> ModelConfig | None:
    """The arguments that rebuild the network; None for a module that `create_model` did not make."""
    return model.__dict__.get("config")


def preprocess_of(model: nn.Module) -> Preprocess:
    """How the network's input is made; the usual 224 x 224 for a module that `create_model` did not make."""
    return model.__dict__.get("preprocess", Preprocess())
