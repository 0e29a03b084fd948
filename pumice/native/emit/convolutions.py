"""Convolutions as C: those of single pixels, and those of windows."""

from string import Template

from pumice.native.emit.tiles import tile

AFTER = Template("""
INLINE V ${name}_after(const Run *r, const Operands *a, V x, int o, int i) {
    (void)r; (void)a; (void)o; (void)i;
    return ${after};
}
""")

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

SPATIAL = Template("""
/* Rows of a plane with what is around them, columns that a stride apart in the image side by side. */
INLINE void ${name}_rows(const Run *r, const float *q, float *p, int height, int width, int first, int rows, int left,
        int stride, int seg, const Operands *a, int o) {
    (void)r; (void)a; (void)o;
    for (int y = first; y < first + rows; y++, p += stride * seg) {
        if (y < 0 || y >= height) {
            memset(p, 0, sizeof(float) * (size_t)(stride * seg));
            continue;
        }
        const float *s = q + (long)y * width;
        for (int phase = 0; phase < stride; phase++) {
            float *d = p + phase * seg;
            int lo = (left - phase + stride - 1) / stride, hi = (width - 1 + left - phase) / stride + 1;
            if (left < phase) lo = 0;
            if (hi > seg) hi = seg;
            if (lo > hi) lo = hi;
            for (int j = 0; j < lo; j++) d[j] = 0.0f;
            const float *z = s + (long)lo * stride + phase - left;
            if (stride == 1) {
                ${copy}
            } else if (stride == 2) {
                for (int j = lo; j < hi; j++, z += 2) {
                    const float x = *z;
                    d[j] = ${before};
                }
            } else {
                for (int j = lo; j < hi; j++, z += stride) {
                    const float x = *z;
                    d[j] = ${before};
                }
            }
            for (int j = hi; j < seg; j++) d[j] = 0.0f;
        }
    }
}

MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, const int32_t *off, const Window *s, const Operands *a, const Operands *before) {
    const int pitch = s->stride_x * s->seg;
    for (int g = 0; g < s->groups; g++) {
        for (int y0 = 0; y0 < s->out_height; y0 += s->strip) {
            const int rows = s->out_height - y0 < s->strip ? s->out_height - y0 : s->strip;
            for (int k = 0; k < s->in; k++)
                ${name}_rows(r, base + from[g * s->in + k], r->scratch + (long)k * s->plane, s->height, s->width,
                    y0 * s->stride_y - s->top, (rows - 1) * s->stride_y + s->reach, s->left, s->stride_x, s->seg,
                    before, g * s->in + k);
            const float *u = w + (long)g * s->taps * s->out;
            for (int o = 0, block = 0; o < s->out; block++) {
                const int size = block < s->many ? ${big} : ${small}, c = g * s->out + o;
                if (size == ${big}) {
${big_rows}
                }
${small_rows}
                u += size * s->taps;
                o += size;
            }
        }
    }
}
""")

WINDOW = """
typedef struct {
    int groups, in, out, many, taps;     /* of a group: inputs, outputs, tiles of the larger size, weights an output */
    int height, width, out_height, out_width;
    int top, left, stride_y, stride_x;
    int reach, seg, plane, strip;        /* rows under a window; columns, plane size and output rows in the scratch */
} Window;
"""

ROWS = {1: (4, 4), 2: (2, 4), 3: (1, 4), 4: (1, 2), 5: (1, 2), 6: (1, 2)}
"""Outputs of a tile -> its rows with 16 and with 32 vector registers."""
COLUMNS = {1: (4, 4), 2: (4, 4), 3: (4, 4), 4: (2, 4), 5: (2, 4), 6: (2, 4)}
"""Outputs of a tile -> vectors side by side, for single pixels."""


def pointwise(name: str, sizes: tuple[int, ...], after: str, before: str | None) -> str:
    """The C of all convolutions of single pixels whose tiles have these numbers of outputs."""
    big, small = sizes[0], sizes[-1]
    linear = before is not None
    gather = """
            for (int k = 0; k < in; k++) {{
                const float *q = base + from[g * in + k] + start;
                float *p = r->scratch + (long)k * step;
                for (int i = 0; i < n; i += LANES) v_store(p + i, {name}_before(r, before, v_load(q + i), g * in + k, start + i));
            }}"""
    parts = [AFTER.substitute(name=name, after=after)]
    if before is not None:
        parts.append(AFTER.substitute(name=name, after=before).replace("_after", "_before"))
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
    narrow, wide = COLUMNS[size]

    def call(columns: int) -> str:
        source = "r->scratch + i, step" if linear else "base + start + i, from + g * in"
        return (
            f"{name}_{size}x1x{columns}(r, a, u, b + c, {source}, in, 0, LANES, to + c, 0, c, start + i)"
        )

    lines = [f"for (; i + 4 * LANES <= n; i += 4 * LANES) {call(4)};"]
    if narrow == 2:
        lines = ["#if WIDE", *lines, "#endif"]
    lines += [f"for (; i + 2 * LANES <= n; i += 2 * LANES) {call(2)};", f"if (i < n) {call(1)};"]
    return "\n".join(line if line.startswith("#") else " " * 20 + line for line in lines)


def spatial(name: str, sizes: tuple[int, ...], after: str, before: str | None) -> str:
    """The C of all convolutions of windows whose tiles have these numbers of outputs."""
    big, small = sizes[0], sizes[-1]
    parts = [AFTER.substitute(name=name, after=after)]
    for size in sizes:
        heights = sorted({*ROWS[size], 1})
        parts += [tile(name, size, rows, columns, linear=False) for rows in heights for columns in (1, 2)]
    parts.append(
        SPATIAL.substitute(
            name=name,
            big=big,
            small=small,
            before=before or "x",
            copy="if (hi > lo) memcpy(d + lo, z, sizeof(float) * (size_t)(hi - lo));"
            if before is None
            else f"for (int j = lo; j < hi; j++, z++) {{ const float x = *z; d[j] = {before}; }}",
            big_rows=_row_tiles(name, big),
            small_rows="" if small == big else f"else {{\n{_row_tiles(name, small)}\n                }}",
        )
    )
    return "".join(parts)


def _row_tiles(name: str, size: int) -> str:
    narrow, wide = ROWS[size]
    lines = [f"const int most = WIDE ? {wide} : {narrow};", "for (int y = 0; y < rows;) {"]
    lines.append("    int high = 1;")
    heights = sorted({narrow, wide, 1}, reverse=True)
    for high in heights[:-1]:
        lines.append(f"    {'' if high == heights[0] else 'else '}if (most >= {high} && rows - y >= {high}) high = {high};")
    if len(heights) == 1:
        lines.append("    (void)most;")
    lines.append("    const float *q = r->scratch + (long)y * s->stride_y * pitch;")
    lines.append("    const int width = s->out_width, at = (y0 + y) * width, row = s->stride_y * pitch;")

    def call(high: int, columns: int, x: str, gap: str) -> str:
        return f"{name}_{size}x{high}x{columns}(r, a, u, b + c, q + {x}, off, s->taps, row, {gap}, to + c, width, c, at + {x})"

    for high in heights:
        test = f"if (high == {high}) " if high > 1 else ""
        lines.append(f"    {'' if high == heights[0] else 'else '}{test}{{")
        lines += [
            "        int x = 0;",
            f"        for (; x + 2 * LANES <= width; x += 2 * LANES) {call(high, 2, 'x', 'LANES')};",
            "        const int left = width - x;",
            f"        if (left > LANES && x > 0) {call(high, 2, 'width - 2 * LANES', 'LANES')};",
            f"        else if (left > LANES) {call(high, 2, '0', 'width - LANES')};",
            f"        else if (left > 0 && width >= LANES) {call(high, 1, '(width - LANES)', '0')};",
            f"        else if (left > 0) {call(high, 1, '0', '0')};",
            "    }",
        ]
    lines += ["    y += high;", "}"]
    return "\n".join(" " * 20 + line for line in lines)
