"""Checkpoints: a safetensors file that says what network it is, how to feed it and what its classes are called."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from pumice.errors import BadInput
from pumice.files import write_bytes
from pumice.models.build import rebuild
from pumice.models.dense.decoding import decoding_of
from pumice.models.dense.names import is_dense, split
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.families import variants
from pumice.models.manifest import Manifest

KEY = "pumice"


def checkpoint_bytes(model: nn.Module | Mapping[str, Tensor], manifest: Manifest) -> bytes:
    """Weights, of a network or by name, and manifest as the content of a safetensors file."""
    from safetensors.torch import save

    weights = model.state_dict() if isinstance(model, nn.Module) else model
    tensors = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
    return save(tensors, metadata={KEY: manifest.dumps()})


def save_checkpoint(path: str | Path, model: nn.Module | Mapping[str, Tensor], manifest: Manifest) -> Path:
    """Write weights and manifest atomically."""
    write_bytes(path, checkpoint_bytes(model, manifest))
    return Path(path)


def read_manifest(path: str | Path) -> Manifest | None:
    """The manifest of a safetensors file; None in files of other makers.

    Raises:
        BadInput: no file, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise BadInput(f"no checkpoint {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise BadInput(f"{path} is not a safetensors file: {error}") from error
    return Manifest.loads(metadata[KEY]) if KEY in metadata else None


def load_checkpoint(path: str | Path) -> tuple[nn.Module, Manifest]:
    """The network of a checkpoint in evaluation mode, and its manifest.

    Raises:
        BadInput: the file is no checkpoint of Pumice, or its tensors do not fit the network that it names.
    """
    from safetensors.torch import load_file

    manifest = read_manifest(path)
    if manifest is None:
        raise BadInput(
            f"{path} holds weights but does not say of which network; load it with --model NAME --weights {path}"
        )
    model = rebuild(manifest.model)
    tensors, own = load_file(path), model.state_dict()
    for key in own.keys() | tensors.keys():
        if key not in own or key not in tensors or own[key].shape != tensors[key].shape:
            raise BadInput(f"{path} says it is {manifest.model.name}, but its tensor {key} does not fit that network")
    model.load_state_dict(tensors)
    describe(model, manifest.model, manifest.preprocess)
    return model.eval(), manifest


def manifest_of(model: nn.Module, **changes: object) -> Manifest:
    """The manifest of a network of `create_model`, with fields replaced.

    Raises:
        BadInput: the module was built elsewhere, so nobody could rebuild it from a file.
    """
    config = config_of(model)
    if config is None:
        raise BadInput(f"{type(model).__name__} was not made by create_model, so a checkpoint could not rebuild it")
    task, preprocess = "classify", preprocess_of(model)
    if config.name in variants():
        task = variants()[config.name].task
    elif is_dense(config.name):
        task = split(config.name, config.options)[0].task
    manifest = Manifest(model=config, preprocess=preprocess, task=task, decode=decoding_of(model, *preprocess.size))
    return replace(manifest, **changes)  # type: ignore[arg-type]
