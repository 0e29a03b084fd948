"""Every exact variant in every format: does the file compute what the network computes?

    .venv/bin/python benchmarks/formats.py OUT.jsonl --images FOLDER [--formats onnx,pt2] [--shard 0/2] [NAME ...]
    .venv/bin/python benchmarks/formats.py OUT.jsonl --page docs/formats.md

Weights are random; batch norms have the statistics of real images, on others of which file and network are compared.
(In deep random networks an image that norms have not seen can run away, so that float32 itself knows nothing of the
answer: there the norms see the images that are compared, too; and where that is not enough, their biases are raised by
1, so that fewer activations are cut.)  What counts is the largest difference beside the spread between images, at most
1e-3, and the same best class for every image.  A net that hardly depends on its image is untestable, which counts as a
failure.  Rows that are in OUT are not made again.
"""

import argparse
import copy
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from pumice.cost.machine import runtime_version
from pumice.data.image import read_image
from pumice.deploy.export import export
from pumice.deploy.formats import FORMATS
from pumice.deploy.parity import parity
from pumice.errors import BadInput, CheckFailed
from pumice.models.catalogue import Entry, entries
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.models.manifest import Manifest

ORDER = ("onnx", "openvino", "pt2", "ncnn", "litert", "executorch")
SETTLING, JUDGED = 8, 6  # images
UNSURE = 2e-5  # of the spread between images: a fiftieth of what a file may be off
MOBILE = ("litert", "executorch", "ncnn")


def main() -> None:
    """Make the rows that are missing, or the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", help="networks; every exact one by default")
    parser.add_argument("--images", type=Path, help="a folder of real images, searched below")
    parser.add_argument("--formats", default=",".join(ORDER))
    parser.add_argument("--shard", default="0/1", help="which of how many processes this is")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--page", type=Path, help="write the table of what OUT holds")
    given = parser.parse_intermixed_args()
    if given.page is not None:
        given.page.write_text(page(rows(given.out)))
        return
    torch.set_num_threads(1)
    mine, of = map(int, given.shard.split("/"))
    chosen = [e for e in sorted(entries(), key=lambda e: e.madds) if e.status == "exact" or e.name in given.names]
    chosen = [e for e in chosen if not given.names or e.name in given.names]
    end = time.monotonic() + given.seconds
    for entry in chosen[mine::of]:
        done = {(row["name"], row["format"]) for row in rows(given.out)}
        missing = [form for form in given.formats.split(",") if (entry.name, form) not in done]
        if not missing or time.monotonic() > end:
            continue
        for row in measured(entry, missing, given.images):
            with given.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(line(row), flush=True)


def rows(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def measured(entry: Entry, formats: list[str], folder: Path) -> list[dict]:
    """One row a format."""
    torch.manual_seed(0)
    model = create_model(entry.name)
    manifest = manifest_of(model)
    files = sorted(folder.rglob("*.jpg"))
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, SETTLING + JUDGED).round().astype(int)]
    x = fed([read_image(file) for file in chosen], manifest)
    known = torch.from_numpy(x)
    for seen, bias in ((known[:SETTLING], 0.0), (known, 0.0), (known, 1.0)):
        settle(model, seen, bias)
        if unsure(model, known[SETTLING:]) <= UNSURE:
            break
    return [judged(entry, model, manifest, x[SETTLING:], name) for name in formats]


def judged(entry: Entry, model: nn.Module, manifest: Manifest, x: np.ndarray, name: str) -> dict:
    """Whether a network's file of one format answers as the network does: a row of the table."""
    began = time.monotonic()
    row = {"name": entry.name, "family": entry.family, "format": name, "ok": False}
    form = FORMATS[name]
    row["version"] = runtime_version(form.runtimes[0])
    try:
        with tempfile.TemporaryDirectory(prefix="pumice-") as at:
            file = export(model, Path(at, f"model{form.suffix}"), format=name, manifest=manifest, check=False)
            seen = parity(file, model, x, task=manifest.task)
            row |= {
                "bytes": file.bytes,
                "error": seen.error_to_spread,
                "top1": seen.top1,
                "testable": seen.testable,
            }
            row["ok"] = seen.ok
    except (BadInput, CheckFailed) as error:
        row["why"] = str(error)
    except Exception as error:  # a bug of ours or of a library's
        row["why"] = f"{type(error).__name__}: {(str(error).splitlines() or ['?'])[0][:200]}"
    return row | {"seconds": round(time.monotonic() - began, 1)}


def settle(model: nn.Module, images: torch.Tensor, bias: float = 0.0) -> None:
    """Batch norms with the statistics of real images, each from what the settled ones before it give; bias: added."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        if norm.bias is not None:
            norm.bias.data += bias
        norm.train()
    with torch.no_grad():
        for _ in range(2):
            model(images)
    model.eval()


def unsure(model: nn.Module, images: torch.Tensor) -> float:
    """What torch itself is off by in single precision, beside the spread between images."""
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(images.double())
        return float((model(images) - exact).abs().max() / (exact - exact.mean(0)).abs().max())


def fed(images: list[Image.Image], manifest: Manifest) -> np.ndarray:
    """(N, C, H, W): as the network reads them."""
    return np.stack([manifest.preprocess(image) for image in images])


def line(row: dict) -> str:
    said = row.get("why") or f"error {row['error']:.1e} of the spread, top-1 {row['top1']:.0%}"
    return f"{row['name']:34} {row['format']:10} {'ok' if row['ok'] else 'NO'}  {said}  {row['seconds']:.0f} s"


def page(found: list[dict]) -> str:
    """The table as Markdown: networks down, formats across, reasons below."""
    by_net: defaultdict[str, dict[str, dict]] = defaultdict(dict)
    for row in found:
        by_net[row["name"]][row["format"]] = row
    formats = [name for name in ORDER if any(name in cells for cells in by_net.values())]
    reasons: dict[str, int] = {}
    body, family = [], ""
    order = sorted(by_net, key=lambda name: (next(iter(by_net[name].values()))["family"], name))
    for name in order:
        cells = by_net[name]
        own = next(iter(cells.values()))["family"]
        shown = []
        for form in formats:
            row = cells.get(form)
            if row is None:
                shown.append("")
            elif row["ok"]:
                shown.append(f"{row['error']:.0e}")
            else:
                why = row.get("why") or failed(row)
                number = reasons.setdefault(why.replace(name, "the network"), len(reasons) + 1)
                shown.append(f"no ({number})")
        body.append(f"| {own if own != family else ''} | {name} | {' | '.join(shown)} |")
        family = own
    ran = {form: [cells[form]["ok"] for cells in by_net.values() if form in cells] for form in formats}
    totals = [f"{sum(ok)} of {len(ok)}" for ok in ran.values()]
    exact = sum(entry.status == "exact" for entry in entries())
    versions = {row["format"]: row["version"] for row in found if row.get("version")}
    return "\n".join(
        [
            "# Formats",
            "",
            CHOICE,
            "## Every exact network",
            "",
            INTRODUCTION,
            "",
            f"{len(by_net)} of the {exact} exact networks have been run; an empty cell has not.",
            "",
            "Versions: " + ", ".join(f"{FORMATS[f].runtimes[0]} {versions[f]}" for f in formats if f in versions) + ".",
            "",
            f"| family | network | {' | '.join(formats)} |",
            f"| --- | --- | {' | '.join('---' for _ in formats)} |",
            f"| | **all** | {' | '.join(totals)} |",
            *body,
            "",
            *(["## Why not", ""] if reasons else []),
            *(f"{number}. {why}" for why, number in reasons.items()),
        ]
    )


def failed(row: dict) -> str:
    if not row["testable"]:
        return "its output hardly depends on the image, so that nothing can be said"
    return f"off by {row['error']:.0e} of the spread between images, the best class agrees on {row['top1']:.0%}"


CHOICE = """\
| `--format` | file | runs in | extra | to know |
| --- | --- | --- | --- | --- |
| `onnx` | `.onnx` | ONNX Runtime, OpenVINO | `deploy` | the usual one; batch and size can stay open (`--dynamic`) |
| `openvino` | `.xml` with `.bin`, or a folder | OpenVINO | `deploy` | |
| `pt2` | `.pt2` | PyTorch | | a program of `torch.export`; code, so files of others open only with `--trust` |
| `aoti` | `.pt2` | PyTorch | | compiled for this processor; needs a C++ compiler, and `--trust` likewise |
| `litert` | `.tflite` | LiteRT | `mobile` | reads planes (N, C, H, W); its converter needs torch below 2.15 |
| `executorch` | `.pte` | ExecuTorch, XNNPACK | `mobile` | one pool of threads a process |
| `ncnn` | a folder | ncnn | `mobile` | image by image; pixels cannot be baked in |
| `native` | `.so` | Pumice's engine | | compiled for this processor; needs a C compiler, and `--trust` likewise |
| `c` | a folder | Pumice's engine | | its C for any processor, and a program that checks it; compiled where it opens |
| `package` | a folder | any of them | | file, card, labels, runner without torch and Pumice: [package.md](package.md) |
| `web` | a folder | browsers | | a page that opens by a double click; npm fetches ONNX Runtime Web once |

Nets with kernels of their own for each image (WeightNet, CondConv) have their batch as a factor of group numbers: their
files are of one batch.  Files of 8 bits come from `pumice quantize`.
"""
INTRODUCTION = """\
Every exact network of Pumice in every format, with random weights and batch norms that have the statistics of real
photographs.  A figure is the largest difference between file and network over six other photographs, beside how far the
outputs of different photographs lie apart; it may be 1e-3 at most, and the best class must be the same for each.
(Where float32 itself is off by more than 2e-5, as in deep random networks, norms have seen these six, too; and where
that is not enough, as in EfficientNet-B7 and a plain network of 98 layers, their biases are 1.)
`benchmarks/formats.py` makes this page; `pumice export` compares each file that it writes in the same way, to 1e-4 of
the largest output."""


if __name__ == "__main__":
    main()
