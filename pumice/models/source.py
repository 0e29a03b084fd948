"""One meaning of RUN, FILE and NAME for every verb."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from pumice.data.imagenet import imagenet_classes
from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of
from pumice.models.create import create_model
from pumice.models.manifest import Manifest
from pumice.models.network_file import is_network_file, read_network, weights_beside

FILES = (".pth", ".pt", ".onnx", ".xml", ".tflite")


def load_source(source: str | Path, *, pretrained: bool = False) -> tuple[nn.Module, Manifest]:
    """The network in evaluation mode and its manifest.

    Args:
        source: a run folder (its best.safetensors, else last.safetensors), a `.safetensors` file, a model name, or
            a network file, whose weights are a `.safetensors` file of the same stem, fresh without it.
        pretrained: for a name, load published weights.

    Raises:
        BadInput: nothing of the kind is there; a nearby name is suggested.
    """
    path = Path(source)
    if path.is_dir():
        for name in ("best.safetensors", "last.safetensors"):
            if (path / name).is_file():
                return load_checkpoint(path / name)
        raise BadInput(
            f"{path} holds no best.safetensors or last.safetensors: it is no run, or no epoch of it has ended"
        )
    if path.suffix == ".safetensors":
        return load_checkpoint(path)
    if (weights := weights_beside(path)) is not None:
        model, manifest = load_checkpoint(weights)
        described, found = manifest.model, read_network(path)
        if (described.name, described.options, described.widths) != (found.model, found.options, found.widths):
            raise BadInput(
                f"{weights} holds another network than {path} describes; keep the two of one search together"
            )
        return model, manifest
    if is_network_file(path) and path.is_file() and read_network(path).widths:
        raise BadInput(
            f"{path} is a pruned network, whose channels are told apart by its weights; "
            f"keep {path.with_suffix('.safetensors').name} beside it"
        )
    if not is_network_file(path) and (path.is_file() or path.suffix in FILES or "/" in str(source)):
        raise BadInput(f"{path} is neither a run folder, a checkpoint, a network file nor a model name")
    model = create_model(str(source), pretrained=pretrained).eval()
    manifest = manifest_of(model)
    if pretrained and manifest.model.num_classes == len(imagenet_classes()):
        manifest = replace(manifest, classes=imagenet_classes())
    return model, manifest
