"""`quantize`: a network as a file of 8-bit integers, where that pays."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from pumice.cost.machine import check_threads
from pumice.deploy.carried import model_file
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS
from pumice.deploy.schemes.scheme import SCHEMES, Scheme, scheme_named
from pumice.deploy.session import installed, require
from pumice.errors import BadInput
from pumice.files import write_json
from pumice.loop.quantising.attempt import Attempt
from pumice.loop.quantising.auto import choose
from pumice.loop.quantising.drop import ENOUGH
from pumice.loop.quantising.floats import Floats, meant_for, write_floats
from pumice.loop.quantising.minimum import require_recent
from pumice.loop.quantising.place import check_out, fitting, put
from pumice.loop.quantising.qat import EPOCHS
from pumice.loop.quantising.source import Source, holds_weights, open_source
from pumice.loop.quantising.speed import time_fresh
from pumice.loop.quantising.tries import Tries
from pumice.models.manifest import Manifest

RECORD = "quantise.json"
RULE = (
    "faster than the best float32 file: the upper 95 % bound of its time below the lower bound of that one's; loses at "
    f"most max_drop points of top-1: by the estimate, with fewer than {ENOUGH:,} images by the upper end of the paired "
    "95 % interval"
)


@dataclass(frozen=True)
class QuantizeResult:
    """What `quantize` came to.

    out: what was written: the int8 file or folder, the float file that was kept, or None.
    chosen: the int8 file; None where float32 stays.  tried: every file that was made, or could not be.
    floats: the float32 files beside it.  refused: schemes that did not take part, and why.
    warnings: what speaks against a file that was asked for.
    """

    out: Path | None
    chosen: Attempt | None
    tried: tuple[Attempt, ...]
    floats: Floats
    refused: dict[str, str]
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "out": self.out and str(self.out),
            "chosen": self.chosen and {**self.chosen.to_json(), "file": str(self.out)},
            "tried": [attempt.to_json() for attempt in self.tried],
            "baseline": self.floats.to_json(),
            "refused": self.refused,
            "warnings": list(self.warnings),
            "rule": RULE,
            **self.settings,
        }


def quantize(
    source: str | Path | nn.Module,
    data: str | Path,
    out: str | Path,
    *,
    auto: bool = False,
    scheme: str | Sequence[str] | None = None,
    max_drop: float = 1.0,
    threads: int = 1,
    runtime: str = "auto",
    images: int = 300,
    val_images: int = 5000,
    seed: int = 0,
    keep_float: bool = False,
    qat: bool | None = None,
    epochs: int = EPOCHS,
    manifest: Manifest | None = None,
    say: Callable[[str], None] | None = None,
) -> QuantizeResult:
    """Quantise a trained classifier to 8-bit integers.

    With `auto` every scheme at hand is tried, refined while accuracy is lost, and the fastest file is written that is

    * faster than the best float32 file of the network in any runtime here: the upper 95 % bound of its time lies below
      the lower 95 % bound of that one's, when both are measured side by side in a fresh process, and
    * loses at most `max_drop` points of top-1 on the validation images: by the estimate; with fewer than 2,000 images
      by the upper end of the paired 95 % interval (`pumice.loop.quantising.drop`).

    Where there is none, float32 stays: nothing is written, and the result has chosen None.  Without `auto` one scheme
    is applied and its file written in any case, with warnings where it is slower or loses more.

    Args:
        source: a run folder, a checkpoint, the float file in a run folder, or a network.
        data: images: those to learn from calibrate, those to validate by judge.
        out: file to write, whose suffix says the format, so that only schemes of that format take part; a path
            without suffix becomes a folder with a file of any format.
        auto: choose; else apply one scheme.
        scheme: of `pumice.deploy.schemes.SCHEMES`: that to apply, or those to choose from.  By default all; without
            `auto` the first that suits `out` and `runtime`.
        max_drop: points of top-1, of 100, that may be lost.
        threads: of each pass.
        runtime: the only one that may run the file, in float as well; "auto" is any.
        images: to calibrate with, at most, evenly over the classes.
        val_images: to judge by, at most.
        seed: of the draw of images.
        keep_float: with `auto`, write the best float32 file where none of int8 is chosen.
        qat: tune the network for 8 bits before (`pumice.loop.quantising.qat`); by default with `auto`, which does it
            only where all files that are faster lose too much.
        epochs: of tuning, each of at most 10,000 images.
        manifest: of a network that says nothing of itself.
        say: told of every step in a sentence.

    Raises:
        BadInput: source, data or settings that cannot work, or a scheme that cannot quantise this network.
        CheckFailed: files could not be measured.
    """
    out, data, tell = Path(out), str(data), say or (lambda sentence: None)
    if not 0 <= max_drop <= 100:
        raise BadInput(f"a drop of {max_drop:g} points is impossible; give 0 to 100")
    check_threads(threads)
    if epochs < 1:
        raise BadInput(f"tuning for {epochs} epochs changes nothing; give at least 1")
    path = None if isinstance(source, nn.Module) else Path(source)
    if qat and path is not None and not holds_weights(path) and model_file(path) is not None:
        raise BadInput(f"{source} is a model file, and tuning starts from weights; give the run folder that it is from")
    schemes, refused = schemes_for(scheme, runtime, out, auto)
    check_out(out)
    opened = open_source(source, data, manifest=manifest, images=images, val_images=val_images, seed=seed)
    runtimes = (runtime,) if runtime != "auto" else tuple(name for name in _runtimes() if installed(name))
    tell(f"{len(opened.calibration)} images to calibrate with, {len(opened.judged)} to judge by")
    settings = {"source": opened.name, "data": data, "auto": auto, "max_drop": max_drop, "threads": threads}
    settings |= {"calibration_images": len(opened.calibration), "val_images": len(opened.judged), "seed": seed}
    settings["model"] = opened.manifest.model.name
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:
        floats = write_floats(
            opened.model, opened.manifest, Path(folder), runtimes, [one.format for one in schemes], threads
        )
        tries = Tries(
            opened,
            floats,
            Path(folder),
            threads=threads,
            max_drop=max_drop,
            say=tell,
            epochs=epochs,
            seed=seed,
        )
        warnings: tuple[str, ...] = ()
        if auto:
            chosen = choose(tries, schemes, time_fresh, qat=qat is not False)
        else:
            chosen, warnings = _one(tries, schemes[0], bool(qat))
        written = None
        if chosen is not None and chosen.file is not None:
            written = put(chosen.file, out)
        elif keep_float:
            best = floats.items[floats.best]
            carried = meant_for(opened.manifest, best.runtime, threads)
            written = export(opened.model, out, manifest=carried).path if out.suffix else put(Path(best.file), out)
    if any(attempt.tuned for attempt in tries.tried):
        settings["qat_epochs"] = epochs
    result = QuantizeResult(written, chosen, tuple(tries.tried), floats, refused, warnings, settings)
    _record(result, opened, out)
    return result


def schemes_for(
    names: str | Sequence[str] | None, runtime: str, out: Path, auto: bool
) -> tuple[list[Scheme], dict[str, str]]:
    """The schemes that take part, and those that do not, with the reason.

    Raises:
        BadInput: a scheme that was asked for cannot be used, or there is none.
    """
    if runtime != "auto":
        require(runtime)
    if names:
        given = [scheme_named(name) for name in ([names] if isinstance(names, str) else names)]
        if not auto and len(given) > 1:
            raise BadInput("several schemes need --auto, which chooses between them; name one")
        for one in given:
            require_recent(one)
            if runtime not in ("auto", one.runtime):
                raise BadInput(f"{one.name} is for {one.runtime}, not for {runtime}; leave one of the two away")
        return fitting(given, out), {}
    usable, refused = [], {}
    for one in SCHEMES.values():
        if runtime not in ("auto", one.runtime):
            continue
        try:
            require_recent(scheme_named(one.name))
            usable.append(one)
        except BadInput as error:
            refused[one.name] = str(error)
    if not usable:
        why = next(iter(refused.values()), f"no scheme writes for {runtime}; choose {' or '.join(_runtimes())}")
        raise BadInput(f"nothing here quantises: {why}")
    return fitting(usable, out), refused


def _one(tries: Tries, scheme: Scheme, qat: bool) -> tuple[Attempt, tuple[str, ...]]:
    """The file of one scheme, with what speaks against it."""
    attempt = Attempt(scheme, "tuned", tuned=True) if qat else Attempt(scheme)
    if not tries.make(attempt):
        raise BadInput(attempt.reason)
    tries.time([attempt])
    warnings = [attempt.reason] if attempt.status == "slower" else []
    attempt.status, attempt.reason = "made", ""
    tries.judge(attempt)
    if attempt.status in ("worse", "unsure") and attempt.drop is not None:
        warnings.append(f"{attempt.reason}: {attempt.drop.sentence()}")
    attempt.status, attempt.reason = "made", "; ".join(warnings)
    return attempt, tuple(warnings)


def _runtimes() -> list[str]:
    return list(
        dict.fromkeys(
            [name for form in ("onnx", "openvino") for name in FORMATS[form].runtimes]
            + [scheme.runtime for scheme in SCHEMES.values()]
        )
    )


def _record(result: QuantizeResult, source: Source, out: Path) -> None:
    """Write down what was tried: into the run folder, else beside what was written."""
    if source.run is not None and os.access(source.run, os.W_OK):
        write_json(source.run / RECORD, result.to_json())
    elif result.out is not None:
        write_json((out.parent if out.suffix else out) / RECORD, result.to_json())
