"""Networks written as C for Pumice's own engine: a folder, or a library compiled for this processor."""

import copy
import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pumice.deploy.native import compile_folder, say
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.native.files import Example, Interface, Pixels, write_folder

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.baked import Baked

SHARE = 1e-4
"""Of how far the numbers of an answer lie apart: what the answer to the example may be off, if rounding is not more."""


def write_c(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
    tune_s: float = 0.0,
) -> None:
    """Write `path` (model.c) and what belongs to it into the folder, which exists.

    Args:
        model: frozen, perhaps `Baked`; it is not changed.
        path: of model.c.
        input_size: (C, H, W).
        manifest: gives names and classes, and how images are prepared.
        batch: images a pass of a session; the code itself reads one.
        dynamic: None; the code is of one size.
        tune_s: seconds for measuring which code is fastest here (`pumice.native.tune`); none by default.

    Raises:
        BadInput: the network has an operator that there is no code for.
        OSError: a file cannot be written.
    """
    say(path, _write(model, path.parent, input_size, manifest, tune_s), batch)


def write_native(
    model: "nn.Module",
    path: Path,
    input_size: tuple[int, int, int],
    *,
    manifest: Manifest | None = None,
    batch: int = 1,
    dynamic: None = None,
    tune_s: float = 0.0,
) -> None:
    """Write `path` (.so): the code of `write_c` compiled, and its weights; arguments as there.

    Raises:
        BadInput: the network has an operator that there is no code for, or there is no compiler.
        OSError: the file cannot be written.
    """
    from pumice.native.build import compiler

    compiler()
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        made = _write(model, Path(folder), input_size, manifest, tune_s)
        library = Path(folder, "library.so")
        compile_folder(Path(folder), library, made.prefix)
        # Not compiled in place: a linker's words on a place that cannot be written are of no help.
        shutil.copyfile(library, path)
    say(path, made, batch, hashlib.sha256(path.read_bytes()).hexdigest())


def _write(
    model: "nn.Module", folder: Path, input_size: tuple[int, int, int], manifest: Manifest | None, tune_s: float
) -> Interface:
    """The files of C."""
    from pumice.deploy.baked import Baked
    from pumice.deploy.network import folded, name_of
    from pumice.native.passes import optimise
    from pumice.native.read import read
    from pumice.native.tune import tuned

    baked = model if isinstance(model, Baked) else None
    network = baked.network if baked else model
    program = optimise(read(folded(network, input_size), input_size, name=name_of(network, manifest)))
    return write_folder(
        folder,
        program,
        _example(model, input_size, manifest),
        pixels=_pixels(baked) if baked else None,
        classes=manifest.classes if manifest else (),
        feeding=_feeding(manifest),
        choices=tuned(program, tune_s) if tune_s else None,
    )


def _example(model: "nn.Module", input_size: tuple[int, int, int], manifest: Manifest | None) -> Example:
    """A natural image and what the network says of it."""
    import torch

    from pumice.deploy.baked import Baked
    from pumice.deploy.probes import probe_inputs, probe_pixels

    preprocess = manifest.preprocess if manifest else None
    if isinstance(model, Baked):
        image: NDArray[Any] = probe_pixels(1, *input_size[1:], seed=7)
    else:
        image = probe_inputs(1, input_size, preprocess, seed=7)
    x = torch.from_numpy(image)
    with torch.inference_mode():
        try:
            answer = model(x).numpy()[0]
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:200]
            raise BadInput(f"{type(model).__name__} cannot read images of shape {input_size}: {reason}") from error
        try:
            exact = copy.deepcopy(model).double()(x if isinstance(model, Baked) else x.double()).numpy()[0]
        except RuntimeError:  # a network that makes float32 numbers of its own
            exact = answer
    spread = float(answer.max() - answer.min()) or float(np.abs(answer).max())
    return Example(image[0], answer, max(SHARE * spread, 4 * float(np.abs(answer - exact).max())))


def _pixels(baked: "Baked") -> Pixels:
    scale, shift = (tuple(part.flatten().tolist()) for part in (baked.scale, baked.shift))
    return Pixels(scale, shift, (2, 1, 0) if baked.swap else (0, 1, 2))


def _feeding(manifest: Manifest | None) -> str:
    """How the numbers of an image are made, for people."""
    if manifest is None:
        return ""
    how = manifest.preprocess
    if how.baked:
        return "red, green and blue of the resized image"
    mean, std = (" ".join(f"{value:g}" for value in part) for part in (how.mean, how.std))
    return f"{how.channels}, each number (v / 255 - mean) / std of a pixel's v; mean {mean}, std {std}"
