"""A session on a network: itself in eager, a temporary file of it in another runtime."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.compare import TOLERANCE, relative_error
from pumice.deploy.direct import write_network
from pumice.deploy.eager import EagerSession
from pumice.deploy.formats import FORMATS, RUNTIMES, imported, require_writer, writer_of
from pumice.deploy.network import frozen, load, size_of
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import Session
from pumice.errors import CheckFailed
from pumice.models.manifest import Manifest


def open_network(
    source: str | Path | nn.Module,
    runtime: str,
    *,
    threads: int,
    batch: int,
    input_size: tuple[int, int, int] | None,
    manifest: Manifest | None,
    device: str,
) -> Session:
    """Open what is not a file; arguments as `open_session`.

    Raises:
        BadInput: there is no such network, or its input size is unknown.
        CheckFailed: the runtime disagrees with the network.
    """
    model, manifest = load(source, manifest)
    size = size_of(model, manifest, input_size)
    if runtime == "eager":
        return EagerSession(model, threads=threads, batch=batch, input_size=size, manifest=manifest, device=device)
    model = frozen(model)
    form = next(form for form in FORMATS.values() if runtime in form.runtimes)
    require_writer(form)
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / (form.main or f"model{form.suffix}")
        if form.name == "onnx":
            write_network(model, file, size, batch=batch, manifest=manifest)
        else:
            writer_of(form)(model, file, size, manifest=manifest, batch=batch, dynamic=None)
        opener = imported(RUNTIMES[runtime].session)
        session: Session = opener(file, threads=threads, batch=batch, input_size=size, manifest=manifest)
    x = probe_inputs(2, size, manifest.preprocess if manifest else None)
    error = disagreement(session, model, x)
    if error > TOLERANCE:
        session.close()
        raise CheckFailed(
            f"{session.runtime} disagrees with the network by {error:.1e} of its largest output; use another runtime"
        )
    return session


def disagreement(session: Session, model: nn.Module, x: NDArray[Any], fed: NDArray[np.float32] | None = None) -> float:
    """How far a session's answers are from the network's, as a share of the largest output.

    Some fresh networks multiply rounding errors so much (IGCV3: 6e-4 of the largest output) that torch itself is off by
    more than the tolerance.  There the measure is double precision, and three times torch's own error is forgiven.

    Args:
        session: of the same network.
        model: in evaluation mode and float32, on the CPU; it is not changed.
        x: what the session reads.
        fed: what the network reads, (N, C, H, W); by default the same.
    """
    images = torch.from_numpy(x if fed is None else fed)
    with torch.inference_mode():
        got, want = session.run(x), model(images).numpy()
        error = relative_error(got, want)
        if error <= TOLERANCE or got.shape != want.shape:
            return error
        exact = copy.deepcopy(model).double()(images.double()).numpy()
    return max(0.0, relative_error(got, exact) - 3 * relative_error(want, exact))
