"""NetAdapt to a measured latency beside the width multiplier at equal latency.

    .venv/bin/python benchmarks/netadapt.py DATA --out DIR [--lut FILE] [--runtime R] [NAME ...]

For each net, in DIR/NAME: the net is trained on DATA (an image folder, CIFAR-10 say); its latency is measured; NetAdapt
narrows it to --share of that and trains the result from scratch; the width multiplier whose net is as quick, measured
beside it, is trained equally long from the same seed.  The search does not see the validation images, by which all
three are judged.  Everything is kept, so that a script that was stopped goes on; DIR/netadapt.json holds the table.

--lut: a table of `pumice lut build`; it is extended by the nets themselves and some narrowed ones, which are measured
(DIR/NAME/lut.json).  --cuts: the table is filled from random cuts of the seed instead.  Without either latency is taken
in proportion to multiply-adds, and corrected.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pumice.cost.lut.ask import extended
from pumice.cost.lut.build import build
from pumice.cost.lut.table import Lut
from pumice.data.images import Splits
from pumice.data.memory import keep_decoded
from pumice.data.open import open_data
from pumice.deploy.network import folded
from pumice.files import read_json, write_json
from pumice.graph.trace import trace
from pumice.models.checkpoint import load_checkpoint
from pumice.models.create import create_model
from pumice.recipes.small_data import classify
from pumice.search.netadapt import Settings, netadapt
from pumice.search.netadapt.cuts import cuts
from pumice.search.netadapt.finish import trained
from pumice.search.netadapt.measure import beside_in

NAMES = ("mobilenetv3_small_100", "shufflenetv2_100", "micronet_m2")
OWN = {"mobilenetv3_small_100": 1.0, "shufflenetv2_100": 1.0, "shufflenetv2_050": 0.5}  # width; of others 1
HALVINGS = 6  # of the interval in which the width multiplier is sought


def main() -> None:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lut", type=Path)
    parser.add_argument("--cuts", type=float, metavar="SECONDS", help="of measuring cuts of the seed for its table")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--images", type=int, default=5000, help="training images, the first of every class in turn")
    parser.add_argument("--val-images", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.7, help="of the seed's latency that may remain")
    parser.add_argument("--epochs", type=int, default=12, help="of the seed, of the last training and of the baseline")
    parser.add_argument("--step", type=float, default=0.06)
    parser.add_argument("--tune-steps", type=int, default=8)
    parser.add_argument("--holdout", type=float, default=500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_data(given.data)
    splits = replace(
        opened,
        train=keep_decoded(opened.train.subset(spread(opened.train.labels, given.images))),
        val=keep_decoded(opened.val.subset(spread(opened.val.labels, given.val_images))),
    )
    rows = [row(name, given, splits) for name in given.names]
    write_json(given.out / "netadapt.json", rows)
    keys = ("net", "what", "top1", "ms", "share", "madds", "params")
    print(" ".join(f"{key:>22}" for key in keys))
    for found in rows:
        for what in ("seed", "netadapt", "width"):
            one = {"net": found["net"], "what": what, **found[what]}
            print(" ".join(f"{one[k]:>22.4g}" if isinstance(one[k], float) else f"{one[k]:>22}" for k in keys))
        print(
            f"{'':>22} {found['steps']} steps, {found['measurements']} measurements, {found['seconds']:.0f} s of search"
        )


def spread(labels: tuple[int, ...], count: int) -> list[int]:
    """So many indices, the first of every class in turn."""
    order: dict[int, int] = {}
    ranked = []
    for index, label in enumerate(labels):
        order[label] = order.get(label, 0) + 1
        ranked.append((order[label], label, index))
    return sorted(index for _, _, index in sorted(ranked)[:count])


def row(name: str, given: argparse.Namespace, splits: Splits) -> dict[str, Any]:
    """One net: seed, found net and baseline."""
    out = given.out / name
    if (out / "row.json").is_file():
        return read_json(out / "row.json")
    size = (3, given.side, given.side)
    training = {"bn_momentum": 0.1, "hflip": 0.5, "rrc_scale": (0.6, 1.0), "accelerator": "cpu"}
    config = classify(given.data, name, epochs=given.epochs, img_size=given.side, **training)
    beside = beside_in(given.runtime, 1, size)
    scores = {"seed": trained(out / "seed", config, splits)}
    seed, _ = load_checkpoint(out / "seed" / "best.safetensors")
    seed_ms, *_ = beside(seed, seed)
    if (out / "target.json").is_file():
        seed_ms = read_json(out / "target.json")["seed_ms"]
    write_json(out / "target.json", {"seed_ms": seed_ms, "share": given.share})
    settings = Settings(
        step=given.step,
        tune_steps=given.tune_steps,
        holdout=given.holdout,
        retrain_epochs=given.epochs,
        training=training,
    )
    began = time.monotonic()
    result = netadapt(
        out / "seed",
        given.data,
        target_ms=given.share * seed_ms,
        lut=table(name, seed, given, out),
        runtime=given.runtime,
        threads=1,
        img_size=given.side,
        settings=settings,
        splits=splits,
        out=out / "netadapt",
    )
    seconds = time.monotonic() - began
    found, _ = load_checkpoint(out / "netadapt" / "best.safetensors")
    scores["netadapt"] = {"top1": result.top1}
    width = as_quick(name, seed, found, beside, given)
    narrow = replace(config, model_options={"width": width})
    scores["width"] = trained(out / "width", narrow, splits)
    baseline, _ = load_checkpoint(out / "width" / "best.safetensors")
    record = read_json(out / "netadapt" / "netadapt.json")
    value: dict[str, Any] = {"net": name, "steps": result.steps, "measurements": len(record["measured"])}
    value |= {"seconds": seconds, "width_multiplier": width, "within": result.within, "target_ms": result.target}
    for what, net in (("seed", seed), ("netadapt", found), ("width", baseline)):
        ms, own_ms, busy = beside(seed, net)
        graph = trace(folded(net, size), size)
        value[what] = {"top1": scores[what]["top1"], "ms": ms, "share": ms / own_ms, "busy": busy}
        value[what] |= {"madds": graph.madds, "params": sum(p.numel() for p in net.parameters())}
    write_json(out / "row.json", value)
    return value


def table(name: str, seed: nn.Module, given: argparse.Namespace, out: Path) -> Path | None:
    """The table that NetAdapt asks, with blocks of this net and of narrower ones measured."""
    path, size = out / "lut.json", (3, given.side, given.side)
    if path.is_file():
        return path
    if given.cuts is not None:
        build(given.runtime, time_s=given.cuts, networks=cuts(seed, size)).save(path)
        return path
    if given.lut is None:
        return None
    widths = [OWN.get(name, 1.0) * share for share in (1.0, 0.9, 0.8, 0.7, 0.6)]
    nets = [(f"{name} {width:g}", create_model(name, num_classes=10, width=width), size) for width in widths]
    extended(Lut.load(given.lut), nets).save(path)
    return path


def as_quick(name: str, seed: Any, found: Any, beside: Any, given: argparse.Namespace) -> float:
    """The largest width multiplier whose net is no slower than the one found, by halving an interval."""
    ms, seed_ms, _ = beside(seed, found)
    low, high = 0.2 * OWN.get(name, 1.0), OWN.get(name, 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        net = create_model(name, num_classes=seed.config.num_classes, width=middle).eval()
        own, beside_ms, _ = beside(seed, net)
        low, high = (middle, high) if own / beside_ms <= ms / seed_ms else (low, middle)
    return round(low, 3)


if __name__ == "__main__":
    main()
