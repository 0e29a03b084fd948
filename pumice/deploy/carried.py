"""What a model file says about itself, read without starting a runtime.

`.onnx`: metadata properties; OpenVINO's `.xml`: the `rt_info` element; `.safetensors`: as checkpoints do; `.pt2`: an
entry of the archive that it is; `.tflite` and `.pte`: an archive behind the model, as TensorFlow Lite keeps its own
metadata (readers of either stop where the model ends), and behind a `.so`; a folder of ncnn or of C: `pumice.json`.
Key "pumice" holds the manifest, "pumice_checked" the runtimes that were compared with the network at export,
"pumice_quantised" how a file of 8-bit integers was made.
"""

import json
import os
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pumice.deploy.formats import MAINS, SUFFIXES
from pumice.deploy.onnx_header import read_header
from pumice.errors import BadInput
from pumice.models.manifest import Manifest

MANIFEST = "pumice"
CHECKED = "pumice_checked"
QUANTISED = "pumice_quantised"
ENTRY = "pumice.json"  # of an archive or folder
_ARCHIVES = (".pt2", ".tflite", ".pte", ".so")
C_PARTS = ("model.c", "model.h", "model.bin", "main.c", "example.bin", "Makefile")
"""Of a folder of C, whatever its code is called by: those are what is compiled."""
C_BUILT = ("main",)
"""What `make` adds to such a folder."""
_FOLDERS = (".param", ".c")
_FIRST = b"PK\x03\x04\x14" + 5 * b"\0"  # of the archive that `add_metadata` puts behind a model


def model_file(path: str | Path) -> Path | None:
    """The model file that this path means, None when it means none.

    A folder means what it holds of `MAINS`: a pair of OpenVINO's or ncnn's, or the file of a run.

    Raises:
        BadInput: the suffix is a model file's and there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        return next((path / name for name in MAINS if (path / name).is_file()), None)
    if path.suffix.lower() not in SUFFIXES:
        return None
    if not path.is_file():
        raise BadInput(f"no file {path}; export one with `pumice export`")
    return path


def parts_of(file: Path) -> tuple[Path, ...]:
    """All files that a model file is made of, itself first."""
    if file.suffix.lower() == ".xml":
        return (file, file.with_suffix(".bin"))
    if file.suffix.lower() == ".param":
        return (file, file.with_suffix(".bin"), file.with_name(ENTRY))
    if file.suffix.lower() == ".c":
        return tuple(file.with_name(name) for name in (*C_PARTS, ENTRY))
    return (file,)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text properties of a model file by key, empty where a file of another maker has none.

    Raises:
        BadInput: the file is missing, or is not what its suffix says.
    """
    path = Path(path)
    file = model_file(path) or path
    if not file.is_file():
        raise BadInput(f"no file {path}")
    suffix = file.suffix.lower()
    if suffix == ".onnx":
        return dict(read_header(file).metadata)
    if suffix == ".xml":
        try:
            root = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is not an OpenVINO model ({error}); export it again") from error
        if root.tag != "net":
            raise BadInput(f"{file} is not an OpenVINO model (its root is <{root.tag}>, not <net>); export it again")
        return {entry.tag: entry.get("value", "") for entry in root.findall("rt_info/*")}
    if suffix in _ARCHIVES:
        return _from_archive(file)
    if suffix in _FOLDERS:
        beside = file.with_name(ENTRY)
        return _loaded(beside.read_bytes(), file) if beside.is_file() else {}
    raise BadInput(f"{file} is no model file; give one of {', '.join(SUFFIXES)}")


def add_metadata(file: Path, values: Mapping[str, str]) -> None:
    """Add text properties to a file that was just written and has none: .pt2, .tflite, .pte; or more to others.

    Raises:
        OSError: the file cannot be written.
    """
    if not values:
        return
    suffix = file.suffix.lower()
    if suffix in _FOLDERS:
        values = read_metadata(file) | dict(values)
    elif suffix == ".so" and zipfile.is_zipfile(file):
        values, start = read_metadata(file) | dict(values), archive_start(file)
        os.truncate(file, start)
    text = json.dumps(dict(values), ensure_ascii=False, sort_keys=True)
    if suffix in _FOLDERS:
        file.with_name(ENTRY).write_text(text + "\n", encoding="utf-8")
        return
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        names = archive.namelist()
        # PyTorch's reader wants every entry below the name of the archive.
        root = names[0].split("/")[0] + "/extra/" if names and suffix == ".pt2" else ""
        # Without a date, so that equal models are equal files.
        archive.writestr(zipfile.ZipInfo(root + ENTRY), text)


def archive_start(file: Path) -> int:
    """Where the archive behind a library begins, in bytes.

    Raises:
        BadInput: there is none.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return min(entry.header_offset for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError) as error:
        raise BadInput(f"{file} is cut short, or no network that Pumice wrote; export it again") from error


def _from_archive(file: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            name = next((name for name in archive.namelist() if name.split("/")[-1] == ENTRY), None)
            return {} if name is None else _loaded(archive.read(name), file)
    except zipfile.BadZipFile as error:
        if file.suffix.lower() == ".pt2":
            raise BadInput(f"{file} is no archive of torch's ({error}); export it again") from error
        if file.suffix.lower() == ".so":
            raise BadInput(f"{file} is cut short, or no network that Pumice wrote; export it again") from error
        if _FIRST in file.read_bytes():
            raise BadInput(f"{file} is cut short, what it says of itself is not whole; export it again") from error
        return {}  # nothing behind the model


def _loaded(text: bytes, file: Path) -> dict[str, str]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"what {file} says of itself is damaged ({error}); export it again") from error
    return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}


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


def read_quantised(path: str | Path) -> dict[str, Any] | None:
    """How a file of 8-bit integers was made, None for a float file.

    "scheme", "images" (how many), "float_layers", "equalised", "agreement" (share of calibration images with the
    network's best class), and the settings of the scheme.
    """
    text = read_metadata(path).get(QUANTISED)
    return None if text is None else dict(json.loads(text))
