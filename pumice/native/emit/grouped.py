"""Groups of numbers, each through a matrix of its own: what makes the kernels of a convolution from a few numbers.

The code for images works on one pixel too, but with a list of the addresses of its results, which may be a million.
"""

from string import Template

import numpy as np

from pumice.native.emit.writer import Writer, table
from pumice.native.expression import Result
from pumice.native.ir import Conv
from pumice.native.plan import LANES

FEW = 512
"""Results whose addresses may be listed."""

GROUPED = Template("""
MAYBE void ${name}(const Run *r, const int32_t *from, const float *w, const float *b, int groups, int in, int out,
        int to, const Operands *a) {
    float *d = r->arena + to;
    for (int g = 0; g < groups; g++, from += in, w += in * out, b += out) {
        for (int k = 0; k < out; k += LANES) { /* what is written too much, the next group covers */
            V x = v_load(b + k);
            for (int j = 0; j < in; j++) x += v_set(r->arena[from[j]]) * v_load(w + j * out + k);
            v_store(d + g * out + k, x);
        }
    }
    (void)a;
    ${after}
}
""")


def is_grouped(conv: Conv) -> bool:
    """Whether a convolution is that, and has many results."""
    one = conv.pointwise and conv.size == (1, 1) and isinstance(conv.before, Result) and conv.made is None
    return one and len(conv.outputs) > FEW


def grouped(writer: Writer, conv: Conv, lines: list[str]) -> None:
    """Append the call."""
    after = writer.written(conv.after, (1, 1))
    later = ""
    if not isinstance(conv.after, Result):
        later = (
            "for (int o = 0; o < groups * out; o++) { const int i = 0; (void)i; const float x = d[o]; "
            f"{after.ahead} d[o] = {after.number}; }}"
        )
    name = writer.kind(lambda n: GROUPED.substitute(name=n, after=later), "grouped", after)
    out, inputs = len(conv.weight) // conv.groups, conv.weight.shape[1]
    rows = conv.weight.reshape(conv.groups, out, inputs).swapaxes(1, 2).ravel()
    end = np.zeros(LANES, np.float32)  # the last vector may reach beyond the last row
    weight, bias = (writer.weights.add(np.concatenate([part, end])) for part in (rows, conv.bias))
    writer.operands("a", after, lines)
    lines.append(table("from", writer.places(conv.inputs)))
    to = int(writer.places(conv.outputs)[0])
    lines.append(
        f"{name}(r, from, r->weights + {weight}, r->weights + {bias}, {conv.groups}, {inputs}, {out}, {to}, &a);"
    )
