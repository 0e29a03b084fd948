"""Why does a file disagree?  Each known fault is undone in turn; the one without which the file agrees is named."""

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from pumice.data.preprocess import Preprocess
from pumice.deploy.checks import WORDS
from pumice.deploy.compare import relative_error, variation
from pumice.deploy.parity import testable

Values = NDArray[np.float32]
Run = Callable[[Values], Values]


def diagnose(
    run: Run,
    x: Values,
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
        x: what the reference reads, (N, C, H, W); a few images that differ are enough.
        want: the reference's outputs on `x`.
        got: the file's outputs on the same images as the file's own record feeds it.
        tolerance: largest relative error that counts as agreement.
        ours: the preprocessing that the file records.
        theirs: the reference's.
        classes: names, in the reference's order.
    """
    if not np.isfinite(got).all():
        return "the file computes infinite or undefined values"
    if not testable(want):
        return ""  # any change of the input would seem to explain it
    if variation(got) <= tolerance:
        return "the file ignores its image: its outputs are the same for all of them"
    for sentence, other in _inputs(x, ours, theirs):
        if other.shape == x.shape and relative_error(run(other), want) <= tolerance:
            return sentence
    plain = run(x)
    return _permuted(plain, want, tolerance, classes) or _rescaled(plain, want, tolerance)


def _inputs(x: Values, ours: Preprocess | None, theirs: Preprocess | None) -> Iterator[tuple[str, Values]]:
    """Other ways to feed the file, each with what is wrong with it if it agrees when fed so."""
    if ours is not None and theirs is not None and ours != theirs:
        names = [WORDS.get(f.name, f.name) for f in fields(ours) if getattr(ours, f.name) != getattr(theirs, f.name)]
        yield (
            f"fed as the reference is, the file agrees: its record of the {' and '.join(names)} is wrong",
            x,
        )
    yield (
        "the file reads its channels in the other order than its record says (BGR for RGB): with red and blue swapped"
        " it agrees",
        np.ascontiguousarray(x[:, ::-1]),
    )
    if theirs is not None and x.shape[1] == len(theirs.mean):
        mean, std = (np.asarray(part, np.float32)[:, None, None] for part in (theirs.mean, theirs.std))
        raw = x * std + mean
        twice = "the file normalises by itself, so that mean and std are applied twice"
        yield f"{twice}: fed with values from 0 to 1 it agrees", raw
        yield f"{twice}: fed with values from 0 to 255 it agrees", raw * 255
        yield "the file has lost its mean and std: normalised once more it agrees", (x - mean) / std
    yield (
        "the file reads another layout (channels last, NHWC): with the same numbers laid out so it agrees",
        np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(x.shape),
    )
    yield (
        "the file reads height and width exchanged: with the images transposed it agrees",
        np.ascontiguousarray(np.swapaxes(x, 2, 3)),
    )


def _permuted(got: Values, want: Values, tolerance: float, classes: tuple[str, ...]) -> str:
    if got.shape != want.shape or got.ndim != 2:
        return ""
    apart = np.abs(got[:, :, None] - want[:, None, :]).max(axis=0)
    order = apart.argmin(axis=1)  # output i of the file is class order[i]
    if len(set(order.tolist())) < len(order) or relative_error(got, want[:, order]) > tolerance:
        return ""
    moved = [i for i, j in enumerate(order) if i != j]
    if not moved:
        return ""
    first, name = moved[0], str(order[moved[0]])
    if len(classes) == len(order):
        name = repr(classes[order[first]])
    return f"the file gives its classes in another order: output {first} is class {name}, {len(moved)} of them moved"


def _rescaled(got: Values, want: Values, tolerance: float) -> str:
    if got.shape != want.shape or got.ndim != 2:
        return ""
    exponential = np.exp(want - want.max(axis=1, keepdims=True))
    if relative_error(got, exponential / exponential.sum(axis=1, keepdims=True)) <= tolerance:
        return "the file gives probabilities, the reference logits: it has a softmax too many"
    return ""
