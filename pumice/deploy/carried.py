"""What a model file says about itself, read without starting a runtime.

`.onnx`: metadata properties; OpenVINO's `.xml`: the `rt_info` element; `.safetensors`: as checkpoints do.
Key "pumice" holds the manifest, "pumice_checked" the runtimes that were compared with the network at export.
"""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from pumice.deploy.onnx_header import read_header
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

MANIFEST = "pumice"
CHECKED = "pumice_checked"
SUFFIXES = (".onnx", ".xml")


def model_file(path: str | Path) -> Path | None:
    """The .onnx or .xml file that this path means, None when it means neither.

    A folder means its `model.xml` (how OpenVINO's pair is exported) or `model.onnx` (a run).

    Raises:
        BadInput: the suffix is .onnx or .xml and there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        return next((path / name for name in ("model.xml", "model.onnx") if (path / name).is_file()), None)
    if path.suffix.lower() not in SUFFIXES:
        return None
    if not path.is_file():
        raise BadInput(f"no file {path}; export one with `pumice export`")
    return path


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text properties of an .onnx or .xml file by key, empty where a file of another maker has none.

    Raises:
        BadInput: the file is missing, or is not what its suffix says.
    """
    path = Path(path)
    file = model_file(path) or path
    if not file.is_file():
        raise BadInput(f"no file {path}")
    if file.suffix.lower() == ".onnx":
        return dict(read_header(file).metadata)
    if file.suffix.lower() == ".xml":
        try:
            root = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is not an OpenVINO model ({error}); export it again") from error
        if root.tag != "net":
            raise BadInput(f"{file} is not an OpenVINO model (its root is <{root.tag}>, not <net>); export it again")
        return {entry.tag: entry.get("value", "") for entry in root.findall("rt_info/*")}
    raise BadInput(f"{file} is no model file; give .onnx or .xml")


def read_manifest(path: str | Path) -> Manifest | None:
    """The manifest inside a file, None for a file of another maker.

    Raises:
        BadInput: the file is missing or damaged, or its manifest is.
    """
    if Path(path).suffix == ".safetensors":
        from pumice.models import checkpoint  # imports torch

        return checkpoint.read_manifest(path)
    text = read_metadata(path).get(MANIFEST)
    if text is None:
        return None
    try:
        return Manifest.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"the manifest inside {path} is damaged ({error}); export it again") from error


def dump_checked(checked: dict[str, float]) -> str:
    """Text for `read_checked`; a runtime that could not open the file (an infinite error) is null."""
    return json.dumps({name: error if error < float("inf") else None for name, error in checked.items()})


def read_checked(path: str | Path) -> dict[str, float]:
    """Runtime -> largest relative error found when the file was exported; empty when it was not checked."""
    text = read_metadata(path).get(CHECKED)
    if text is None:
        return {}
    return {name: float("inf") if error is None else float(error) for name, error in json.loads(text).items()}
