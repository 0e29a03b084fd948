"""Are the edits that an audit proposes as good as it says?  The top three of six networks, measured.

    .venv/bin/python benchmarks/audit.py [--runtime onnxruntime,openvino] [--time 60] [--top 3] [--out FILE.json]

An edit counts when its network is faster than the original by more than the spread: the 95 % intervals of the two
medians do not meet.  Ends 1 when fewer than 80 % of the edits do, in any runtime.
"""

import argparse
import sys
from pathlib import Path

import torch

from pumice.cost.audit.finding import Finding
from pumice.cost.audit.measure import measure, succeeded
from pumice.cost.audit.run import audit_graph, graph_and_costs
from pumice.deploy.direct import tensors_of
from pumice.deploy.network import folded
from pumice.files import write_json
from pumice.models.source import load_source

NETWORKS = (
    "mobilenetv2_100",
    "shufflenetv1_g8_100",
    "ghostnet_100",
    "micronet_m3",
    "condensenet74_c4_g4",
    "timm:efficientnet_b0",
)
SIZE = (3, 224, 224)
WANTED = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime,openvino", help="each audits and measures on its own")
    parser.add_argument("--time", type=float, default=60, help="seconds of measuring for a network and runtime")
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--out", type=Path, help="all findings as JSON")
    arguments = parser.parse_args()
    written, short = [], False
    for runtime in arguments.runtime.split(","):
        measured: list[Finding] = []
        for name in NETWORKS:
            torch.manual_seed(0)
            model = load_source(name)[0]
            graph, costs = graph_and_costs(model, SIZE, runtime=runtime)
            found = measure(
                audit_graph(graph, costs),
                graph,
                tensors_of(folded(model, SIZE)),
                runtimes=[runtime],
                top=arguments.top,
                time_limit_s=arguments.time,
            )
            print(f"\n{name} in {runtime}, {found.total:.2f} ms in its layers", flush=True)
            for finding in found.edits[: arguments.top]:
                print(line(finding), flush=True)
            measured += found.edits[: arguments.top]
            written.append({**found.to_json(), "name": name})
        good, all_ = succeeded(measured)
        short |= good < WANTED * all_ or all_ < arguments.top * len(NETWORKS)
        print(f"\n{runtime}: {good} of {all_} edits are faster by more than the spread", flush=True)
    if arguments.out:
        write_json(arguments.out, written)
    sys.exit(1 if short else 0)


def line(finding: Finding) -> str:
    """What was predicted and what came of it."""
    (gain,), edit = finding.gains, finding.edit
    assert edit is not None
    low, high = gain.gain_ci95_ms
    madds = edit.madds_after / edit.madds_before - 1
    return (
        f"  {'yes' if gain.faster else 'NO ':3} {finding.guideline} predicted {finding.saving:6.3f} ms, "
        f"measured {gain.gain_ms:6.3f} ({low:.3f} to {high:.3f}) of {gain.before_ms:.3f} ms {gain.clock}, "
        f"MAdds {madds:+.1%}: {edit.text}"
    )


if __name__ == "__main__":
    main()
