"""Why does a file disagree?  Each known fault is undone in turn; the one without which the file agrees is named."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.data.preprocess import Preprocess
from pumice.deploy.bisect import LayerError, first_difference, layer_errors
from pumice.deploy.checks import WORDS
from pumice.deploy.compare import relative_error, variation
from pumice.deploy.parity import testable
from pumice.deploy.session import Session
from pumice.errors import BadInput

Values = NDArray[np.float32]
Run = Callable[[Values], Values]
EXPLAINED = 0.25
"""Of the error: a fault whose undoing leaves less than this is named although others may be there beside it."""


def explain(
    path: Path,
    reference: nn.Module,
    session: Session,
    fed: NDArray[Any],
    x: Values,
    tolerance: float,
    *,
    ours: Preprocess | None = None,
    theirs: Preprocess | None = None,
    classes: tuple[str, ...] = (),
    quantised: Mapping[str, Any] | None = None,
    wrong: bool = True,
    layers: bool = False,
) -> tuple[str, list[LayerError]]:
    """A sentence about why and where a file differs, and the error of each layer as far as it can be told.

    Args:
        path: the file.
        reference: the network that it should be, frozen.
        session: the file, open.
        fed: what the file reads of some images, as its own record says.
        x: what the reference reads of them, (N, C, H, W).
        tolerance: largest relative error that counts as agreement.
        ours: the preprocessing that the file records.
        theirs: the reference's.
        classes: names, in the reference's order.
        quantised: what a file of 8-bit integers says of its making.
        wrong: whether its outputs do not agree; where they do, the layers alone are compared.
        layers: compare the layers of a quantised file as well, which all differ a little.
    """
    why = ""
    if wrong:
        with torch.inference_mode():
            want = reference(torch.from_numpy(x)).numpy()
        same = x if fed.shape == x.shape and not session.pixels else None
        why = diagnose(session.run, same, want, session.run(fed), tolerance, ours=ours, theirs=theirs, classes=classes)
    found: list[LayerError] = []
    if quantised is not None and not layers:
        where = ""
    elif x.shape[1:] != session.input_size:
        where = f"where {path.name} differs cannot be told: it reads another image size than the network"
    else:
        try:
            found = layer_errors(path, reference, x, session.runtime, fed=fed if session.pixels else None)
            where = first_difference(found, tolerance)
            if wrong and where.startswith("all "):
                where += "; the fault lies behind the last of them, or only where the runtime joins layers"
        except BadInput as error:
            where = str(error)
    if quantised is not None:
        asked = float(quantised.get("agreement", 1.0))
        where = (
            "it is quantised, so that every layer differs a little; on the images that it was calibrated on"
            f" {asked:.0%} of the best classes agreed: if fewer do here, its ranges do not suit these images"
        )
    # A fault of the input shows in every layer from the first on, so where it shows says nothing more.
    return why or where, found


def diagnose(
    run: Run,
    x: Values | None,
    want: Values,
    got: Values,
    tolerance: float,
    *,
    ours: Preprocess | None = None,
    theirs: Preprocess | None = None,
    classes: tuple[str, ...] = (),
) -> str:
    """A sentence that names the fault under which the file agrees; "" when none of those known explains it.

    Args:
        run: the file: (N, C, H, W) -> outputs.
        x: what the reference reads, (N, C, H, W); a few images that differ are enough.  None where the file cannot
            be fed so.
        want: the reference's outputs on `x`.
        got: the file's outputs on the same images as the file's own record feeds it.
        tolerance: largest relative error that counts as agreement.
        ours: the preprocessing that the file records.
        theirs: the reference's.
        classes: names, in the reference's order.
    """
    if not np.isfinite(got).all():
        return "the file computes infinite or undefined values"
    if got.shape != want.shape:
        return f"the file gives outputs of shape {got.shape[1:]}, the reference {want.shape[1:]}: it is another network"
    if not testable(want):
        return ""  # any change of the input would seem to explain it
    if variation(got) <= tolerance:
        return "the file ignores its image: its outputs are the same for all of them"
    tried: list[tuple[float, str]] = []
    for fault, undone, other in _inputs(x, ours, theirs):
        error = relative_error(run(other), want)
        if error <= tolerance:
            return f"{fault}: {undone} it agrees"
        tried.append((error, f"{fault}: {undone} its error is {error:.0e}"))
    plain = got if x is None else run(x)
    if exact := _reordered(plain, want, tolerance, classes) or _rescaled(plain, want, tolerance):
        return exact
    before = relative_error(got, want)
    least, sentence = min(tried, default=(before, ""))
    return f"{sentence}, instead of {before:.0e}" if least <= EXPLAINED * before else ""


def _inputs(x: Values | None, ours: Preprocess | None, theirs: Preprocess | None) -> Iterator[tuple[str, str, Values]]:
    """What may be wrong with the input, how the file is then to be fed, and the input fed so."""
    if x is None:
        return
    if ours is not None and theirs is not None and ours != theirs:
        names = [WORDS.get(f.name, f.name) for f in fields(ours) if getattr(ours, f.name) != getattr(theirs, f.name)]
        yield f"its record of the {' and '.join(names)} is wrong", "fed as the reference is", x
    yield (
        "the file reads its channels in the other order than its record says (BGR for RGB)",
        "with red and blue swapped",
        np.ascontiguousarray(x[:, ::-1]),
    )
    if theirs is not None and x.shape[1] == len(theirs.mean):
        mean, std = (np.asarray(part, np.float32)[:, None, None] for part in (theirs.mean, theirs.std))
        raw = x * std + mean
        twice = "the file normalises by itself, so that mean and std are applied twice"
        yield twice, "fed with values from 0 to 1", raw
        yield twice, "fed with values from 0 to 255", raw * 255
        yield "the file has lost its mean and std", "normalised once more", (x - mean) / std
    yield (
        "the file reads another layout (channels last, NHWC)",
        "with the same numbers laid out so",
        np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(x.shape),
    )
    if x.shape[2] == x.shape[3]:
        yield (
            "the file reads height and width exchanged",
            "with the images transposed",
            np.ascontiguousarray(np.swapaxes(x, 2, 3)),
        )


def _reordered(got: Values, want: Values, tolerance: float, classes: tuple[str, ...]) -> str:
    """Of the images of a batch, or of the classes."""
    rows = (len(want), -1)
    apart = np.abs(got.reshape(rows)[:, None] - want.reshape(rows)[None]).max(axis=2)
    order = apart.argmin(axis=1)  # outputs i of the file are those of image order[i]
    if (order != np.arange(len(order))).any() and relative_error(got, want[order]) <= tolerance:
        return "the outputs are those of other images: the runtime mixes up the images of a batch"
    if got.ndim != 2:
        return ""
    apart = np.stack([np.abs(got - want[:, j : j + 1]).max(axis=0) for j in range(want.shape[1])], axis=1)
    order = apart.argmin(axis=1)  # output i of the file is class order[i]
    moved = [i for i, j in enumerate(order) if i != j]
    if not moved or len(set(order.tolist())) < len(order) or relative_error(got, want[:, order]) > tolerance:
        return ""
    first, name = moved[0], str(order[moved[0]])
    if len(classes) == len(order):
        name = repr(classes[order[first]])
    return f"the file gives its classes in another order: output {first} is class {name}, {len(moved)} of them moved"


def _rescaled(got: Values, want: Values, tolerance: float) -> str:
    factor = float((got * want).sum() / (want * want).sum())
    if relative_error(got, factor * want) <= tolerance:
        return f"every output is {factor:.3g} times the reference's"
    if got.ndim != 2:
        return ""
    exponential = np.exp(want - want.max(axis=1, keepdims=True))
    if relative_error(got, exponential / exponential.sum(axis=1, keepdims=True)) <= tolerance:
        return "the file gives probabilities, the reference logits: it has a softmax too many"
    return ""
