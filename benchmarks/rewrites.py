"""Which exact rewrites pay in which runtime?  Each pass alone, against the network with its norms folded and no more.

    .venv/bin/python benchmarks/rewrites.py [NET ...] [--runtime onnxruntime openvino] [--seconds 40] [--quick]

All files of one network are measured interleaved in one process, one thread, batch 1, 224 x 224.  A cell is the time of
the rewritten file over that of the unrewritten one (wall median; on a busy machine the lower tenth of CPU time), with
the half-width of its 95 % interval in percent: below 1 is faster, and what is within the half-width of 1 is no finding.
"wrong" is a runtime whose answers are off by more than 1e-4 of the largest; "-" is a pass that finds nothing to do.
`table` is what `pumice.deploy.lower.PASSES` says for the runtime.

--quick writes the files by torch's older exporter, ten times faster and with nearly the same graphs.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import fx, nn

from pumice.cost.latency import time_sessions
from pumice.cost.machine import describe
from pumice.cost.timing import Timing
from pumice.deploy.compare import relative_error
from pumice.deploy.lower import PASSES as TABLE
from pumice.deploy.network import folded
from pumice.deploy.onnx import OPSET
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.graph.rewrites.program import operator_of
from pumice.graph.rewrites.rewrite import PASSES, rewritten
from pumice.models.create import create_model
from pumice.progress import track

NETS = (
    *(
        "shufflenetv2_100",
        "shufflenetv2_050",
        "shufflenetv1_g3_100",
        "igcv3_100",
        "ghostnet_100",
        "condensenet74_c4_g4",
    ),
    *("micronet_m0", "micronet_m3", "mobilenetv3_small_100", "mobilenetv1_100"),
)
FORMAT = {"onnxruntime": "onnx", "openvino": "openvino"}
VARIANTS: dict[str, tuple[str, ...]] = {name: (name,) for name in PASSES} | {
    "arithmetic + relabel": ("noops", "constants", "arithmetic", "relabel"),
    "depthwise_norms + relabel": ("depthwise_norms", "relabel"),
}
SIZE = (3, 224, 224)
WRONG = 1e-4


def settled(name: str) -> nn.Module:
    """Fresh weights, batch norms that have seen images, so that the output depends on the image."""
    torch.manual_seed(0)
    model = create_model(name)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(torch.from_numpy(probe_inputs(4, SIZE, None)))
    return model.eval()


def told(program: nn.Module) -> list[tuple[str, object, object]]:
    """What tells two programs apart: operators, shapes, and how channels are moved."""
    assert isinstance(program, fx.GraphModule)
    return [
        (operator_of(n), n.meta.get("shape"), fx.map_arg(n.args, lambda a: a.meta.get("shape")))
        for n in program.graph.nodes
        if n.op == "call_function"
    ]


def write(model: nn.Module, file: Path, quick: bool) -> None:
    """An .onnx file of the module just as it is."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        example = (torch.zeros(1, *SIZE),)
        if quick:
            torch.onnx.export(model, example, str(file), dynamo=False, opset_version=17)
        else:
            torch.onnx.export(model, example, str(file), dynamo=True, verbose=False, opset_version=OPSET)


def measure(name: str, runtimes: Sequence[str], seconds: float, quick: bool) -> dict[str, dict[str, str]]:
    """runtime -> variant -> cell."""
    model = folded(settled(name), SIZE)
    x = probe_inputs(2, SIZE, None, seed=1)
    with torch.inference_mode():
        want = model(torch.from_numpy(x)).numpy()
    variants = VARIANTS | {f"table of {runtime}": TABLE[FORMAT[runtime]] for runtime in runtimes}
    cells: dict[str, dict[str, str]] = {runtime: {} for runtime in runtimes}
    plain = told(rewritten(model, SIZE, passes=()))
    with tempfile.TemporaryDirectory() as folder:
        files = {"plain": Path(folder) / "plain.onnx"}
        write(model, files["plain"], quick)
        for variant, passes in track(list(variants.items()), f"writing {name}"):
            program = rewritten(model, SIZE, passes=passes)
            if told(program) != plain:
                files[variant] = Path(folder) / f"{len(files)}.onnx"
                write(program, files[variant], quick)
        for runtime in runtimes:
            with ExitStack() as opened:
                sessions, wrong = {}, set()
                for variant, file in files.items():
                    if variant.startswith("table of ") and variant != f"table of {runtime}":
                        continue
                    session = opened.enter_context(open_session(file, runtime=runtime, threads=1))
                    error = relative_error(session.run(x), want)
                    if error > WRONG:
                        wrong.add(variant)
                        print(f"{name} {runtime} {variant}: off by {error:.1e}", file=sys.stderr)
                    sessions[variant] = session
                limit = max(seconds, 2.0 * len(sessions))
                timings = time_sessions(list(sessions.values()), list(sessions), time_limit_s=limit, precision=0.005)
                found = dict(zip(sessions, timings, strict=True))
                for variant in variants:
                    if variant in found:
                        ratio = cell(found[variant], found["plain"])
                        cells[runtime][variant] = "wrong" if variant in wrong else ratio
                base = found["plain"]
                print(f"{name} {runtime}: {base.figure_ms:.2f} ms, busy: {base.busy}", file=sys.stderr, flush=True)
    return cells


def cell(one: Timing, plain: Timing) -> str:
    """Ratio and the half-width of its interval, by the same clock."""
    busy = one.busy or plain.busy
    values = [(t.cpu_p10_ms, t.cpu_p10_ci95) if busy else (t.p50_ms, t.ci95) for t in (one, plain)]
    (a, a_ci), (b, b_ci) = values
    assert a is not None and b is not None and a_ci is not None and b_ci is not None  # noqa: PT018
    spread = sum(((high - low) / 2 / v) ** 2 for v, (low, high) in ((a, a_ci), (b, b_ci))) ** 0.5
    return f"{a / b:.2f} ±{100 * spread:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--runtime", nargs="+", default=["onnxruntime", "openvino"], choices=list(FORMAT))
    parser.add_argument("--seconds", type=float, default=40.0, help="of measuring, a network and runtime")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    found = {name: measure(name, arguments.runtime, arguments.seconds, arguments.quick) for name in arguments.nets}
    print(describe())
    for runtime in arguments.runtime:
        columns = [*VARIANTS, f"table of {runtime}"]
        print(f"\n| {runtime} | " + " | ".join(columns) + " |")
        print("| --- |" + " --: |" * len(columns))
        for name, cells in found.items():
            print(f"| {name} | " + " | ".join(cells[runtime].get(column, "-") for column in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
