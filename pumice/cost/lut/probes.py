"""Random small networks whose blocks fill a lookup table: every operator of `pumice.nn` at widths nobody chose.

A block costs in a network what it does not cost alone: its input comes from the caches, its weights do not, and its
maps are in the layout that its neighbours want.  So the table is filled from whole networks, of which these are any
number, without a published table among them.
"""

import random

import torch
from torch import nn

from pumice.cost.lut.probe_units import UNITS_OF, act_of
from pumice.graph.trace import trace
from pumice.nn.channelwise import ConvClassifier
from pumice.nn.conv import ConvNormAct

SIDES = (96, 128, 160, 192, 224, 240, 256, 288)
STEPS = (2, 4, 8, 8, 16)  # widths are multiples of one of these
STAGES = 4
UNITS = 3  # at most, a stage
CLASSES = (10, 100, 1000, 1000)
THIN = 0.4  # share of probes that stay as narrow as the smallest networks of the literature
HIDDEN = 0.3  # share with a hidden layer
OVER_CHANNELS = 0.15  # share with a classifier that slides over the channels, where the last map has
FEW = 8  # pixels a side at most


def probe(seed: int) -> tuple[nn.Module, tuple[int, int, int]]:
    """The probe of a seed, and the (C, H, W) that it reads; its weights are torch's random ones of the same seed."""
    r = random.Random(seed)
    side = r.choice(SIDES)
    size = (3, side, side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _body(r)
        width, *sides = _shape(net, size)
        net.extend(_head(r, width, max(sides)))
    return net.eval(), size


def _body(r: random.Random) -> nn.Sequential:
    """A stem and four stages, each beginning with a stride of 2."""
    units, often = zip(*UNITS_OF, strict=True)
    thin = r.random() < THIN
    width = r.choice((4, 6, 8, 12) if thin else (8, 16, 24, 32, 32, 48))
    layers: list[nn.Module] = [ConvNormAct(3, width, r.choice((3, 3, 3, 5, 7)), 2, act=act_of(r))]
    if r.random() < 0.4:
        layers.append(nn.MaxPool2d(3, 2, 1))
    # Networks repeat their units, so most of a probe is of one sort.
    chosen = r.choices(units, often, k=r.choice((1, 1, 3)))
    for _ in range(STAGES):
        step = r.choice((2, 4, 8) if thin else STEPS)
        wider = max(8, int(width * r.uniform(*((1.0, 1.9) if thin else (1.2, 2.6)))) // step * step)
        for i in range(r.randint(1, UNITS)):
            layers.append(r.choice(chosen)(r, width, wider, 2 if i == 0 else 1))
            width = wider
    return nn.Sequential(*layers)


def _head(r: random.Random, width: int, side: int) -> list[nn.Module]:
    """Pooling and a classifier, with a wider convolution or a hidden layer before it, or one over the channels."""
    layers: list[nn.Module] = []
    if r.random() < OVER_CHANNELS and side <= FEW:
        # Small ones: some runtimes are a thousand times slower at these than at anything else.
        classes = r.choice((20, 50, 100))
        last = classes + r.choice((4, 12, 28))
        return [ConvNormAct(width, last, 1, act=act_of(r)), ConvClassifier(last, classes, side)]
    last, classes = r.choice((width, width * 2, 640, 1024, 1280)), r.choice(CLASSES)
    if last != width:
        layers.append(ConvNormAct(width, last, 1, act=act_of(r)))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if r.random() < HIDDEN:
        hidden = r.choice((256, 1024, 1280))
        layers += [nn.Linear(last, hidden), r.choice((nn.ReLU, nn.Hardswish))()]
        last = hidden
    return [*layers, nn.Linear(last, classes)]


def _shape(net: nn.Module, size: tuple[int, int, int]) -> tuple[int, ...]:
    """(C, H, W) of what a network makes of an image."""
    graph = trace(net, size)
    return graph.values[graph.outputs[0]].shape[1:]
