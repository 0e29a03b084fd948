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
            const int n = all - start < ${step} ? all - start : ${step};
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
                for (int i = 0; i < n; i += LANES)
                    v_store(p + i, {name}_before(r, before, v_load(q + i), g * in + k, start + i));
            }}"""
    parts = [done(name, "after", after)]
    if before is not None:
        parts.append(done(name, "before", before))
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
    return "\n".join(line if line.startswith("#") else " " * 20 + line for line in lines)
