"""Twelve nets trained here, each quantised with `--auto`: time, accuracy, and what was refused.

    .venv/bin/python benchmarks/int8.py --cifar10 DIR --caltech40 DIR --out DIR [NAME ...]

Nets are trained on CIFAR-10 (a quarter of its test images judges), EfficientNet-Lite0 on caltech40 from its package's
weights.  Everything is kept in OUT/NAME, so that a script that was stopped goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from pumice.data.images import Splits
from pumice.data.memory import keep_decoded
from pumice.data.open import open_data
from pumice.recipes.small_data import classify
from pumice.search.netadapt.finish import trained

CIFAR10 = (
    *("mobilenetv3_small_100", "shufflenetv2_100", "micronet_m1", "ghostnet_100", "mobilenetv2_035"),
    *("squeezenet1_1", "mobilenetv2_100", "micronet_m3", "shufflenetv1_g3_100", "mnasnet_small"),
    "mobilenetv3_large_100",
)
CALTECH40 = ("efficientnet_lite0",)


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=(*CALTECH40, *CIFAR10))
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--caltech40", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        print(name, train(name, given), flush=True)


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
