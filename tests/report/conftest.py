"""A generator of run folders as `fit` writes them, with plausible figures and no network behind them."""

import base64
import csv
import io
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NAMES = (
    *("micronet_m0", "micronet_m1", "micronet_m2", "micronet_m3", "mobilenetv3_small_050", "mobilenetv3_small_075"),
    *("mobilenetv3_small_100", "mobilenetv3_large_075", "mobilenetv3_large_100", "shufflenetv2_050"),
    *(
        "shufflenetv2_100",
        "shufflenetv2_150",
        "shufflenetv2_200",
        "squeezenet1_0",
        "squeezenet1_1",
        "efficientnet_lite0",
    ),
)
ANIMALS = ("ant", "barn owl", "crab", "dolphin", "emu", "flamingo", "gerenuk", "hedgehog", "ibis", "joshua tree")

Factory = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> Factory:
    """make_run(name, classes=..., candidates=20, rungs=3, seed=0, busy=False) -> the folder of a finished fit."""

    def make(name: str = "caltech", **options: Any) -> Path:
        return write_run(tmp_path / name, **options)

    return make


def write_run(
    folder: Path,
    *,
    classes: Sequence[str] = ANIMALS,
    candidates: int = 20,
    rungs: int = 3,
    seed: int = 0,
    busy: bool = False,
    limit_ms: float = 3.0,
) -> Path:
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    pool = _candidates(rng, candidates, limit_ms)
    halving = _rungs(rng, [c for c in pool if c["status"] == "measured"], rungs)
    ships = max((c for c in pool if "val_top1" in c), key=lambda c: c["val_top1"])
    ships |= {"status": "shipped", "reason": "best top-1 within the budget"}
    p50 = ships["p50_ms"] * 1.004
    budget = {"max_latency_ms": limit_ms, "max_size_bytes": 20_000_000}
    timing = {
        **{"name": ships["model"], "runtime": ships["runtime"], "device": "cpu", "threads": 1, "batch": 1},
        **{"dtype": "float32", "input_size": ships["input_size"], "repeats": 400, "p50_ms": p50, "p90_ms": p50 * 1.06},
        **{"cpu_p50_ms": p50 * 0.99, "ci95": [p50 * 0.995, p50 * 1.008], "cpu_ci95": [p50 * 0.985, p50 * 0.998]},
        **{"busy": busy, "machine": "Example CPU, 2 cores, Linux (0a1b2c3d)"},
        **{"bound_ms": p50 * (0.998 if busy else 1.008), "bound_clock": "cpu" if busy else "wall"},
    }
    confusion = _confusion(rng, len(classes))
    hits, count = sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion))
    answers = _answers(random.Random(seed + 1), confusion, classes)
    records: dict[str, Any] = {
        "config": {
            "data": "photos/caltech",
            "budget": budget,
            "runtime": "auto",
            "threads": 1,
            "time_s": 600,
            "seed": seed,
        },
        "environment": {
            **{"cpu": "Example CPU", "usable_cores": 2, "os": "Linux 6.1", "python": "3.11.9"},
            "versions": {"pumice": "0.1.0", "torch": "2.14.1", "onnxruntime": "1.32.0", "openvino": "2026.4.0"},
        },
        "metrics": {
            "finished": True,
            **{"model": ships["model"], "input_size": ships["input_size"], "runtime": ships["runtime"]},
            **{
                "file": "model.onnx",
                "file_bytes": ships["params"] * 4 + 81_000,
                "within_budget": True,
                "budget": budget,
            },
            **{"seconds": 571.4, "images": {"train": 4 * count, "val": count, "skipped": 2}},
            "scores": {
                **{"top1": hits / count, "top5": 0.99, "balanced_accuracy": hits / count - 0.004, "loss": 0.4123},
                **{"confusion": confusion, "count": count},
                "per_class": [
                    {"name": n, "recall": row[i] / sum(row), "precision": 0.9, "support": sum(row)}
                    for i, (n, row) in enumerate(zip(classes, confusion, strict=True))
                ],
            },
            "manifest": {
                **{"format": 1, "task": "classify", "classes": list(classes), "budget": budget},
                "model": {"name": ships["model"], "num_classes": len(classes), "in_chans": 3, "options": {}},
                "preprocess": {
                    **{
                        "size": ships["input_size"][1:],
                        "crop_pct": 0.875,
                        "interpolation": "bicubic",
                        "channels": "RGB",
                    },
                    **{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
                },
            },
            "catalogue": {
                **{"name": ships["model"], "family": ships["model"].split("_")[0], "status": "exact"},
                **{"paper": "A. Author et al., An efficient network, Conf 2021", "note": "a note on naming"},
                "published": {"variant": "X 1.0", "top1": 67.5, "params_m": 2.5, "madds_m": 56, "source": "table 3"},
            },
        },
        "candidates": pool,
        "rungs": halving,
        "profile": _profile(rng, ships),
        "predictions": _predictions(answers),
        "data": {
            **{"source": "photos/caltech", "classes": list(classes), "skipped": 2, "names_sha256": "ab" * 32},
            "images": {"train": dict.fromkeys(classes, 240), "val": dict.fromkeys(classes, 60)},
        },
        "verify": {
            **{
                "ok": True,
                "max_relative_error": 2.1e-6,
                "top1_agreement": 1.0,
                "images": 64,
                "runtime": ships["runtime"],
            },
            "warnings": ["openvino does not agree on model.onnx; do not run it there"],
            "checks": [
                {"name": "outputs", "ok": True, "detail": "largest relative error 2.1e-06 on 64 images"},
                {"name": "classes", "ok": True, "detail": f"{len(classes)} names in the checkpoint's order"},
                {"name": "preprocessing", "ok": True, "detail": "as in the checkpoint"},
            ],
        },
        "benchmark": timing,
    }
    for name, value in records.items():
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    _epochs(rng, folder / "metrics.csv", hits / count)
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ("name", "truth", "prediction", "p_truth", "p_pred"))
        rows.writeheader()
        rows.writerows(answers)
    return folder


def _candidates(rng: random.Random, number: int, limit: float) -> list[dict[str, Any]]:
    grid = [(n, s, r) for n in NAMES for s in (96, 128, 160, 192, 224) for r in ("onnxruntime", "openvino")]
    pool = []
    for name, side, runtime in sorted(rng.sample(grid, number)):
        madds = round(6e6 * 1.32 ** NAMES.index(name) * (side / 224) ** 2)
        p50 = 0.25 + madds / 1.1e7 * rng.uniform(0.5, 1.3)
        over = p50 * 1.01 > limit
        pool.append(
            {
                **{"model": name, "input_size": [3, side, side], "runtime": runtime, "params": madds // 9 + 400_000},
                **{"madds": madds, "p50_ms": p50, "bound_ms": p50 * 1.01, "busy": rng.random() < 0.05},
                "status": "over budget" if over else "measured",
                "reason": f"{p50 / limit:.2f}x the latency budget" if over else "lower rank than those trained",
            }
        )
    for one in rng.sample(pool, max(1, number // 12)):
        if one["status"] == "over budget":
            one |= {
                "status": "not measured",
                "p50_ms": None,
                "bound_ms": None,
                "reason": "far over budget by its MAdds",
            }
    return pool


def _rungs(rng: random.Random, pool: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    alive = sorted(pool, key=lambda c: -c["madds"])[: 2 ** (number + 1)]
    halving = []
    for rung in range(number):
        members = []
        for one in alive:
            final = 0.93 - 0.5 / math.log(one["madds"] / 3e5) + rng.gauss(0, 0.015)
            epochs, speed = 3 * 2**rung, one["madds"] / 9e6 + 1
            curve = [
                {
                    "epoch": e + 1,
                    "seconds": speed * (e + 1),
                    "val_top1": final * (1 - 0.75 * math.exp(-(e + 1) / 4)),
                    "train_loss": 2 / (e + 1),
                }
                for e in range(epochs)
            ]
            one |= {"val_top1": curve[-1]["val_top1"], "status": "trained", "reason": f"rung {rung + 1}"}
            members.append({**{k: one[k] for k in ("model", "input_size", "runtime")}, "curve": curve})
        halving.append({"rung": rung, "candidates": members})
        alive = sorted(alive, key=lambda c: -c["val_top1"])[: max(1, len(alive) // 2)]
    return halving


def _confusion(rng: random.Random, classes: int) -> list[list[int]]:
    matrix = []
    for truth in range(classes):
        row = [0] * classes
        for _ in range(60):
            right = rng.random() < 0.88 or classes == 1
            row[truth if right else min(classes - 1, max(0, truth + rng.choice((-2, -1, 1, 1, 3))))] += 1
        matrix.append(row)
    return matrix


def _profile(rng: random.Random, ships: dict[str, Any]) -> dict[str, Any]:
    layers, side, channels = [], ships["input_size"][1] // 2, 16

    def layer(name: str, kernel: int, groups: int, c_in: int, c_out: int) -> dict[str, Any]:
        weights = kernel * kernel * c_in // groups * c_out
        return {
            **{"name": name, "op": "conv", "function": "convolution", "kernel": [kernel, kernel], "groups": groups},
            **{"input_shapes": [[1, c_in, side, side]], "output_shape": [1, c_out, side, side], "params": weights},
            **{
                "madds": weights * side * side,
                "extra_madds": 0,
                "memory_access": weights + (c_in + c_out) * side * side,
            },
        }

    layers.append(layer("blocks.0.conv", 3, 1, 3, channels))
    for block in range(1, 12):
        hidden, out = 4 * channels, channels + 8 * (block % 3)
        layers.append(layer(f"blocks.{block}.expand.conv", 1, 1, channels, hidden))
        layers.append(layer(f"blocks.{block}.depthwise.conv", 5 if block > 4 else 3, hidden, hidden, hidden))
        layers.append({**layers[-1], "name": f"blocks.{block}.depthwise.norm", "op": "norm", "madds": 0})
        layers.append(layer(f"blocks.{block}.project.conv", 1, 1, hidden, out))
        channels, side = out, max(4, side // 2) if block % 4 == 1 else side
    layers.append(
        {
            **{
                "name": "head.classifier",
                "op": "linear",
                "input_shapes": [[1, channels]],
                "output_shape": [1, 10],
                "groups": 1,
            },
            **{
                "params": channels * 10,
                "madds": channels * 10,
                "extra_madds": 0,
                "memory_access": channels * 11,
                "kernel": [],
            },
        }
    )
    return {
        **{
            "name": ships["model"],
            "input_size": ships["input_size"],
            "params": ships["params"],
            "madds": ships["madds"],
        },
        **{
            "extra_madds": rng.randrange(10_000, 90_000),
            "memory_access": 5_400_000,
            "peak_activation_bytes": 1_204_224,
        },
        "layers": layers,
    }


def _answers(rng: random.Random, confusion: list[list[int]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """An answer per image of the matrix, as predictions.csv has them."""
    rows = []
    for truth, row in enumerate(confusion):
        for guess, count in enumerate(row):
            for _ in range(count):
                sure = rng.uniform(0.4, 1)
                names = {"truth": classes[truth], "prediction": classes[guess]}
                p_truth = sure if truth == guess else rng.uniform(0, 1 - sure)
                rows.append({"name": f"{len(rows):04d}.jpg", **names, "p_truth": p_truth, "p_pred": sure})
    return rows


def _predictions(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst mistakes and eight right answers, with pictures."""
    wrong = sorted((a for a in answers if a["truth"] != a["prediction"]), key=lambda a: -a["p_pred"])[:16]
    right = [a for a in answers if a["truth"] == a["prediction"]]
    some = [right[i * len(right) // 8] for i in range(8)]
    return [{**one, "image": picture(i)} for i, one in enumerate((*wrong, *some))]


def picture(seed: int) -> str:
    """A small PNG as a data URI."""
    y, x = np.mgrid[0:64, 0:64] / 64
    waves = [np.sin(6 * (x * math.cos(seed + c) + y * math.sin(seed + c)) + c) for c in range(3)]
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(127 + 120 * np.stack(waves, -1)) // 16 * 16).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _epochs(rng: random.Random, path: Path, final: float) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", "step", "lr", "train_loss", "val_loss", "val_top1", "seconds", "data_wait"])
        for e in range(1, 31):
            fall = math.exp(-e / 7)
            lr = 0.002 * (0.5 + 0.5 * math.cos(math.pi * e / 30))
            losses = [0.5 + 1.8 * fall + rng.gauss(0, 0.02), 0.62 + 1.7 * fall + rng.gauss(0, 0.03)]
            rows.writerow([e, e * 40, lr, *losses, final * (1 - 0.8 * fall), 4.2 * e, 0.1])
