"""Write a network as a file for another runtime, whole or not at all, and compare the two."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import CHECKED, dump_checked
from pumice.deploy.compare import TOLERANCE, relative_error
from pumice.deploy.network import frozen, load, name_of, size_of
from pumice.deploy.onnx import Dynamic, export_onnx, read_onnx, set_property
from pumice.deploy.openvino import export_openvino, read_network, save_network
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import READERS, installed, open_session
from pumice.errors import BadInput, CheckFailed, nearest
from pumice.files import atomic
from pumice.models.dense.decoding import decoding_of
from pumice.models.manifest import Manifest

Format = Literal["onnx", "openvino"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Exported(os.PathLike[str]):
    """A written file; it can stand wherever its path can.

    path: the file (.onnx, .xml) or the folder (OpenVINO's pair as `model.xml` and `model.bin`).
    bytes: size on disk, all parts.
    checked: runtime -> largest relative error against the network; infinite where the runtime cannot open it.  A
        runtime above the tolerance must not run the file, and runtime="auto" never picks it.  Empty without check.
    """

    path: Path
    format: Format
    bytes: int
    checked: dict[str, float] = field(default_factory=dict)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def right(self) -> tuple[str, ...]:
        """The runtimes that agreed with the network."""
        return tuple(name for name, error in self.checked.items() if error <= TOLERANCE)

    def to_json(self) -> dict[str, Any]:
        """JSON values; a runtime that cannot open the file has the error null."""
        checked = {name: error if np.isfinite(error) else None for name, error in self.checked.items()}
        return {"path": str(self.path), "format": self.format, "bytes": self.bytes, "checked": checked}


def export(
    model_or_source: nn.Module | str | Path,
    path: str | Path,
    *,
    format: str | None = None,
    manifest: Manifest | None = None,
    check: bool = True,
    input_size: tuple[int, int, int] | None = None,
    batch: int = 1,
    dynamic: Dynamic | None = None,
) -> Exported:
    """Export a network, compare the file with it in every runtime that reads the file, and put it in place.

    Args:
        model_or_source: a network, run folder, .safetensors checkpoint or name.
        path: file to write, .onnx or .xml; a path without suffix becomes a folder with OpenVINO's pair.
        format: "onnx" or "openvino", by default as the suffix says.
        manifest: what the file shall carry, by default the source's own.
        check: compare, and record the result in the file.
        input_size: (C, H, W), by default the manifest's; the manifest in the file follows it.
        batch: images a pass of a static file.
        dynamic: leave "batch", "size" or "both" open until the file is opened.

    Raises:
        BadInput: the network cannot be exported, or the file cannot be written.
        CheckFailed: no runtime agrees with the network to 1e-4 of its largest output.  Nothing is left behind.
    """
    path = Path(path)
    chosen = _format(path, format)
    model, manifest = load(model_or_source, manifest)
    size = size_of(model, manifest, input_size)
    if manifest is not None and manifest.input_size != size:
        if manifest.model.in_chans != size[0]:
            raise BadInput(f"{manifest.model.name} reads {manifest.model.in_chans} channels, not {size[0]}")
        manifest = manifest.at(*size[1:])
        manifest = replace(manifest, decode={**manifest.decode, **decoding_of(model, *size[1:])})
    if manifest is not None and manifest.task == "detect" and dynamic in ("size", "both"):
        raise BadInput(f"the boxes of {manifest.model.name} are laid out for one size; leave the batch open alone")
    model = frozen(model)
    with _writing(path):
        if chosen == "onnx":
            with atomic(path) as scratch:
                export_onnx(model, scratch, size, manifest=manifest, batch=batch, dynamic=dynamic)
                checked = _check(scratch, model, size, manifest, batch, dynamic) if check else {}
                _record_onnx(scratch, checked)
        else:
            # The pair is built in a folder of its own, so that neither half is seen before both are right.
            with atomic(path if path.suffix != ".xml" else path.with_suffix(".pair")) as folder:
                folder.mkdir()
                scratch = folder / "model.xml"
                export_openvino(model, scratch, size, manifest=manifest, batch=batch, dynamic=dynamic)
                checked = _check(scratch, model, size, manifest, batch, dynamic) if check else {}
                _record_openvino(scratch, checked)
            if path.suffix == ".xml":
                _unpack(path)
    parts = [path]
    if chosen == "openvino":
        parts = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else list(path.iterdir())
    return Exported(path, chosen, sum(part.stat().st_size for part in parts), checked)


def _format(path: Path, format: str | None) -> Format:
    """The format asked for, or the one that the suffix says."""
    by_suffix = {".onnx": "onnx", ".xml": "openvino", "": "openvino"}.get(path.suffix.lower())
    chosen = format or by_suffix
    if chosen is None:
        raise BadInput(f"the suffix of {path} names no format; use .onnx or .xml, or give format=")
    if chosen not in FORMATS:
        raise BadInput(f"no format {chosen!r}{nearest(chosen, list(FORMATS)) or '; choose ' + ' or '.join(FORMATS)}")
    if chosen != by_suffix:
        wanted = {"onnx": "ends in .onnx", "openvino": "ends in .xml or has no suffix"}[chosen]
        raise BadInput(f"a file of format {chosen} {wanted}, not like {path.name}")
    if chosen == "openvino" and path.suffix == "" and path.is_dir():
        foreign = [part.name for part in path.iterdir() if part.name not in ("model.xml", "model.bin")]
        if foreign:
            raise BadInput(f"the folder {path} holds other things ({foreign[0]}); give a path that is free")
    return chosen


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a full disk, and whatever else stops a write, into a sentence."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"cannot write {path}: {why}; nothing was left behind, free some space or choose another folder"
        ) from error


def _check(
    file: Path,
    model: nn.Module,
    size: tuple[int, int, int],
    manifest: Manifest | None,
    batch: int,
    dynamic: Dynamic | None,
) -> dict[str, float]:
    """Largest relative error of each installed runtime that reads the file, over natural and random inputs.

    Raises:
        CheckFailed: none agrees.
    """
    sizes = [size]
    if dynamic in ("size", "both"):
        # A size that was branched on while tracing shows at another one.
        height, width = (max(32, (side * 2 // 3 + 31) // 32 * 32) for side in size[1:])
        sizes.append((size[0], height, width))
    batches = [batch, 3] if dynamic in ("batch", "both") else [batch]
    checked: dict[str, float] = {}
    for at in sizes:
        x = probe_inputs(max(4, batch), at, manifest.preprocess if manifest else None)
        try:
            with torch.inference_mode():
                want = model(torch.from_numpy(x)).numpy()
        except RuntimeError as error:
            raise BadInput(f"{name_of(model, manifest)} cannot read images of shape {at}: {_first(error)}") from error
        for runtime in filter(installed, READERS[file.suffix]):
            errors = [_error(file, runtime, x, want, n) for n in batches]
            checked[runtime] = max(checked.get(runtime, 0.0), *errors)
    if not any(error <= TOLERANCE for error in checked.values()):
        found = ", ".join(f"{name} is off by {error:.1e} of the largest output" for name, error in checked.items())
        raise CheckFailed(
            f"the {file.suffix} file of {name_of(model, manifest)} does not compute what the network computes"
            f" ({found or 'no runtime is installed'}); no file was written"
        )
    return checked


def _error(file: Path, runtime: str, x: NDArray[np.float32], want: NDArray[np.float32], batch: int) -> float:
    channels, height, width = x.shape[1:]
    try:
        with open_session(file, runtime=runtime, batch=batch, input_size=(channels, height, width)) as session:
            return relative_error(session.run(x), want)
    except Exception:  # each runtime raises errors of its own; one that cannot open or run the file is off by far
        return float("inf")


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


def _record_onnx(file: Path, checked: dict[str, float]) -> None:
    if checked:
        proto = read_onnx(file)
        set_property(proto, CHECKED, dump_checked(checked))
        file.write_bytes(proto.SerializeToString())


def _record_openvino(file: Path, checked: dict[str, float]) -> None:
    if checked:
        network = read_network(file)
        network.set_rt_info(dump_checked(checked), [CHECKED])
        # The weights are mapped from the very .bin that would be overwritten, so the new pair is written beside it.
        again = file.with_name("again.xml")
        save_network(network, again)
        del network
        again.replace(file)
        again.with_suffix(".bin").replace(file.with_suffix(".bin"))


def _unpack(path: Path) -> None:
    """Move the checked pair out of its folder; the .xml last, since it is the one that is opened."""
    folder = path.with_suffix(".pair")
    try:
        path.unlink(missing_ok=True)
        (folder / "model.bin").replace(path.with_suffix(".bin"))
        (folder / "model.xml").replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
