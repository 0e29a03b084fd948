"""One meaning of RUN, FILE and NAME for every verb."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from pumice.data.imagenet import imagenet_classes
from pumice.errors import BadInput
from pumice.models.checkpoint import load_checkpoint, manifest_of
from pumice.models.create import create_model
from pumice.models.manifest import Manifest


def load_source(source: str | Path, *, pretrained: bool = False) -> tuple[nn.Module, Manifest]:
    """The network in evaluation mode and its manifest.

    Args:
        source: a run folder (its best.safetensors, else last.safetensors), a `.safetensors` file, or a model name.
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
    if path.is_file() or path.suffix in (".pth", ".pt", ".onnx", ".xml", ".tflite") or "/" in str(source):
        raise BadInput(f"{path} is neither a run folder, a .safetensors checkpoint nor a model name")
    model = create_model(str(source), pretrained=pretrained).eval()
    manifest = manifest_of(model)
    if pretrained and manifest.model.num_classes == len(imagenet_classes()):
        manifest = replace(manifest, classes=imagenet_classes())
    return model, manifest
