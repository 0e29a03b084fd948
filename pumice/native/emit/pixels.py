"""Convolutions of single pixels: products of a matrix and all pixels of an image."""

from string import Template

from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import tile
from pumice.native.plan import LANES

POINTWISE = Template("""
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, int groups, int in, int out, int many, int pixels, int step, const Operands *a,
        const Operands *before) {
    const int all = (pixels + LANES - 1) / LANES * LANES, tile = (WIDE ? 4 : ${columns}) * LANES;
    (void)before;
    /* Steps are so short that what a tile reads stays in the first-level cache for the next tile. */
    step = step > tile ? step / tile * tile : tile;
    for (int g = 0; g < groups; g++) {
        float *x = ${alone};
        for (int start = 0; start < all; start += step) {
            const int some = all - start < step ? all - start : step;
            /* A vector of which one pixel is needed: there, vectors of outputs cost less.  Odd squares have one. */
            const int lonely = start + some > pixels && pixels % LANES == 1;
            const int n = some - lonely * LANES;
${gather}
            if (lonely)
                for (int k = 0; k < in; k++) x[k] = ${last};
            const float *u = w + (long)g * in * out;
            for (int o = 0, block = 0; o < out; block++) {
                const int size = block < many ? ${big} : ${small}, c = g * out + o;
                int i = 0;
                if (size == ${big}) {
${big_tiles}
                }
${small_tiles}
                if (lonely) ${name}_one(r, a, u, b + c, x, in, size, to + c, c, start + n);
                u += size * in;
                o += size;
            }
        }
    }
}
""")

GATHER = """
            for (int k = 0; k < in; k++) {{
                const float *q = base + from[g * in + k] + start;
                float *p = r->scratch + (long)k * step;
                for (int i = 0; i < some; i += LANES)
                    v_store(p + i, {name}_before(r, before, v_load(q + i), g * in + k, start + i));
            }}"""

ONE_PIXEL = Template("""
/* One pixel of a tile's outputs, as vectors of outputs; in: the inputs side by side. */
INLINE void ${name}_one(const Run *r, const Operands *a, const float *w, const float *b, const float *in, int n,
        int outputs, const int32_t *to, int first, int i) {
    enum { MOST = (${most} + LANES - 1) / LANES };
    V sums[4][MOST];
    float results[MOST * LANES];
    int k = 0;
    (void)a; (void)i;
    for (int s = 0; s < 4; s++)
        for (int j = 0; j < MOST; j++) sums[s][j] = v_set(0.0f);
    for (; k + 4 <= n; k += 4, w += 4 * outputs)
        for (int s = 0; s < 4; s++)
            for (int j = 0; j < MOST; j++)
                sums[s][j] += v_set(in[k + s]) * v_load(w + s * outputs + j * LANES);
    for (; k < n; k++, w += outputs)
        for (int j = 0; j < MOST; j++) sums[0][j] += v_set(in[k]) * v_load(w + j * LANES);
    for (int j = 0; j < MOST; j++)
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
"""Outputs of a tile -> vectors side by side, for single pixels, with 16 and with 32 vector registers."""


def room(inputs: int, step: int, *, gathered: bool) -> int:
    """Numbers of the scratch that a convolution of single pixels needs."""
    return inputs * (1 + (max(step, 4 * LANES) if gathered else 0)) + LANES


def pointwise(name: str, sizes: tuple[int, ...], after: Written, before: Written | None) -> str:
    """The C of all convolutions of single pixels whose tiles have these numbers of outputs.

    before: done to each input, which are then gathered, behind one another; else they are read where they lie.
    """
    big, small = sizes[0], sizes[-1]
    linear = before is not None
    parts = [done(name, "after", after)]
    if before is not None:
        parts.append(done(name, "before", before))
    parts.append(ONE_PIXEL.substitute(name=name, ahead=after.ahead, number=after.number, most=big))
    for size in sizes:
        parts += [tile(name, size, 1, columns, linear=linear) for columns in (4, 2, 1)]
    parts.append(
        POINTWISE.substitute(
            name=name,
            columns=COLUMNS[big][0],
            alone="r->scratch + (long)in * step" if linear else "r->scratch",
            last="r->scratch[(long)k * step + n]" if linear else "base[from[g * in + k] + start + n]",
            gather=GATHER.format(name=name) if linear else "",
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
    return "\n".join(line if line.startswith("#") else " " * 20 + line for line in lines)
