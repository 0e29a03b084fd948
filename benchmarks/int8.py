"""Twelve nets trained here, each quantised with `--auto`: time, accuracy, and what was refused.

    .venv/bin/python benchmarks/int8.py --cifar10 DIR --caltech40 DIR --out DIR [--only train|quantise] [NAME ...]

Nets are trained on CIFAR-10 (its own test images judge, 5,000 of them), EfficientNet-Lite0 from its package's weights
on caltech40.  Everything is kept in OUT/NAME and OUT/int8.jsonl, a line a net, so that a stopped script goes on.
With LiteRT here, its own float32 and int8 files are compared too, beside what others published of 8 bits.
"""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pumice.data.images import Splits
from pumice.data.memory import keep_decoded
from pumice.data.open import open_data
from pumice.deploy.schemes.scheme import SCHEMES
from pumice.errors import BadInput
from pumice.loop.quantising.quantize import quantize
from pumice.recipes.small_data import classify
from pumice.search.netadapt.finish import trained

CIFAR10 = (
    *("mobilenetv3_small_100", "shufflenetv2_100", "micronet_m1", "ghostnet_100", "mobilenetv2_035"),
    *("squeezenet1_1", "mobilenetv2_100", "micronet_m3", "shufflenetv1_g3_100", "mnasnet_small"),
    "mobilenetv3_large_100",
)
CALTECH40 = ("efficientnet_lite0",)
# ImageNet top-1 that others published, float32 and 8 bits.
PUBLISHED = {
    "mobilenetv3_large_100": (75.2, 73.8),
    "mobilenetv3_small_100": (67.4, 64.9),
    "mobilenetv2_100": (None, 70.9),
    "mobilenetv2_035": (None, 57.2),
}


def main() -> None:
    """Train and quantise what is not there yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=(*CALTECH40, *CIFAR10))
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--caltech40", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", choices=("train", "quantise"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.only != "quantise":
        for name in given.names:
            print(name, train(name, given), flush=True)
    if given.only != "train":
        file = given.out / "int8.jsonl"
        rows = {row["net"]: row for row in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
        for name in given.names:
            if name not in rows and (given.out / name / "metrics.json").is_file():
                rows[name] = quantised(name, given)
                with file.open("a") as lines:
                    lines.write(json.dumps(rows[name]) + "\n")
        table([rows[name] for name in given.names if name in rows])


def quantised(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """What `--auto` chose and tried; where nothing was faster, the accuracy of the fastest file all the same."""
    run, data = given.out / name, given.caltech40 if name in CALTECH40 else given.cifar10
    found = quantize(run, data, given.out / f"{name}-int8", auto=True, say=print).to_json()
    best = found["chosen"]
    if best is None:
        timed = [one for one in found["tried"] if one["figure_ms"] is not None]
        fastest = min(timed, key=lambda one: one["figure_ms"])["scheme"]
        file = given.out / f"{name}-refused"
        best = quantize(run, data, file, scheme=fastest).to_json()["chosen"]
    row = {"net": name, "verdict": "int8" if found["chosen"] else "stay fp32", "best": best, "auto": found}
    if SCHEMES["litert-int8"].available():
        file = given.out / f"{name}-litert.tflite"
        try:
            row["litert"] = quantize(run, data, file, scheme="litert-int8", runtime="litert").to_json()
        except BadInput as error:
            row["without_litert"] = str(error)
    return row


def table(rows: list[dict[str, Any]]) -> None:
    """A line a net, and the geometric mean of how many times faster the shipped file is; staying counts 1."""
    print("net | fp32 | ms | int8 | ms | x faster (spread) | drop, points (95 %) | verdict")
    faster = [timed(row)["times_faster"] for row in rows]
    for row, (times, least, most) in zip(rows, faster, strict=True):
        base, best, drop = row["auto"]["baseline"], timed(row), row["best"]["drop"]
        print(
            f"{row['net']} | {base['runtime']} | {base['figure_ms']:.3g} | {best['scheme']}, {best['how']} | "
            f"{best['figure_ms']:.3g} | {times:.2f} ({least:.2f}-{most:.2f}) | {drop['points']:.2f} "
            f"({drop['low']:.2f} to {drop['high']:.2f}) of {drop['images']} | {row['verdict']}"
        )
    for words, chosen in (("shipped", True), ("best int8 file", False)):
        shown = [1.0 if chosen and row["verdict"] != "int8" else of[0] for row, of in zip(rows, faster, strict=True)]
        if shown:
            mean = math.exp(sum(map(math.log, shown)) / len(shown))
            print(f"geometric mean of {len(shown)} nets, {words}: {mean:.2f} times as fast as the best fp32")
    for row in rows:
        if "without_litert" in row:
            print(f"LiteRT {row['net']}: {row['without_litert']}")
        if "litert" in row:
            base, made = row["litert"]["baseline"], row["litert"]["chosen"]
            told = PUBLISHED.get(row["net"])
            beside = "" if told is None else f"; published, ImageNet: {told[0] or '-'} -> {told[1]}"
            print(
                f"LiteRT {row['net']}: {base['figure_ms']:.3g} -> {made['figure_ms']:.3g} ms, "
                f"top-1 {100 * base['top1']:.1f} -> {100 * made['top1']:.1f}{beside}"
            )


def timed(row: dict[str, Any]) -> dict[str, Any]:
    """The file as `--auto` timed it, beside every float file; alone it is beside fewer."""
    asked = [(row["best"][key], key) for key in ("scheme", "how")]
    return next(one for one in row["auto"]["tried"] if all(one[key] == value for value, key in asked))


def train(name: str, given: argparse.Namespace) -> dict:
    """A trained run folder in OUT/NAME."""
    adapted = name in CALTECH40
    data = given.caltech40 if adapted else given.cifar10
    side, epochs = (128, 4) if adapted else (given.side, given.epochs)
    rate = {"lr": 0.001} if name.startswith("squeezenet") else {}
    config = classify(
        data,
        name,
        pretrained=adapted,
        epochs=epochs,
        img_size=side,
        hflip=0.5,
        rrc_scale=(0.5, 1.0),
        accelerator="cpu",
        **rate,
    )
    return trained(given.out / name, config, splits(data, None if adapted else given.images))


def splits(data: str, images: int | None) -> Splits:
    """The data, the training images cut to the first of every class in turn."""
    opened = open_data(data)
    train = opened.train
    if images is not None:
        seen: dict[int, int] = {}
        ranked = []
        for index, label in enumerate(train.labels):
            seen[label] = seen.get(label, 0) + 1
            ranked.append((seen[label], label, index))
        train = train.subset(sorted(index for *_, index in sorted(ranked)[:images]))
    val = opened.val if images is None else opened.val.subset(list(range(0, len(opened.val), 4)))
    return replace(opened, train=keep_decoded(train), val=keep_decoded(val))


if __name__ == "__main__":
    main()
