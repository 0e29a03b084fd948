"""The winner's file: exported, verified, measured again in a fresh process, scored, and written down.

A lookup table of another device stands for the measurement, where one is given; what this machine says of the file's
outputs then comes from the runtimes that are here.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from pumice.cost.count import profile
from pumice.cost.predicted import predict_timing
from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.data.images import Splits
from pumice.deploy.export import Exported, export
from pumice.deploy.session import installed, open_session
from pumice.deploy.verify import Verification, verify
from pumice.errors import CheckFailed
from pumice.files import write_json
from pumice.loop.candidates import Candidate
from pumice.loop.config import FitConfig
from pumice.loop.halving import evenly
from pumice.loop.where import table, there
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.manifest import Manifest
from pumice.tasks.classify import Scores, logits_of, score
from pumice.tasks.predictions import answers, sheet, write_answers

MODEL = "model.onnx"
MOST_SCORED = 5000  # validation images that the file itself is scored on


def manifest_for(net: nn.Module, candidate: Candidate, config: FitConfig, classes: tuple[str, ...]) -> Manifest:
    """What the file says of itself; its budget names runtime and threads, since a latency means nothing without."""
    budget = {**config.budget.to_json(), "runtime": candidate.runtime, "threads": config.threads}
    if lut := table(config):
        budget["predicted_for"] = lut.machine
    return manifest_of(net, classes=classes, budget=budget)


def measure_file(file: Path, candidate: Candidate, config: FitConfig) -> Timing:
    """Measure a file in a process of its own, as a user would, where the budget is for.

    Raises:
        CheckFailed: that process failed.
    """
    runtime, threads = candidate.runtime, config.threads
    if device := there(config):
        return device.time([Item(str(file), file.name, runtime, threads)], single_stream=True)[0]
    command = [sys.executable, "-m", "pumice.cli.main", "benchmark", str(file), "--runtime", runtime]
    done = subprocess.run([*command, "--threads", str(threads), "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"{file} could not be measured: {done.stderr.strip() or done.returncode}")
    return Timing.from_json(json.loads(done.stdout)[0])


def latency_of(net: nn.Module, manifest: Manifest, file: Path, candidate: Candidate, config: FitConfig) -> Timing:
    """Of a file where the budget is for: measured, or what the table says of the network in it.

    Raises:
        CheckFailed: it could not be measured.
    """
    if lut := table(config):
        return predict_timing(lut, net, manifest.input_size, file.name)
    return measure_file(file, candidate, config)


def runtime_here(candidate: Candidate) -> str:
    """What runs the file on this machine: its runtime, or any that reads it where a table stands for another device."""
    return candidate.runtime if installed(candidate.runtime) else "auto"


def keeps(timing: Timing, made: Exported, candidate: Candidate, config: FitConfig) -> bool:
    """Whether a file keeps every limit: measured or predicted latency, measured size, counted the rest."""
    return not config.budget.misses(
        latency_ms=timing.bound_ms[0],
        madds=candidate.madds,
        params=candidate.params,
        size_bytes=made.bytes,
        memory_bytes=candidate.peak_activation_bytes,
    )


def try_out(net: nn.Module, candidate: Candidate, config: FitConfig, classes: tuple[str, ...], folder: Path) -> bool:
    """Whether a candidate, exported as it is now, keeps the budget in its runtime; before it is trained at length."""
    file = folder / "trial.onnx"
    manifest = manifest_for(net, candidate, config, classes)
    made = export(net, file, manifest=manifest)
    try:
        if installed(candidate.runtime) and candidate.runtime not in made.right:
            candidate.reason = f"{candidate.runtime} computes another result than torch"
            return False
        timing = latency_of(net, manifest, file, candidate, config)
        candidate.timings.append(timing)
        if not keeps(timing, made, candidate, config):
            candidate.status = "over budget"
            candidate.reason = f"exported as it would ship, its bound is {timing.bound_words} and {made.bytes:,} bytes"
            return False
        return True
    finally:
        file.unlink(missing_ok=True)


def ship(
    net: nn.Module, candidate: Candidate, config: FitConfig, splits: Splits, out: Path
) -> tuple[Manifest, Exported, Verification, Timing, Scores]:
    """Write best.safetensors, the model file and what is known of it into a run folder.

    Raises:
        CheckFailed: the file does not verify; nothing of it is left.
    """
    manifest = manifest_for(net, candidate, config, splits.classes)
    save_checkpoint(out / "best.safetensors", net, manifest)
    file = out / MODEL
    made = export(net, file, manifest=manifest)
    checked = verify(file, out, data=config.data, runtime=runtime_here(candidate))
    if not checked.ok:
        file.unlink()
        wrong = "; ".join(f"{c.name}: {c.detail}" for c in checked.checks if not c.ok)
        raise CheckFailed(f"{candidate.label} does not verify as a file, which was removed: {wrong}")
    timing = latency_of(net, manifest, file, candidate, config)
    candidate.timings.append(timing)
    with open_session(file, runtime=runtime_here(candidate), threads=config.threads) as session:
        judged = evenly(splits.val, MOST_SCORED)
        logits = logits_of(session, manifest.preprocess, judged)
    write_json(out / "verify.json", checked.to_json())
    write_json(out / "benchmark.json", timing.to_json())
    write_json(out / "profile.json", profile(net, manifest.input_size).to_json())
    rows = answers(judged, logits)
    write_answers(out / "predictions.csv", rows)
    write_json(out / "predictions.json", sheet(judged, rows))
    return manifest, made, checked, timing, score(logits, np.asarray(judged.labels), judged.classes)


def withdraw(out: Path) -> None:
    """Remove the files of a candidate that does not ship after all."""
    records = ("verify.json", "benchmark.json", "profile.json", "predictions.csv", "predictions.json")
    for name in (MODEL, "best.safetensors", *records):
        (out / name).unlink(missing_ok=True)


def at_size(net: nn.Module, size: int) -> None:
    """Let a network's preprocessing be of this input size."""
    from pumice.models.described import describe, preprocess_of

    describe(net, preprocess=replace(preprocess_of(net), size=(size, size)))
