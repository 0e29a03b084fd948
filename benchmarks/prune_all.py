"""Every network, pruned to half of its multiply-adds or to the fewest that its structure allows.

    .venv/bin/python benchmarks/prune_all.py OUT.jsonl [--seconds S] [--full] [NAME ...]

For each: the cut network against the masked one on random images, and the ONNX file of the cut network against the
network: by torch's older exporter in ONNX Runtime, which is quick, or with --full as `pumice export` and `verify` do,
in every runtime that is here.  Weights are random, with batch norms that fit their inputs, so that outputs depend on
inputs.  A line of JSON a network is added to OUT.jsonl; networks that are there already are left out.  The table of
all lines comes at the end.
"""

import argparse
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pumice.deploy.compare import TOLERANCE as PARITY
from pumice.deploy.compare import relative_error
from pumice.deploy.export import export
from pumice.deploy.onnx import export_to_measure
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.deploy.verify import verify
from pumice.errors import BadInput, CheckFailed
from pumice.models.catalogue import entries
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.search.prune.prune import prune

OTHERS = (
    *(f"timm:{net}" for net in ("resnet18", "regnety_002", "mobilenetv3_small_100", "convnext_atto")),
    *(f"timm:{net}" for net in ("efficientnet_lite0", "ghostnet_100", "densenet121", "mobilenetv4_conv_small")),
    *(f"torchvision:{net}" for net in ("resnet50", "shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0", "googlenet")),
)
DENSE = ("ssdlite:mobilenetv3_large_100", "lraspp:mobilenetv3_large_100")
TOLERANCE = 1e-5  # of the largest output, between cut and masked
LARGEST = 5e9  # multiply-adds: beyond, only by name


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--full", action="store_true")
    given = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    sizes = sorted((e.madds, e.name) for e in entries() if e.madds <= LARGEST)
    names = given.names or [*(name for _, name in sizes), *OTHERS, *DENSE]
    done = {row["name"] for row in rows(given.out)}
    end = time.monotonic() + given.seconds
    for name in names:
        if name in done or time.monotonic() > end:
            continue
        row = judged(name, given.full)
        with given.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(line(row), flush=True)
    found = rows(given.out)
    print(f"\n{len(found)} networks: {sum(r['ok'] for r in found)} as they should be")
    print("not half:", *(f"{r['name']} {r['share']:.0%}" for r in found if r.get("share", 0) > 0.5))
    for row in found:
        if not row["ok"]:
            print(line(row))


def rows(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def line(row: dict) -> str:
    if "error" in row:
        return f"{row['name']:34} {row['error']}"
    return (
        f"{row['name']:34} {row['madds_before'] / 1e6:9.1f} M -> {row['share']:6.1%}  round {row['round']}  "
        f"masked {row['relative']:.0e}  varies {row['varies']:.0e}  onnx {row['onnx']}  {row['seconds']:.0f} s"
    )


def judged(name: str, full: bool) -> dict:
    started = time.monotonic()
    try:
        torch.manual_seed(0)
        model = create_model(name)
        manifest = manifest_of(model)
        alive(model, manifest.input_size)
        net, result, round_to = halved(model, manifest.input_size)
        images = torch.randn(2, *manifest.input_size, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            one, other = net(images)
        row = {
            "name": name,
            "madds_before": result.madds_before,
            "madds_after": result.madds_after,
            "share": result.madds_after / result.madds_before,
            "round": round_to,
            "params_before": result.params_before,
            "params_after": result.params_after,
            "absolute": result.max_abs_diff_masked,
            "relative": result.max_rel_diff_masked,
            "varies": float((one - other).abs().max() / one.abs().max()),
            "frozen": len(result.frozen),
            "onnx": {},
        }
        row["ok"] = row["relative"] <= TOLERANCE
        row |= (written if full else sketched)(net, replace(manifest, model=net.config))
        row["ok"] = row["ok"] and row["verified"]
    except (BadInput, CheckFailed) as error:
        return {"name": name, "ok": False, "error": str(error)}
    except Exception as error:  # a bug, to be listed
        return {"name": name, "ok": False, "error": f"{type(error).__name__}: {str(error)[:300]}"}
    return {**row, "seconds": round(time.monotonic() - started, 1)}


def halved(model: nn.Module, size: tuple[int, int, int]) -> tuple:
    """Half of the multiply-adds, with round widths if they allow it; else the fewest that can be had."""
    target: float = 0.5
    for round_to in (8, 1, 1, 1):  # the fewest that it says may be a little too few, because channels go one by one
        try:
            return *prune(model, target_madds=target, input_size=size, round_to=round_to), round_to
        except BadInput as error:
            fewest = re.search(r"the fewest that its structure allows are ([\d,]+)", str(error))
            if fewest is None:
                raise
            if round_to == 1:
                target = int(fewest[1].replace(",", ""))
    raise BadInput("the fewest multiply-adds that it names cannot be reached")


def alive(model: nn.Module, size: tuple[int, int, int]) -> None:
    """Random scales and shifts, and the statistics of what really flows."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.0, 0.3)
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    model.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        model(torch.randn(2, *size))
    model.eval()


def sketched(net: nn.Module, manifest) -> dict:
    """What ONNX Runtime says of a file of the older exporter, norms folded."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pruned.onnx")
        export_to_measure(net, file, manifest.input_size, open_size=False)
        image = probe_inputs(1, manifest.input_size, manifest.preprocess)[0][None]
        with torch.inference_mode(), open_session(file, runtime="onnxruntime") as session:
            error = relative_error(session.run(image), net(torch.from_numpy(image)).numpy())
        found = {"onnxruntime": float(f"{error:.1e}")}
        return {"onnx": found, "onnx_bytes": file.stat().st_size, "verified": error <= PARITY}


def written(net: nn.Module, manifest) -> dict:
    """What the runtimes say of the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pruned.onnx")
        made = export(net, file, manifest=manifest)
        found = verify(file, net, images=4)
        return {
            "onnx": {runtime: float(f"{error:.1e}") for runtime, error in made.checked.items()},
            "onnx_bytes": made.bytes,
            "verified": found.ok,
        }


if __name__ == "__main__":
    main()
