"""Is this file that checkpoint?  The same outputs on images, the same preprocessing, the same classes in order.

The file is fed through its own preprocessing and the checkpoint through the checkpoint's, as a user of either would,
so that a wrong manifest shows in the outputs as well as in the comparison of the records.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pumice.data.preprocess import Preprocess
from pumice.deploy.bisect import LayerError
from pumice.deploy.carried import model_file, read_manifest, read_quantised
from pumice.deploy.checks import IGNORES, Agreement, Check, agreement, agrees, output_checks, record_checks
from pumice.deploy.compare import TOLERANCE, classes_in
from pumice.deploy.diagnose import explain
from pumice.deploy.formats import SUFFIXES
from pumice.deploy.network import frozen, load, name_of
from pumice.deploy.parity import relative_to_spread
from pumice.deploy.probes import natural_images, probe_inputs
from pumice.deploy.session import Session, open_session, readers, resolve_runtime
from pumice.errors import BadInput
from pumice.models.manifest import Manifest
from pumice.progress import track

Inputs = NDArray[Any]  # float32 planes, or the pixels that a baked file reads
MEMORY = 2**29  # bytes that outputs may take


@dataclass(frozen=True)
class Verification:
    """The verdict on a file.

    runtime: the one that the verdict is about: the one asked for, else the best of those that agree.
    refused: runtimes that do not agree or cannot open the file; they must not run it.
    source: where the images came from, "generated" if from nowhere.
    max_relative_error: max |file - reference| / max |reference| over all images, in that runtime.
    relative_to_spread: max |file - reference| over how far the reference's outputs of different images lie apart.
    diagnosis: why and where outputs differ, in sentences, as far as it can be told.
    layers: the error of each layer, where outputs differ or it was asked for.
    """

    file: str
    against: str
    runtime: str
    checks: tuple[Check, ...]
    max_relative_error: float
    top1_agreement: float
    images: int
    source: str
    tolerance: float
    runtimes: dict[str, float]
    refused: tuple[str, ...]
    relative_to_spread: float = 0.0
    diagnosis: tuple[str, ...] = ()
    layers: tuple[LayerError, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What passed and should still be said."""
        weak = [f"{check.name}: {check.detail}" for check in self.checks if check.ok and IGNORES in check.detail]
        refused = [f"{name} does not agree on {self.file}; do not run it there" for name in self.refused if self.ok]
        return (*weak, *refused)

    def to_json(self) -> dict[str, Any]:
        """JSON values; an infinite error is null."""
        record = {"ok": self.ok, **asdict(self), "warnings": list(self.warnings), "refused": list(self.refused)}
        record["checks"] = [asdict(check) for check in self.checks]
        record["runtimes"] = {name: _finite(error) for name, error in self.runtimes.items()}
        record["max_relative_error"] = _finite(self.max_relative_error)
        record["relative_to_spread"] = _finite(self.relative_to_spread)
        record["layers"] = [
            {"layer": e.layer, "error": None if e.error is None else _finite(e.error)} for e in self.layers
        ]
        return record


def verify(
    file: str | Path,
    against: str | Path | nn.Module,
    *,
    data: str | Path | None = None,
    images: int = 64,
    runtime: str = "auto",
    tolerance: float = TOLERANCE,
    manifest: Manifest | None = None,
    layers: bool = False,
) -> Verification:
    """Compare a file with the network that it should be.

    Args:
        file: a model file, or a folder with one.
        against: run folder, .safetensors, name, or network.
        data: what the network's task learns from, whose validation images are used; without, images are generated.
        images: how many, evenly spaced.
        runtime: one, or "auto" for every one that reads the file.
        tolerance: largest relative error that passes.
        manifest: what the reference says of itself, for a network that carries nothing.
        layers: compare layer by layer also where the outputs agree.

    Raises:
        BadInput: the file, the reference or the data cannot be opened.
    """
    path = model_file(file)
    if path is None:
        raise BadInput(f"{file} is no model file to verify; give one of {', '.join(SUFFIXES)}, or a folder with one")
    if images < 1:
        raise BadInput(f"images is at least 1, not {images}")
    model, wanted = load(against, manifest)
    carried = read_manifest(path)
    if isinstance(against, nn.Module) and wanted is not None and not wanted.classes and carried is not None:
        # A bare network knows no class names, so it does not contradict those of the file.
        wanted = replace(wanted, classes=carried.classes)

    names = readers(path) if runtime == "auto" else (resolve_runtime(path, runtime),)
    sessions: dict[str, Session] = {}
    found: list[Agreement] = []
    with ExitStack() as stack:
        for name in names:
            try:
                opened = open_session(path, runtime=name, batch=None, input_size=_bare_size(carried, wanted))
                sessions[name] = stack.enter_context(opened)
            except BadInput as error:
                found.append(Agreement(name, float("inf"), 0.0, str(error)))
        if not sessions:
            raise BadInput(found[0].problem)

        some = next(iter(sessions.values()))
        pairs = _pairs(data, images, carried, wanted, some)
        reference = frozen(model)
        task = "classify" if wanted is None else wanted.task
        at_once = 16
        if task != "classify":
            # Outputs are kept until the end, and those of dense nets may be larger than the images.
            with torch.inference_mode():
                one = _forward(reference, pairs[0]()[1][None])
            most = max(2, MEMORY // (one.nbytes * (1 + len(sessions))))
            pairs = [pairs[i * len(pairs) // min(most, len(pairs))] for i in range(min(most, len(pairs)))]
            at_once = min(at_once, most)
        rows: dict[str, list[Inputs]] = {name: [] for name in ("reference", *sessions)}
        with torch.inference_mode():
            for group in track([pairs[i : i + at_once] for i in range(0, len(pairs), at_once)], "verify"):
                ours, theirs = (np.stack(side) for side in zip(*(pair() for pair in group), strict=True))
                rows["reference"].append(_forward(reference, theirs))
                for name, session in sessions.items():
                    rows[name].append(session.run(ours))
        outputs = {name: np.concatenate(parts) for name, parts in rows.items()}
        want = outputs.pop("reference")
        found = [agreement(name, got, want, tolerance, task) for name, got in outputs.items()] + found
        quantised = read_quantised(path)
        refused = tuple(entry for entry in found if not agrees(entry, tolerance, quantised))
        best = _choose(found, refused, carried)
        got = outputs[best.runtime]
        sentence = ""
        by_layer: list[LayerError] = []
        wrong = best in refused
        if wrong or layers:
            # Whole passes, so that a file of a larger batch is given no empty images.
            count = min(len(pairs), -(-8 // some.batch) * some.batch)
            few = [pairs[i]() for i in np.unique(np.linspace(0, len(pairs) - 1, count).astype(int))]
            ours, theirs = (np.stack(side) for side in zip(*few, strict=True))
            sentence, by_layer = explain(
                path,
                reference,
                sessions[best.runtime],
                ours,
                theirs,
                tolerance,
                ours=None if carried is None else carried.preprocess,
                theirs=None if wanted is None else wanted.preprocess,
                classes=() if wanted is None else wanted.classes,
                quantised=quantised,
                wrong=wrong,
                layers=layers,
            )
    return Verification(
        file=str(file),
        against=name_of(model, wanted) if isinstance(against, nn.Module) else str(against),
        runtime=best.runtime,
        checks=(
            *output_checks(best, refused, got, want, tolerance, task, quantised),
            *record_checks(carried, wanted, some.input_size, (classes_in(got, task), classes_in(want, task))),
        ),
        max_relative_error=best.error,
        top1_agreement=best.top1,
        images=len(want),
        source="generated" if data is None else str(data),
        tolerance=tolerance,
        runtimes={entry.runtime: entry.error for entry in found},
        refused=tuple(entry.runtime for entry in refused),
        relative_to_spread=relative_to_spread(got, want),
        diagnosis=(sentence,) if sentence else (),
        layers=tuple(by_layer),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _choose(found: list[Agreement], refused: tuple[Agreement, ...], carried: Manifest | None) -> Agreement:
    """The runtime of the verdict: the one that the file was made for, if it agrees; else the first that does."""
    opened = [entry for entry in found if not entry.problem]
    right = [entry for entry in opened if entry not in refused]
    meant = carried.budget.get("runtime") if carried else None
    return next((entry for entry in right if entry.runtime == meant), (right or opened)[0])


def _bare_size(carried: Manifest | None, wanted: Manifest | None) -> tuple[int, int, int] | None:
    """The size to open a file without manifest at, should it be open to any."""
    return wanted.input_size if carried is None and wanted is not None else None


def _forward(model: nn.Module, x: Inputs) -> Inputs:
    try:
        return model(torch.from_numpy(x)).numpy()
    except RuntimeError as error:
        raise BadInput(f"{type(model).__name__} cannot read images of shape {x.shape[1:]}: {error}") from error


def _pairs(
    data: str | Path | None,
    count: int,
    carried: Manifest | None,
    wanted: Manifest | None,
    session: Session,
) -> list[Callable[[], tuple[Inputs, Inputs]]]:
    """A function per image that gives what the file reads and what the reference reads, each (C, H, W)."""
    file_size = session.input_size
    either, other = carried or wanted, wanted or carried
    if either is None or other is None or file_size[0] != 3:
        if data is not None:
            raise BadInput("this file does not say how images are fed to it, so data cannot be used; leave them out")
        return [partial(_same, x) for x in probe_inputs(count, file_size, None)]
    ours = replace(either.preprocess, size=file_size[1:], baked=session.pixels)
    theirs = replace(other.preprocess, baked=False)
    return [partial(_both, image, ours, theirs) for image in _images(data, count, theirs.size, either.task)]


def _same(x: Inputs) -> tuple[Inputs, Inputs]:
    return x, x


def _both(load: Callable[[], Image.Image], ours: Preprocess, theirs: Preprocess) -> tuple[Inputs, Inputs]:
    image = load()
    return ours(image), theirs(image)


def _images(data: str | Path | None, count: int, size: tuple[int, int], task: str) -> list[Callable[[], Image.Image]]:
    if data is None:
        # Neither square nor of the network's own size, so that crop and interpolation matter.
        height, width = round(size[0] * 1.25) + 3, round(size[1] * 1.6) + 8
        return [image.copy for image in natural_images(count, height, width)]
    from pumice.data.open import open_data
    from pumice.data.open_dense import open_dense

    held = open_data(data).val if task == "classify" else open_dense(data, task).val
    chosen = np.unique(np.linspace(0, len(held) - 1, min(count, len(held))).round().astype(int))
    return [held.loaders[i] for i in chosen]
