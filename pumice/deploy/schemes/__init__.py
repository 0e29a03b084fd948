"""From a float network and some images to a file that computes with 8-bit integers.

scheme.py             the table of schemes: a toolkit, the format it writes, the runtime it writes for
quantise.py           `quantise`: one network, one scheme, one file, whole or not at all
apart.py              a file written and run once, in a process of its own where native code may die
calibrate.py          the images that show a scheme the ranges of the activations
equalise.py           cross-layer equalisation: the same function with weights of even ranges
silence.py            toolkits kept quiet
rounding.py           layers that round as they train, for quantisation-aware tuning
sensitivity.py        which layers lose most when they alone are quantised
layer_nodes.py        which nodes of an exported graph a layer became
openvino_int8.py, onnxruntime_int8.py, litert_int8.py, executorch_int8.py
                      the writers, called with (network, path, input size, images, float_layers=, and the scheme's
                      settings)
"""

from pumice.deploy.schemes.quantise import Quantised, quantise
from pumice.deploy.schemes.scheme import SCHEMES, Scheme

__all__ = ["SCHEMES", "Quantised", "Scheme", "quantise"]
