"""One network, one scheme, one file of 8-bit integers, whole or not at all."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.carried import MANIFEST, QUANTISED
from pumice.deploy.compare import choices, same_top1
from pumice.deploy.export import add_properties, bytes_of, check_free, put_in_place
from pumice.deploy.formats import format_named
from pumice.deploy.network import folded, frozen, load, name_of, size_of
from pumice.deploy.schemes.apart import write_and_run, write_and_run_apart
from pumice.deploy.schemes.equalise import equalise as equalised_copy
from pumice.deploy.schemes.scheme import Scheme, chosen_settings, scheme_named
from pumice.errors import BadInput, CheckFailed
from pumice.models.manifest import Manifest

COMPARED = 64  # images


@dataclass(frozen=True)
class Quantised(os.PathLike[str]):
    """A quantised file; it can stand wherever its path can.

    path: the file or the folder.
    scheme: its name in `SCHEMES`.  format: its name in `pumice.deploy.formats.FORMATS`.
    bytes: size on disk, all parts.
    float_layers: module paths of the layers that still compute in float32.
    equalised: whether weights were rescaled before; false as well where no two layers could be.
    agreement: share of up to 64 of the calibration images whose best class is the network's.
    settings: of the scheme, all of them.
    """

    path: Path
    scheme: str
    format: str
    bytes: int
    float_layers: tuple[str, ...]
    equalised: bool
    agreement: float
    settings: dict[str, str]

    def __fspath__(self) -> str:
        return str(self.path)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "path": str(self.path), "float_layers": list(self.float_layers)}


def quantise(
    model_or_source: nn.Module | str | Path,
    path: str | Path,
    images: NDArray[np.float32],
    *,
    scheme: str,
    manifest: Manifest | None = None,
    input_size: tuple[int, int, int] | None = None,
    float_layers: Sequence[str] = (),
    equalise: bool = False,
    tuned: nn.Module | None = None,
    **settings: str,
) -> Quantised:
    """Quantise weights and activations to 8 bits, by the ranges that activations take on some images.

    The file reads one float32 image at a time and carries the manifest and, as "pumice_quantised", how it was made.

    Args:
        model_or_source: a float network, run folder, .safetensors checkpoint or name; it is not changed.
        path: file to write; a path without suffix becomes a folder with OpenVINO's pair.
        images: (N, C, H, W) as the network reads them, see `calibration_images`; 100 to 500 are usual.
        scheme: one of `SCHEMES`.
        manifest: what the file shall carry, by default the source's own.
        input_size: (C, H, W), by default the manifest's, without one that of the images.
        float_layers: module paths of convolutions and linear layers to leave in float32.
        equalise: even the ranges of weights out first, where that changes nothing else.
        tuned: the network with weights that bear 8 bits better, which are written instead; the file is still compared
            with the network itself.
        settings: of the scheme, see its line in `SCHEMES`.

    Raises:
        BadInput: the images do not fit the network, a layer or setting does not exist, the toolkit refuses the network,
            dies of it or is not installed, or the file cannot be written.
        CheckFailed: the file does not open in its runtime, kills it, or gives undefined outputs.  Nothing is left
            behind.
    """
    path = Path(path)
    chosen = scheme_named(scheme)
    options = chosen_settings(chosen, settings)
    form = format_named(path, chosen.format)
    check_free(path, form)
    model, manifest = load(model_or_source, manifest)
    own = images.shape[1:] if manifest is None and images.ndim == 4 else None
    size = size_of(model, manifest, input_size or own)
    _check_images(images, size, name_of(model, manifest))
    if manifest is not None and manifest.input_size != size:
        manifest = manifest.at(*size[1:])
    model = frozen(model)
    layers = tuple(dict.fromkeys(float_layers))
    _check_layers(model, layers)
    weights = model if tuned is None else frozen(tuned)
    source, evened = equalised_copy(folded(weights, size), size) if equalise else (weights, 0)
    record = {"scheme": scheme, "images": len(images), "float_layers": list(layers), "equalised": evened > 0, **options}
    record["tuned"] = tuned is not None

    def fill(file: Path) -> float:
        some = images[np.unique(np.linspace(0, len(images) - 1, min(COMPARED, len(images))).astype(int))]
        write = write_and_run_apart if chosen.apart else write_and_run
        outputs = write(chosen, source, file, images, some, {"float_layers": layers, **options})
        agreement = _agreement(outputs, chosen, model, some, manifest)
        said = {} if manifest is None else {MANIFEST: manifest.dumps()}
        said[QUANTISED] = json.dumps({**record, "agreement": agreement})
        add_properties(file, form, said)
        return agreement

    file, agreement = put_in_place(path, form, fill)
    return Quantised(path, scheme, form.name, bytes_of(file), layers, evened > 0, agreement, options)


def _check_images(images: NDArray[np.float32], size: tuple[int, int, int], name: str) -> None:
    """
    Raises:
        BadInput: the network cannot read them, or nothing can be learnt from them.
    """
    if images.ndim != 4 or images.dtype != np.float32 or len(images) == 0:
        raise BadInput(
            f"calibration takes images as float32 of shape (N, C, H, W), not {images.dtype} of shape {images.shape}"
        )
    if images.shape[1:] != size:
        raise BadInput(
            f"{name} reads images of shape {size}, and those for calibration are of shape {images.shape[1:]}"
        )
    if not np.isfinite(images).all():
        raise BadInput("the calibration images hold infinite or undefined values; prepare them again")
    if float(np.ptp(images)) == 0:
        raise BadInput("the calibration images are all of one value, so that they show no ranges; give real images")


def _check_layers(model: nn.Module, layers: Sequence[str]) -> None:
    """
    Raises:
        BadInput: a layer does not exist, or has no weight.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for layer in layers:
        if not isinstance(getattr(modules.get(layer), "weight", None), torch.Tensor):
            raise BadInput(f"{layer!r} is no layer with a weight; name convolutions or linear layers by module path")


def _agreement(
    got: NDArray[np.float32], scheme: Scheme, model: nn.Module, some: NDArray[np.float32], manifest: Manifest | None
) -> float:
    """Share of images on which the file's outputs say what the network says.

    Raises:
        CheckFailed: they are of another shape or not finite.
    """
    with torch.inference_mode():
        want = model(torch.from_numpy(some)).numpy()
    if got.shape != want.shape or not np.isfinite(got).all():
        raise CheckFailed(
            f"the file that {scheme.name} made gives outputs that are undefined or of shape {got.shape[1:]},"
            f" not {want.shape[1:]}; no file was written"
        )
    task = "classify" if manifest is None else manifest.task
    return float(np.mean(same_top1(choices(got, task), choices(want, task))))
