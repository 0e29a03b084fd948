"""Feature reuse as in ShuffleNetV2's figure 4: a dense network's weights beside the channels ShuffleNetV2 passes on.

    .venv/bin/python benchmarks/feature_reuse.py [--dense NAME] [--shuffle NAME] [--weights FILE] [--pretrained]
                                                 [--page FILE.html] [--out FILE.json]

--dense is any network with concatenations (condensenet*, timm:densenet121, torchvision:densenet121).  Its weights are
those of --weights or --pretrained, else random, which show no pattern.  Prints ShuffleNetV2's counts beside r^j c.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pumice.cost.reuse import Passing, Reading, passings, readings
from pumice.deploy.direct import tensors_of
from pumice.files import write_json
from pumice.graph.inputs import input_size_of
from pumice.graph.trace import trace
from pumice.models.create import create_model
from pumice.models.weights import load_weights

TOUCHED = 0.5  # ShuffleNetV2: c' = c / 2, section 3


def dense(model: nn.Module, name: str, weights: str) -> dict[str, Any]:
    """The record of the left heat map."""
    graph = trace(model, input_size_of(model), name=name)
    return {
        "title": f"{name}, {weights}",
        "caption": "Rows: the layer that made the channels. Columns: the layer that reads them. Colour: the sum of "
        "absolute weights between the two for each channel read.",
        "stages": [_reading(one) for one in readings(graph, tensors_of(model))],
    }


def shuffled(model: nn.Module, name: str) -> tuple[dict[str, Any], list[Passing]]:
    """The record of the right heat map, and its counts."""
    found = passings(trace(model, input_size_of(model), name=name), tensors_of(model))
    return {
        "title": f"{name}, channels passed on",
        "caption": "Rows: the unit that hands channels out. Columns: the unit that still hands them out untouched; "
        "half of them at each step.",
        "stages": [_passing(one) for one in found],
    }, found


def _reading(one: Reading) -> dict[str, Any]:
    values = [[None if math.isnan(v) else v for v in row] for row in one.strength.tolist()]
    return {
        "stage": one.stage,
        "sources": one.sources,
        "targets": one.targets,
        "values": values,
        "what": "absolute weight a channel",
    }


def _passing(one: Passing) -> dict[str, Any]:
    count = range(len(one.units))
    values = [[int(one.passed[i, j]) if j >= i else None for j in count] for i in count]
    return {
        "stage": f"{one.stage}, {one.channels} channels",
        "sources": one.units,
        "targets": one.units,
        "values": values,
        "what": "channels",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dense", default="condensenet74_c4_g4")
    parser.add_argument("--shuffle", default="shufflenetv2_100")
    parser.add_argument("--weights", type=Path, help="of the dense network")
    parser.add_argument("--pretrained", action="store_true", help="published weights of the dense network")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = create_model(arguments.dense, pretrained=arguments.pretrained).eval()
    said = "published weights" if arguments.pretrained else "random weights, which show no pattern"
    if arguments.weights:
        load_weights(model, arguments.weights)
        said = f"weights of {arguments.weights.name}"
    left = dense(model, arguments.dense, said)
    right, found = shuffled(create_model(arguments.shuffle).eval(), arguments.shuffle)
    for one in found:
        for j, passed in enumerate(one.passed[0]):
            expected = (1 - TOUCHED) ** j * one.channels
            print(f"{arguments.shuffle} {one.stage} j={j}: {passed} channels, r^j c = {expected:g}")
    if arguments.out:
        write_json(arguments.out, [left, right])
    if arguments.page:
        from pumice.report.reuse import write_reuse

        print(write_reuse([left, right], arguments.page))


if __name__ == "__main__":
    main()
