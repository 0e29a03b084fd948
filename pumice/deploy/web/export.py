"""Write the folder of a page."""

import base64
import gzip
import json
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pumice.deploy.carried import model_file, read_checked, read_manifest
from pumice.deploy.web import runtime
from pumice.errors import BadInput
from pumice.files import atomic
from pumice.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.export import Exported

OWN = ("index.html", "classify.js", "page.js", "ort.js", "wasm.js", "model.js")


def export_web(
    model_or_source: "nn.Module | str | Path",
    folder: str | Path,
    *,
    manifest: Manifest | None = None,
    input_size: tuple[int, int, int] | None = None,
    check: bool = True,
    archive: Path | None = None,
) -> "Exported":
    """Write a page that classifies pictures with a network, without any server or network connection.

    Weights and WebAssembly lie in scripts, because browsers let pages that are opened from a disk load nothing else.

    Args:
        model_or_source: a network, run folder, checkpoint, name, or an .onnx file, which may be quantised.
        folder: to write; `index.html` in it is the page.
        manifest: what the page shall know, by default the source's own.
        input_size: (C, H, W), by default the manifest's.
        check: compare the file with the network, as `export` does.
        archive: of ONNX Runtime Web, see `runtime_files`.

    Raises:
        BadInput: the network is no classifier of colour images or carries no manifest, the runtime cannot be had, or
            the folder holds other things.
        CheckFailed: the file does not compute what the network computes.
    """
    from pumice.deploy.export import Exported, export

    folder = Path(folder)
    _free(folder)
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as scratch:
        file = None if _is_network(model_or_source) else model_file(model_or_source)  # type: ignore[arg-type]
        if file is None or Path(str(model_or_source)).is_dir():
            made = export(
                model_or_source, Path(scratch, "model.onnx"), manifest=manifest, check=check, input_size=input_size
            )
            file, checked = made.path, made.checked
        elif file.suffix.lower() == ".onnx":
            checked = read_checked(file)
        else:
            raise BadInput(f"a page runs .onnx files, not {file.name}; give the run, or export it as .onnx first")
        carried = manifest or read_manifest(file)
        _suits(carried, file)
        assert carried is not None
        parts = runtime.runtime_files(archive)
        with atomic(folder) as target:
            target.mkdir()
            _write(target, file, carried, parts)
    return Exported(folder, "web", sum(part.stat().st_size for part in folder.iterdir()), checked)


def _is_network(source: object) -> bool:
    return not isinstance(source, str | Path)


def _free(folder: Path) -> None:
    if folder.is_dir():
        foreign = [part.name for part in folder.iterdir() if part.name not in OWN]
        if foreign:
            raise BadInput(f"the folder {folder} holds other things ({foreign[0]}); give a path that is free")
    elif folder.exists():
        raise BadInput(f"{folder} is a file; a page is a folder, give a path that is free")


def _suits(manifest: Manifest | None, file: Path) -> None:
    if manifest is None:
        raise BadInput(f"{file} does not say how images are fed to it; export it with Pumice")
    manifest.needs_classifier("the page names the class of a picture")
    if manifest.preprocess.baked:
        raise BadInput(f"{file} reads pixels, and a page normalises pictures itself; export it without bake")
    if manifest.model.in_chans != 3:
        raise BadInput(f"{manifest.model.name} reads {manifest.model.in_chans} channels; pictures have three")


def _write(target: Path, file: Path, manifest: Manifest, parts: Mapping[str, bytes]) -> None:
    here = Path(__file__).parent
    for name in ("classify.js", "page.js"):
        shutil.copy(here / name, target / name)
    title = f"{manifest.model.name}, {len(manifest.classes) or manifest.model.num_classes} classes"
    page = (here / "index.html").read_text(encoding="utf-8")
    for key, value in {"title": title, "runtime": f"ONNX Runtime Web {runtime.VERSION}"}.items():
        page = page.replace(f"{{{{{key}}}}}", escape(value))
    (target / "index.html").write_text(page, encoding="utf-8")
    script = parts[runtime.SCRIPT].decode("utf-8")
    (target / "ort.js").write_text(f"self.ORT_SOURCE = {json.dumps(script)};\n", encoding="utf-8")
    (target / "wasm.js").write_text(f'self.ORT_WASM = "{_packed(parts[runtime.WASM])}";\n', encoding="ascii")
    record = json.dumps(manifest.to_json(), ensure_ascii=False)
    weights = _packed(file.read_bytes())
    (target / "model.js").write_text(
        f'self.PUMICE_MANIFEST = {record};\nself.PUMICE_MODEL = "{weights}";\n', encoding="utf-8"
    )


def _packed(content: bytes) -> str:
    """Text that the page's `unpacked` reads; without a date, so that equal models make equal pages."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
