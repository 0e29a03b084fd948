"""One zip file for the target: the modules that it needs, the request, and the model files."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

# The installed package's own modules, so that the target times as this machine does.  None of those that it imports
# needs more than numpy and a runtime; the others come along because they are small.
MODULES = (
    *("*.py", "data/__init__.py", "data/preprocess.py", "models/__init__.py", "models/manifest.py"),
    *("deploy/*.py", "cost/**/*.py"),
)


def write_archive(target: IO[bytes], request: dict[str, Any], files: Sequence[Path]) -> None:
    """Write the archive; `request` names file i as `place(i, file)`."""
    root = Path(__file__).parents[2]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in sorted({path for pattern in MODULES for path in root.glob(pattern)}):
            archive.write(module, Path("pumice", module.relative_to(root)).as_posix())
        archive.writestr("request.json", json.dumps(request))
        for i, file in enumerate(files):
            for part in parts(file):
                # Weights hardly shrink, and small devices unpack slowly.
                archive.write(part, place(i, part), zipfile.ZIP_STORED)


def place(number: int, file: Path) -> str:
    """Where file `number` lies on the target, relative to its folder: a folder each, since names may repeat."""
    return f"files/{number:04}/{file.name}"


def parts(file: Path) -> list[Path]:
    """The files that make one model: OpenVINO's .bin beside the .xml, ONNX's weights where they lie apart."""
    beside = file.with_suffix(".bin") if file.suffix.lower() == ".xml" else file.with_name(file.name + ".data")
    return [file, beside] if beside.is_file() else [file]
