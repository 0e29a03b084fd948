"""Convolutions of single pixels: products of a matrix and all pixels of an image."""

from string import Template

from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import tile

POINTWISE = Template("""
/* Pixels are taken ${what} */
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, int groups, int in, int out, int many, int pixels, int step, const Operands *a,
        const Operands *before) {
    const int all = (pixels + LANES - 1) / LANES * LANES;
    (void)before; (void)step;
    for (int g = 0; g < groups; g++) {
        for (int start = 0; start < all; start += ${step}) {
            const int some = all - start < ${step} ? all - start : ${step};
            /* A vector of which one pixel is needed: there, vectors of outputs cost less.  Odd squares have one. */
            const int lonely = start + some > pixels && pixels % LANES == 1;
            const int n = some - lonely * LANES;
${gather}
            const float *u = w + (long)g * in * out;
            for (int o = 0, block = 0; o < out; block++) {
                const int size = block < many ? ${big} : ${small}, c = g * out + o;
                int i = 0;
                if (size == ${big}) {
${big_tiles}
                }
${small_tiles}
                u += size * in;
                o += size;
            }
        }
    }
}
""")

ONE_PIXEL = Template("""
/* One pixel of a tile's outputs: up to LANES of them are one vector. */
INLINE void ${name}_one(const Run *r, const Operands *a, const float *w, const float *b, const float *in, int step,
        const int32_t *off, int n, int outputs, const int32_t *to, int first, int i) {
    V sums[4][(6 + LANES - 1) / LANES];
    float results[(6 + LANES - 1) / LANES * LANES];
    const int count = (outputs + LANES - 1) / LANES;
    int k = 0;
    (void)a; (void)i; (void)step; (void)off;
    for (int s = 0; s < 4; s++)
        for (int j = 0; j < count; j++) sums[s][j] = v_set(0.0f);
    for (; k + 4 <= n; k += 4)
        for (int s = 0; s < 4; s++)
            for (int j = 0; j < count; j++)
                sums[s][j] += v_set(in[${place}]) * v_load(w + (k + s) * outputs + j * LANES);
    for (; k < n; k++)
        for (int s = 0, j = 0; j < count; j++) sums[0][j] += v_set(in[${place}]) * v_load(w + k * outputs + j * LANES);
    for (int j = 0; j < count; j++)
        v_store(results + j * LANES, (sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j]));
    for (int m = 0; m < outputs; m++) {
        const int o = first + m;
        const float x = results[m] + b[m];
        (void)o;
        ${ahead}
        r->arena[to[m] + i] = ${number};
    }
}
""")

COLUMNS = {1: (4, 4), 2: (4, 4), 3: (4, 4), 4: (2, 4), 5: (2, 4), 6: (2, 4)}
"""Outputs of a tile -> vectors side by side, for single pixels."""


def pointwise(name: str, sizes: tuple[int, ...], after: Written, before: Written | None) -> str:
    """The C of all convolutions of single pixels whose tiles have these numbers of outputs."""
    big, small = sizes[0], sizes[-1]
    linear = before is not None
    gather = """
            for (int k = 0; k < in; k++) {{
                const float *q = base + from[g * in + k] + start;
                float *p = r->scratch + (long)k * step;
                for (int i = 0; i < some; i += LANES)
                    v_store(p + i, {name}_before(r, before, v_load(q + i), g * in + k, start + i));
            }}"""
    parts = [done(name, "after", after)]
    if before is not None:
        parts.append(done(name, "before", before))
    parts.append(ONE_PIXEL.substitute(name=name, ahead=after.ahead, number=after.number, place=_place(linear)))
    for size in sizes:
        parts += [tile(name, size, 1, columns, linear=linear) for columns in (4, 2, 1)]
    parts.append(
        POINTWISE.substitute(
            name=name,
            what="a step at a time into the scratch, inputs behind one another." if linear else "where they lie.",
            step="step" if linear else "all",
            gather=gather.format(name=name) if linear else "",
            big=big,
            small=small,
            big_tiles=_pixel_tiles(name, big, linear),
            small_tiles="" if small == big else f"else {{\n{_pixel_tiles(name, small, linear)}\n                }}",
        )
    )
    return "".join(parts)


def _pixel_tiles(name: str, size: int, linear: bool) -> str:
    narrow, _ = COLUMNS[size]

    def call(columns: int) -> str:
        source = "r->scratch + i, step" if linear else "base + start + i, from + g * in"
        return f"{name}_{size}x1x{columns}(r, a, u, b + c, {source}, in, 0, LANES, to + c, 0, c, start + i)"

    lines = [f"for (; i + 4 * LANES <= n; i += 4 * LANES) {call(4)};"]
    if narrow == 2:
        lines = ["#if WIDE", *lines, "#endif"]
    lines += [f"for (; i + 2 * LANES <= n; i += 2 * LANES) {call(2)};", f"if (i < n) {call(1)};"]
    source = "r->scratch + n, step, 0" if linear else "base + start + n, 0, from + g * in"
    lines.append(f"if (lonely) {name}_one(r, a, u, b + c, {source}, in, {size}, to + c, c, start + n);")
    return "\n".join(line if line.startswith("#") else " " * 20 + line for line in lines)


def _place(linear: bool) -> str:
    return "(long)(k + s) * step" if linear else "off[k + s]"
