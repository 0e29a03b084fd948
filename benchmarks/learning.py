"""Does every family learn?  Fresh networks on a fixed few images, 200 steps, accuracy on those images.

    .venv/bin/python benchmarks/learning.py --cifar10 DIR --camvid DIR [NAME ...] [--out table.csv]

Classifiers: 256 images of CIFAR-10 at 64 x 64, 10 classes, evaluated as a user would (running statistics of the norms).
Segmentation nets: 24 images of CamVid at 96 x 128, 11 classes, accuracy over pixels that are not void.  AdamW with a
one-cycle schedule, batch 32 (8), no augmentation.  CondenseNet's trainable form goes through its whole condensing
schedule.  Without names: the network of the fewest multiply-adds of every family.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from pumice.models import catalogue
from pumice.models.create import create_model
from pumice.models.families import family_of, variant
from pumice.nn.conv import set_norm

STEPS = 200
IMAGES, SIDE, CLASSES = 256, 64, 10
SCENES, SCENE, LABELS, VOID = 24, (96, 128), 11, 11
LEARNING_RATE = 3e-3


def smallest() -> list[str]:
    """A network of every family."""
    chosen: dict[str, str] = {}
    for e in sorted(catalogue.entries(), key=lambda e: e.madds):
        if e.task != "detect":
            chosen.setdefault(e.family, e.name)
    return list(chosen.values())


def tensor(image: Image.Image) -> Tensor:
    """(3, H, W), about zero mean and unit deviation."""
    return (torch.from_numpy(np.asarray(image.convert("RGB"), np.float32)).permute(2, 0, 1) / 255 - 0.45) / 0.25


def photos(folder: Path, side: int) -> tuple[Tensor, Tensor]:
    """(IMAGES, 3, side, side) and classes (IMAGES,): the first of every class, in turn."""
    found = [sorted(c.iterdir()) for c in sorted((folder / "train").iterdir())]
    paths = [(found[i % CLASSES][i // CLASSES], i % CLASSES) for i in range(IMAGES)]
    images = [tensor(Image.open(path).resize((side, side), Image.Resampling.BILINEAR)) for path, _ in paths]
    return torch.stack(images), torch.tensor([label for _, label in paths])


def scenes(folder: Path) -> tuple[Tensor, Tensor]:
    """(SCENES, 3, H, W) and labels (SCENES, H, W)."""
    height, width = SCENE
    paths = sorted((folder / "train").iterdir())[:SCENES]
    images = [tensor(Image.open(p).resize((width, height), Image.Resampling.BILINEAR)) for p in paths]
    masks = [Image.open(folder / "trainannot" / f"{p.stem}.png").resize((width, height), 0) for p in paths]
    return torch.stack(images), torch.stack([torch.from_numpy(np.asarray(m).astype(np.int64)) for m in masks])


def logits_of(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The output, at the size of the target where that is a map."""
    y = model(x)
    return F.interpolate(y, target.shape[-2:], mode="bilinear") if y.ndim == 4 else y


def accuracy(model: nn.Module, images: Tensor, targets: Tensor, batch: int) -> float:
    """Share of the images, or of their pixels, in evaluation mode."""
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, t in zip(images.split(batch), targets.split(batch), strict=True):
            counts = t != VOID if t.ndim == 3 else torch.ones_like(t, dtype=torch.bool)
            right += int((logits_of(model, x, t).argmax(1) == t)[counts].sum())
            total += int(counts.sum())
    return right / total


def learn(name: str, cifar10: Path, camvid: Path, rate: float, steps: int) -> dict[str, object]:
    """Train one network; what it reached, and when it first reached 90 %."""
    torch.manual_seed(0)
    dense = variant(name).task == "segment"
    settings: dict[str, object] = {"num_classes": LABELS if dense else CLASSES, "drop_rate": 0.0}
    condensing = name.startswith("condensenet")
    if condensing:
        settings["condensed"] = False
    model = create_model(name, **settings)
    side = SIDE if model.sides.allow(SIDE, SIDE) else max(variant(name).image)
    images, targets = scenes(camvid) if dense else photos(cifar10, side)
    set_norm(model, momentum=0.1)  # a rate of 0.01 would need more steps than there are
    batch = 8 if dense else 32
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2)
    generator, order = torch.Generator().manual_seed(0), torch.empty(0, dtype=torch.long)
    started, reached = time.process_time(), None
    for step in range(steps):
        if len(order) < batch:
            order = torch.randperm(len(images), generator=generator)
        chosen, order = order[:batch], order[batch:]
        if condensing:
            from pumice.models.condense import set_progress

            set_progress(model, step / steps)
        model.train()
        loss = F.cross_entropy(
            logits_of(model, images[chosen], targets[chosen]), targets[chosen], ignore_index=VOID if dense else -100
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 25 == 0:
            share = accuracy(model, images, targets, batch)
            if share >= 0.9 and reached is None:
                reached = step + 1
    return {
        "family": family_of(name).__name__.rpartition(".")[2],
        "name": name,
        "size": "x".join(map(str, images.shape[-2:])),
        "rate": rate,
        "steps": steps,
        "accuracy": round(share, 4),
        "loss": round(loss.item(), 4),
        "90% at step": reached or "-",
        "cpu s": round(time.process_time() - started),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names or smallest():
        rows.append(learn(name, arguments.cifar10, arguments.camvid, arguments.rate, arguments.steps))
        print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
        if arguments.out:
            with arguments.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
