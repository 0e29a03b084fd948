"""The questions that `verify` asks, each answered with a clause."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.data.preprocess import Preprocess
from pumice.deploy.compare import agreement_asked, choices, relative_error, same_top1, variation
from pumice.models.manifest import Manifest

Outputs = NDArray[np.float32]
# Fields of `Preprocess` in plain words.
WORDS = {"size": "image size", "crop_pct": "crop", "channels": "channel order"}


# What is chosen, and for each of what.
_CHOSEN = {
    "classify": ("class", "images"),
    "segment": ("class", "pixels"),
    "detect": ("class", "boxes"),
    "keypoints": ("place", "joints"),
}

# Said of a network whose outputs are the same for every image.
IGNORES = "it ignores the image, so that agreement proves nothing"


@dataclass(frozen=True)
class Check:
    """One question, its answer, and what was found, as a clause."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Agreement:
    """One runtime against the reference, over all images.

    error: max |file - reference| / max |reference|; infinite for other shapes, or where the file does not open.
    top1: share of images, pixels, boxes or joints with the same best class or place; ties agree.
    problem: why the runtime cannot open the file, "" if it can.
    """

    runtime: str
    error: float
    top1: float
    problem: str = ""


def agreement(runtime: str, got: Outputs, want: Outputs, tolerance: float, task: str = "classify") -> Agreement:
    """Compare the outputs of one runtime with the reference's."""
    same = got.shape == want.shape and same_top1(choices(got, task), choices(want, task), tolerance)
    return Agreement(runtime, relative_error(got, want), float(np.mean(same)))


def output_checks(
    best: Agreement,
    refused: tuple[Agreement, ...],
    got: Outputs,
    want: Outputs,
    tolerance: float,
    task: str = "classify",
    quantised: Mapping[str, Any] | None = None,
) -> tuple[Check, ...]:
    """Of the outputs: finite, close, the same best class, and not the same whatever the image.

    Of a file of 8-bit integers (`quantised` is its record) the error is told, and the best classes decide.
    """
    images = len(want)
    others = [
        f"{entry.runtime} must not run this file: "
        + (entry.problem or f"it is off by {entry.error:.1e} of the largest output")
        for entry in refused
        if entry is not best
    ]
    # Outputs that hardly vary agree with anything; below ten times the disagreement the comparison says nothing.
    needed = 10 * max(min(best.error, tolerance), 1e-7)
    varies, should = variation(got), variation(want)
    depends = Check(
        "depends on the image",
        images < 2 or varies >= needed or should < needed,
        f"outputs vary by {varies:.1e} of the largest"
        + ("" if varies >= needed or images < 2 else f", the reference's by {should:.1e}: {IGNORES}"),
    )
    allowed = f"{tolerance:.0e} allowed" if quantised is None else "8-bit integers, so the best classes decide"
    shapes = f", shapes {got.shape[1:]} and {want.shape[1:]}" if got.shape != want.shape else ""
    return (
        Check(
            "outputs finite",
            bool(np.isfinite(got).all()),
            "all finite" if np.isfinite(got).all() else "the file gives infinite or undefined outputs",
        ),
        Check(
            "outputs",
            agrees(replace(best, top1=1.0), tolerance, quantised),
            "; ".join(
                [
                    f"{best.runtime} is off by {best.error:.1e} of the largest output, {allowed}{shapes}",
                    *others,
                ]
            ),
        ),
        _top1(best.top1, len(choices(want, task)), task, agreement_asked(quantised)),
        depends,
    )


def agrees(entry: Agreement, tolerance: float, quantised: Mapping[str, Any] | None) -> bool:
    """Whether a runtime may run the file."""
    if quantised is None:
        return entry.error <= tolerance
    return bool(np.isfinite(entry.error)) and entry.top1 >= agreement_asked(quantised)


def _top1(share: float, count: int, task: str, asked: float) -> Check:
    what, unit = _CHOSEN[task]
    detail = f"the best {what} agrees on {round(share * count)} of {count} {unit}"
    return Check("top-1", share >= asked, detail + (f", {asked:.1%} asked" if asked < 1 else ""))


def record_checks(
    carried: Manifest | None, wanted: Manifest | None, file_size: tuple[int, int, int], outputs: tuple[int, int]
) -> tuple[Check, ...]:
    """Of the manifests: preprocessing field by field, classes and their order, task and how outputs are read.

    Args:
        carried: the file's.
        wanted: the reference's.
        file_size: (C, H, W) that the file reads.
        outputs: classes that the file and the reference give.
    """
    counts = Check("number of classes", outputs[0] == outputs[1], _both(*outputs))
    if wanted is None:
        return (counts, Check("manifest", True, "not compared: the reference says nothing of its preprocessing"))
    if carried is None:
        return (counts, Check("manifest", False, "the file carries none, so it does not say how to feed it"))
    checks = [counts]
    if carried.input_size != file_size:
        detail = f"the file reads {file_size}, its manifest says {carried.input_size}"
        checks.append(Check("input size", False, detail))
    for field in fields(Preprocess):
        if field.name == "baked":
            continue  # where the same is done; the outputs tell whether it is
        have, want = getattr(carried.preprocess, field.name), getattr(wanted.preprocess, field.name)
        checks.append(Check(WORDS.get(field.name, field.name), have == want, _both(have, want)))
    checks.append(_classes(carried.classes, wanted.classes, outputs[0]))
    if "classify" not in (carried.task, wanted.task) or carried.task != wanted.task:
        checks.append(Check("task", carried.task == wanted.task, _both(carried.task, wanted.task)))
        same = json.dumps(carried.decode, sort_keys=True) == json.dumps(wanted.decode, sort_keys=True)
        said = "as the reference says" if same else "the file says another way than the reference"
        checks.append(Check("reading of the outputs", same, said))
    return tuple(checks)


def _both(have: object, want: object) -> str:
    return f"{have}" if have == want else f"the file has {have}, the reference {want}"


def _classes(have: tuple[str, ...], want: tuple[str, ...], outputs: int) -> Check:
    if have == want:
        # An empty list is honest: nobody named the classes.
        ok = not have or len(have) == outputs
        return Check("class names", ok, f"{len(have)} names" + ("" if ok else f" for {outputs} outputs"))
    if sorted(have) == sorted(want):
        first = next(i for i, (a, b) in enumerate(zip(have, want, strict=True)) if a != b)
        return Check("class names", False, f"another order: class {first} is {have[first]!r}, not {want[first]!r}")
    missing = [name for name in want if name not in have] or [name for name in have if name not in want]
    detail = f"{len(have)} names, the reference has {len(want)}"
    return Check("class names", False, f"{detail}; {missing[0]!r} is in one only" if missing else detail)
