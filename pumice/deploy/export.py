"""Write a network as a file for another runtime, whole or not at all, and compare the two."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.baked import Baked, with_pixels
from pumice.deploy.carried import C_BUILT, CHECKED, MANIFEST, add_metadata, dump_checked, parts_of
from pumice.deploy.compare import TOLERANCE
from pumice.deploy.formats import Format, format_named, require_writer, writer_of
from pumice.deploy.network import frozen, load, name_of, size_of
from pumice.deploy.network_session import disagreement
from pumice.deploy.onnx import Dynamic, read_onnx, set_property
from pumice.deploy.openvino import read_network, save_network
from pumice.deploy.probes import probe_inputs, probe_pixels
from pumice.deploy.session import installed, open_session
from pumice.deploy.trusted import remember
from pumice.errors import BadInput, CheckFailed
from pumice.files import atomic, writing
from pumice.models.dense.decoding import decoding_of
from pumice.models.manifest import Manifest
from pumice.native.build import compiler

T = TypeVar("T")


@dataclass(frozen=True)
class Exported(os.PathLike[str]):
    """A written file; it can stand wherever its path can.

    path: the file or the folder (OpenVINO's pair as `model.xml` and `model.bin`).
    format: its name in `pumice.deploy.formats.FORMATS`.
    bytes: size on disk, all parts.
    checked: runtime -> largest relative error against the network; infinite where the runtime cannot open it.  A
        runtime above the tolerance must not run the file, and runtime="auto" never picks it.  Empty without check.
    """

    path: Path
    format: str
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
    bake: bool = False,
    tune_s: float = 0.0,
) -> Exported:
    """Export a network, compare the file with it in every runtime that reads the file, and put it in place.

    Args:
        model_or_source: a network, run folder, .safetensors checkpoint or name.
        path: file to write; a path without suffix becomes a folder, with OpenVINO's pair unless `format` says ncnn.
        format: of `pumice.deploy.formats.FORMATS`, by default as the suffix says.
        manifest: what the file shall carry, by default the source's own.
        check: compare, and record the result in the file.
        input_size: (C, H, W), by default the manifest's; the manifest in the file follows it.
        batch: images a pass of a static file.
        dynamic: leave "batch", "size" or "both" open until the file is opened.
        bake: let the file read uint8 RGB pixels (N, H, W, 3) of resized images and normalise them itself, as the
            manifest says.
        tune_s: of formats native and c: seconds for measuring which code is fastest on this machine.

    Raises:
        BadInput: the network cannot be exported, or the file cannot be written.
        CheckFailed: no runtime agrees with the network to 1e-4 of its largest output.  Nothing is left behind.
    """
    path = Path(path)
    form = format_named(path, format)
    require_writer(form)
    if check and form.name == "c":
        compiler()  # what is written is compiled to be compared
    check_free(path, form)
    if dynamic is not None and not form.open_sizes:
        raise BadInput(f"a file of format {form.name} is of one size; leave dynamic out, or choose onnx or openvino")
    if bake and not form.bakes:
        raise BadInput(f"a file of format {form.name} cannot read pixels; leave bake out, or choose another format")
    if tune_s and not form.tunes:
        raise BadInput(f"a file of format {form.name} cannot be tuned; leave tuning out, or choose native or c")
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
    written = model
    if bake:
        if manifest is None:
            raise BadInput(f"{name_of(model, None)} does not say how images are fed to it; give manifest= to bake")
        manifest = with_pixels(manifest)
    if manifest is not None and manifest.preprocess.baked:
        written = Baked(model, manifest.preprocess).eval()
    writer = writer_of(form)

    def fill(scratch: Path) -> dict[str, float]:
        more = {"tune_s": tune_s} if form.tunes else {}
        writer(written, scratch, size, manifest=manifest, batch=batch, dynamic=dynamic, **more)
        checked = _check(scratch, form, model, size, manifest, batch, dynamic) if check else {}
        # ONNX and OpenVINO files have their manifest already.
        said = {} if manifest is None or form.name in ("onnx", "openvino") else {MANIFEST: manifest.dumps()}
        add_properties(scratch, form, said | ({CHECKED: dump_checked(checked)} if checked else {}))
        return checked

    file, checked = put_in_place(path, form, fill)
    if form.code:
        remember(file)
    return Exported(path, form.name, bytes_of(file), checked)


def check_free(path: Path, form: Format) -> None:
    """See that a folder to be written over is a model's.

    Raises:
        BadInput: it holds other things.
    """
    if form.main and path.suffix == "" and path.is_dir():
        own = {part.name for part in parts_of(path / form.main)} | (set(C_BUILT) if form.name == "c" else set())
        foreign = [part.name for part in path.iterdir() if part.name not in own]
        if foreign:
            raise BadInput(f"the folder {path} holds other things ({foreign[0]}); give a path that is free")


def put_in_place(path: Path, form: Format, fill: Callable[[Path], T]) -> tuple[Path, T]:
    """Have a file written beside its place and moved there when it is whole.

    Args:
        path: file, or folder of a format that has them.
        form: its format.
        fill: writes to the scratch path it is given, which for a folder is the main part in it.

    Returns:
        The file, or the folder's main part, and what `fill` returned.

    Raises:
        BadInput: it cannot be written.
    """
    with writing(path):
        if not form.main:
            with atomic(path) as scratch:
                made = fill(scratch)
        else:
            # The parts are made in a folder of their own, so that none is seen before all are right.
            with atomic(path.with_suffix(".pair") if path.suffix else path) as folder:
                folder.mkdir()
                made = fill(folder / form.main)
            if path.suffix:
                _unpack(path)
    return (path / form.main if form.main and not path.suffix else path), made


def bytes_of(file: Path) -> int:
    """Size on disk of all parts of a model file."""
    return sum(part.stat().st_size for part in parts_of(file) if part.is_file())


def _check(
    file: Path,
    form: Format,
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
        fed = probe_inputs(max(4, batch), at, manifest.preprocess if manifest else None)
        # The network is fed by `Preprocess`, the file by itself: what was baked in is compared too.
        baked = manifest is not None and manifest.preprocess.baked
        x: NDArray[Any] = probe_pixels(max(4, batch), at[1], at[2]) if baked else fed
        try:
            with torch.inference_mode():
                model(torch.from_numpy(fed[:1]))
        except RuntimeError as error:
            raise BadInput(f"{name_of(model, manifest)} cannot read images of shape {at}: {_first(error)}") from error
        for runtime in filter(installed, form.runtimes):
            errors = [_error(file, runtime, model, x, fed, n, at) for n in batches]
            checked[runtime] = max(checked.get(runtime, 0.0), *errors)
    if not any(error <= TOLERANCE for error in checked.values()):
        found = ", ".join(f"{name} is off by {error:.1e} of the largest output" for name, error in checked.items())
        raise CheckFailed(
            f"the {form.name} file of {name_of(model, manifest)} does not compute what the network computes"
            f" ({found or 'no runtime is installed'}); no file was written"
        )
    return checked


def _error(
    file: Path,
    runtime: str,
    model: nn.Module,
    x: NDArray[Any],
    fed: NDArray[np.float32],
    batch: int,
    at: tuple[int, int, int],
) -> float:
    try:
        with open_session(file, runtime=runtime, batch=batch, input_size=at, trust=True) as session:
            return disagreement(session, model, x, fed)
    except Exception:  # each runtime raises errors of its own; one that cannot open or run the file is off by far
        return float("inf")


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


def add_properties(file: Path, form: Format, said: Mapping[str, str]) -> None:
    """Let a file that was just written say more of itself.

    Raises:
        OSError: it cannot be written.
    """
    if form.name == "onnx" and said:
        proto = read_onnx(file)
        for key, value in said.items():
            set_property(proto, key, value)
        file.write_bytes(proto.SerializeToString())
    elif form.name == "openvino" and said:
        network = read_network(file)
        for key, value in said.items():
            network.set_rt_info(value, [key])
        # The weights are mapped from the very .bin that would be overwritten, so the new pair is written beside it.
        again = file.with_name("again.xml")
        save_network(network, again)
        del network
        again.replace(file)
        again.with_suffix(".bin").replace(file.with_suffix(".bin"))
    else:
        add_metadata(file, said)


def _unpack(path: Path) -> None:
    """Move the checked pair out of its folder; the .xml last, since it is the one that is opened."""
    folder = path.with_suffix(".pair")
    try:
        path.unlink(missing_ok=True)
        (folder / "model.bin").replace(path.with_suffix(".bin"))
        (folder / "model.xml").replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
