"""The winner's file: exported, verified, measured again in a fresh process, scored, and written down.

A lookup table of another device stands for the measurement, where one is given; what this machine says of the file's
outputs then comes from the runtimes that are here.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pumice.cost.count import profile
from pumice.cost.predicted import predict_timing
from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.data.images import ImageSet, Splits
from pumice.deploy.export import Exported, export
from pumice.deploy.session import Session, installed, open_session
from pumice.deploy.verify import Verification, verify
from pumice.errors import CheckFailed
from pumice.files import write_json
from pumice.loop.candidates import NATIVE, Candidate
from pumice.loop.config import FitConfig
from pumice.loop.dense import adapted_manifest
from pumice.loop.halving import evenly
from pumice.loop.where import table, there
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.manifest import Manifest
from pumice.tasks.classify import logits_of, score
from pumice.tasks.evaluate import evaluate
from pumice.tasks.names import CLASSIFY, task_of
from pumice.tasks.pictures import pictured
from pumice.tasks.predictions import answers, sheet, write_answers
from pumice.tasks.task import TaskScores

MOST_SCORED = 5000  # validation images that the file itself is scored on


def suffix_of(candidate: Candidate) -> str:
    """Of the file that it ships as."""
    return ".so" if candidate.runtime == NATIVE else ".onnx"


def manifest_for(net: nn.Module, candidate: Candidate, config: FitConfig, splits: Splits[Any]) -> Manifest:
    """What the file says of itself; its budget names runtime and threads, since a latency means nothing without."""
    budget = {**config.budget.to_json(), "runtime": candidate.runtime, "threads": config.threads}
    if lut := table(config):
        budget["predicted_for"] = lut.machine
    manifest = manifest_of(net, classes=splits.classes, budget=budget)
    return manifest if config.task == CLASSIFY else adapted_manifest(manifest, config, splits)


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


def try_out(net: nn.Module, candidate: Candidate, config: FitConfig, splits: Splits[Any], folder: Path) -> bool:
    """Whether a candidate, exported as it is now, keeps the budget in its runtime; before it is trained at length."""
    file = folder / f"trial{suffix_of(candidate)}"
    manifest = manifest_for(net, candidate, config, splits)
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
    net: nn.Module, candidate: Candidate, config: FitConfig, splits: Splits[Any], out: Path
) -> tuple[Manifest, Exported, Verification, Timing, TaskScores]:
    """Write best.safetensors, the model file (`Exported.path`) and what is known of it into a run folder.

    Raises:
        CheckFailed: the file does not verify; nothing of it is left.
    """
    manifest = manifest_for(net, candidate, config, splits)
    save_checkpoint(out / "best.safetensors", net, manifest)
    file = out / f"model{suffix_of(candidate)}"
    made = export(net, file, manifest=manifest)
    checked = verify(file, out, data=config.data, runtime=runtime_here(candidate))
    if not checked.ok:
        file.unlink()
        wrong = "; ".join(f"{c.name}: {c.detail}" for c in checked.checks if not c.ok)
        raise CheckFailed(f"{candidate.label} does not verify as a file, which was removed: {wrong}")
    timing = latency_of(net, manifest, file, candidate, config)
    candidate.timings.append(timing)
    write_json(out / "verify.json", checked.to_json())
    write_json(out / "benchmark.json", timing.to_json())
    write_json(out / "profile.json", profile(net, manifest.input_size).to_json())
    with open_session(file, runtime=runtime_here(candidate), threads=config.threads) as session:
        judge = judge_classes if config.task == CLASSIFY else judge_dense
        return manifest, made, checked, timing, judge(session, manifest, evenly(splits.val, MOST_SCORED), out)


def judge_classes(session: Session, manifest: Manifest, judged: ImageSet, out: Path) -> TaskScores:
    """Scores of a classifier's file; writes what it says of each image."""
    logits = logits_of(session, manifest.preprocess, judged)
    rows = answers(judged, logits)
    write_answers(out / "predictions.csv", rows)
    write_json(out / "predictions.json", sheet(judged, rows))
    return score(logits, np.asarray(judged.labels), judged.classes)


def judge_dense(session: Session, manifest: Manifest, judged: Any, out: Path) -> TaskScores:
    """Scores of a dense network's file; writes pictures."""
    write_json(out / "predictions.json", pictured(session, manifest, judged))
    return evaluate(session, task_of(manifest), judged, manifest.preprocess, manifest.decode)


def withdraw(out: Path) -> None:
    """Remove the files of a candidate that does not ship after all."""
    records = ("verify.json", "benchmark.json", "profile.json", "predictions.csv", "predictions.json")
    for name in ("model.onnx", "model.so", "best.safetensors", *records):
        (out / name).unlink(missing_ok=True)


def at_size(net: nn.Module, height: int, width: int | None = None) -> None:
    """Let a network's preprocessing be of this input size, pixels; square without a width."""
    from pumice.models.described import describe, preprocess_of

    describe(net, preprocess=replace(preprocess_of(net), size=(height, width or height)))
