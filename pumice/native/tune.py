"""Which choice is fastest for each convolution, measured on this machine.

Every candidate is tried in a whole program in which all convolutions take their candidate of that number, so that each
is timed with the caches as the others leave them.  The programs run interleaved, with a clock around each operation.
What is fastest by the medians goes into one program, which then runs against the usual one; a choice that wins there
too stays.  The outcome is kept in the cache folder, for this processor, compiler and program.
"""

import contextlib
import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput
from pumice.files import cache_folder, write_json
from pumice.native.build import FLAGS, compiler
from pumice.native.candidates import convolutions
from pumice.native.emit.choice import Choice
from pumice.native.emit.source import source
from pumice.native.ir import Program
from pumice.native.profiled import Profiled
from pumice.progress import pulse, track

GAIN = 0.03
"""A choice that wins less than this share is not worth being another one."""
FEWEST, MOST = 5, 200
"""Rounds of a series."""
PASSES = 3
"""Timed in each turn, after one that brings the program's weights back into the caches."""
NATIVE = ("-march=native",)

Times = list[NDArray[np.float64]]


def tuned(program: Program, seconds: float, *, flags: tuple[str, ...] = NATIVE) -> dict[int, Choice]:
    """What to give to `source` as choices: from the cache, else measured.

    Args:
        program: that has been through the passes.
        seconds: of compiling and measuring together.  What is in the cache is taken if it was given as many.
        flags: for the compiler.

    Raises:
        BadInput: there is no compiler, or it refuses the program.
    """
    file = _file(program, flags)
    kept = _kept(file, program, seconds)
    if kept is not None:
        return kept
    found = measured(program, seconds, flags=flags)
    with contextlib.suppress(OSError, BadInput):  # a cache that cannot be written costs time, no more
        choices = {str(i): asdict(choice) for i, choice in found.items()}
        write_json(file, {"seconds": seconds, "choices": choices})
    return found


def measured(program: Program, seconds: float, *, flags: tuple[str, ...] = NATIVE) -> dict[int, Choice]:
    """The choices that pay, by operation; arguments and errors as `tuned`.

    The time limit holds but for the first compilation.  Where it leaves no time to compile and compare something else,
    nothing is chosen.
    """
    deadline = time.monotonic() + seconds
    options = convolutions(program)
    image = np.random.default_rng(0).standard_normal((len(program.inputs), *program.sizes[int(program.inputs[0])]))
    image = image.astype(np.float32)
    longest = 0.0
    with TemporaryDirectory(prefix="pumice-", ignore_cleanup_errors=True) as folder:

        def built(choices: dict[int, Choice], name: str) -> Profiled:
            nonlocal longest
            before = time.monotonic()
            made = Profiled(program, source(program, choices), Path(folder), name, flags)
            longest = max(longest, time.monotonic() - before)
            return made

        tried: list[dict[int, Choice]] = [{}]
        contenders = [built({}, "usual")]
        rest = range(max(map(len, options.values()), default=0))
        for k in track(rest, "compiling variants to measure"):
            # After it come, at least, a tenth of the time to measure, and the program of the best.
            if time.monotonic() + 2 * longest + 0.1 * seconds > deadline:
                break
            tried.append({i: several[k] for i, several in options.items() if k < len(several)})
            contenders.append(built(tried[-1], f"variant{k}"))
        if len(tried) == 1:
            return {}
        left = deadline - time.monotonic() - longest
        times = _series(contenders, image, time.monotonic() + left / 2, lambda n: f"measuring variants, round {n}")
        best = _best(tried, times)
        if not best:
            return {}
        pair = [contenders[0], built(best, "best")]
        usual, other = _series(pair, image, deadline, lambda n: f"measuring the best again, round {n}")
    if np.median(other.sum(1)) >= np.median(usual.sum(1)):
        return {}
    return {i: choice for i, choice in best.items() if _wins(other[:, i], usual[:, i])}


def _series(
    contenders: Sequence[Profiled], image: Any, deadline: float, describe: Callable[[int], str]
) -> list[NDArray[np.float64]]:
    """For each program, ms by pass and operation; the order of turns changes from round to round."""
    found: list[Times] = [[] for _ in contenders]
    order = np.random.default_rng(0)
    for _ in pulse(lambda: describe(len(found[0]) // PASSES)):
        for k in order.permutation(len(contenders)):
            contenders[k].run(image)
            found[k] += [contenders[k].run(image)[1] for _ in range(PASSES)]
        rounds = len(found[0]) // PASSES
        if rounds >= MOST or (rounds >= FEWEST and time.monotonic() >= deadline):
            break
    return [np.stack(times) for times in found]


def _best(tried: Sequence[dict[int, Choice]], times: Sequence[NDArray[np.float64]]) -> dict[int, Choice]:
    """The choices whose median is below the usual one's by the gain, or more."""
    medians = [np.median(one, 0) for one in times]
    best: dict[int, Choice] = {}
    for i in sorted(set().union(*tried)):
        k = min((k for k, choices in enumerate(tried) if k == 0 or i in choices), key=lambda k: float(medians[k][i]))
        if k and _wins(times[k][:, i], times[0][:, i]):
            best[i] = tried[k][i]
    return best


def _wins(one: NDArray[np.float64], usual: NDArray[np.float64]) -> bool:
    return bool(np.median(one) < (1 - GAIN) * np.median(usual))


def _kept(file: Path, program: Program, seconds: float) -> dict[int, Choice] | None:
    """What the cache says, None where there is nothing, too little, or what cannot be meant for this program."""
    options = convolutions(program)
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        choices = {int(i): Choice(**fields) for i, fields in said["choices"].items()}
        enough = float(said["seconds"]) >= seconds
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    fitting = all(choice in options.get(i, ()) for i, choice in choices.items())
    return choices if enough and fitting else None


def _file(program: Program, flags: tuple[str, ...]) -> Path:
    """Of this processor, compiler, flags and program; weights do not matter."""
    command = compiler()
    ran = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    parts = (*_processor(), *command, ran.stdout, *FLAGS, *flags, source(program).text, repr(convolutions(program)))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return cache_folder() / "native" / f"tuned-{digest}.json"


def _processor() -> tuple[str, ...]:
    """Kind and model, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    kept = (line for line in lines if line.split("\t")[0].strip() in ("model name", "flags", "cache size", "CPU part"))
    return (platform.system(), platform.machine(), platform.processor(), *kept)
