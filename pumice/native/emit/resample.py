"""Weighted sums of rows and columns: what resizes and cuts images."""

from string import Template

import numpy as np

from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.writer import Writer, table
from pumice.native.ir import Resample, Taps
from pumice.native.plan import LANES

RESAMPLE = Template("""
/* Rows are made as wide as the output when they are first needed; as many are kept as one row of the output sees. */
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, int count, int width, int out_height,
        int out_width, int seg, const int32_t *rows, const float *down, const int32_t *columns, const float *across,
        const Operands *a) {
    (void)seg; (void)down; (void)columns; (void)across;
    for (int o = 0; o < count; o++) {
        const float *p = r->arena + from[o], *z[${high}];
        ${forget}
        for (int y = 0; y < out_height; y++) {
            for (int t = 0; t < ${high}; t++) {
                const int row = rows[y * ${high} + t];
                const float *q = p + (long)row * width;
                ${make}
            }
            for (int k = 0; k < out_width; k += LANES) {
                const int at = k + LANES > out_width && out_width >= LANES ? out_width - LANES : k;
                const int i = y * out_width + at;
                V x = ${first};
                ${others}
                v_store(r->arena + to[o] + i, ${name}_after(r, a, x, o, i));
            }
        }
    }
}
""")

WIDER = Template("""float *d = r->scratch + (row % ${high}) * seg;
                z[t] = d;
                if (held[row % ${high}] == row) continue;
                held[row % ${high}] = row;
                for (int x = 0; x < out_width; x++) {
                    ${sum}
                }""")


def resampled(writer: Writer, one: Resample, lines: list[str]) -> None:
    """Append the call that resamples."""
    after = writer.written(one.after, one.out_size)
    name = writer.kind(lambda n: _function(n, after, one), "resample", after, *map(_kind, (one.rows, one.columns)))
    writer.operands("a", after, lines)
    lines += [table("from", writer.places(one.inputs)), table("to", writer.places(one.outputs))]
    lines += [table(key, taps.places.ravel()) for key, taps in (("rows", one.rows), ("columns", one.columns))]
    down, across = (writer.weights.add(taps.weights) for taps in (one.rows, one.columns))
    (height, width), seg = one.out_size, -(-max(one.out_size[1], LANES) // LANES) * LANES
    writer.scratch = max(writer.scratch, one.rows.places.shape[1] * seg)
    lines.append(
        f"{name}(r, from, to, {len(one.outputs)}, {one.size[1]}, {height}, {width}, {seg}, rows, r->weights + {down}, "
        f"columns, r->weights + {across}, &a);"
    )


def _kind(taps: Taps) -> tuple[int, bool, bool]:
    """How many taps; whether they only copy; whether all columns stay where they are."""
    count = taps.places.shape[1]
    copies = count == 1 and bool((taps.weights == 1).all())
    return count, copies, copies and bool((taps.places[:, 0] == np.arange(len(taps.places))).all())


def _function(name: str, after: Written, one: Resample) -> str:
    high, copies_rows, _ = _kind(one.rows)
    wide, copies, stay = _kind(one.columns)
    first = "v_load(z[0] + at)"
    others = ""
    if not copies_rows:
        first = f"v_set(down[y * {high}]) * {first}"
        others = f"for (int t = 1; t < {high}; t++) x += v_set(down[y * {high} + t]) * v_load(z[t] + at);"
    if copies:
        total = "d[x] = q[columns[x]];"
    else:
        total = (
            f"float s = 0.0f;\n                    for (int j = 0; j < {wide}; j++) "
            f"s += across[x * {wide} + j] * q[columns[x * {wide} + j]];\n                    d[x] = s;"
        )
    return done(name, "after", after) + RESAMPLE.substitute(
        name=name,
        high=high,
        forget="" if stay else f"int held[{high}];\n        for (int t = 0; t < {high}; t++) held[t] = -1;",
        make="z[t] = q;" if stay else WIDER.substitute(high=high, sum=total),
        first=first,
        others=others if high > 1 else "",
    )
