"""Convolutions as C: those of single pixels, and those of windows."""

from string import Template

from pumice.native.emit.expressions import Written

from pumice.native.emit.tiles import direct, tile, window

AFTER = Template("""
INLINE V ${name}_after(const Run *r, const Operands *a, V x, int o, int i) {
    (void)r; (void)a; (void)o; (void)i;
    ${ahead}
    return ${vector};
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

ROWS_AROUND = Template("""
/* Rows of a plane with what is around them, columns that a stride apart in the image side by side.  Whole vectors are
   written, left to right, so that what one writes too much the next one covers. */
INLINE void ${name}_rows(const Run *r, const float *q, float *p, const Window *s, int first, int rows, const Operands *a,
        int o) {
    const int seg = s->seg, width = s->width, step = s->stride_x, left = s->left;
    (void)r; (void)a; (void)o;
    ${ahead}
    for (int y = first; y < first + rows; y++, p += step * seg) {
        const float *z = q + (long)y * width;
        if (y < 0 || y >= s->height) {
            for (int j = 0; j < step * seg; j += LANES) v_store(p + j, v_set(${outside}));
        } else if (step == 1) {
            for (int j = 0; j < left; j += LANES) v_store(p + j, v_set(${outside}));
            float *d = p + left;
            int j = 0;
            for (; j + LANES <= width; j += LANES) {
                const V x = v_load(z + j);
                v_store(d + j, ${vector});
            }
            if (j < width) {
                const V x = ${some}(z + j, width - j);
                v_store(d + j, ${vector});
            }
            for (j = width; left + j < s->used; j += LANES) v_store(d + j, v_set(${outside}));
        } else if (step == 2) {
            float *even = p + (left & 1) * seg, *odd = p + (~left & 1) * seg;
            for (int j = 0; j < left; j += LANES) {
                v_store(even + j, v_set(${outside}));
                v_store(odd + j, v_set(${outside}));
            }
            even += left / 2, odd += (left + 1) / 2;
            int j = 0;
            for (; j + 2 * LANES <= width; j += 2 * LANES, even += LANES, odd += LANES) {
                V m = v_load(z + j), n = v_load(z + j + LANES), x = v_even(m, n);
                v_store(even, ${vector});
                x = v_odd(m, n);
                v_store(odd, ${vector});
            }
            if (j < width) {
                const int more = width - j;
                V m = ${some}(z + j, more), n = ${some}(z + j + LANES, more - LANES), x = v_even(m, n);
                v_store(even, ${vector});
                x = v_odd(m, n);
                v_store(odd, ${vector});
                even += (more + 1) / 2, odd += more / 2;
            }
            for (float *end = p + (left & 1) * seg + s->used; even < end; even += LANES) v_store(even, v_set(${outside}));
            for (float *end = p + (~left & 1) * seg + s->used; odd < end; odd += LANES) v_store(odd, v_set(${outside}));
        } else {
            for (int j = 0; j < step * seg; j++) p[j] = ${outside};
            for (int j = 0; j < width; j++) {
                const float x = z[j];
                p[(j + left) % step * seg + (j + left) / step] = ${number};
            }
        }
    }
}
""")

SPATIAL = Template("""
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, const int32_t *off, const Window *s, const Operands *a, const Operands *before) {
    const int pitch = s->stride_x * s->seg;
    for (int g0 = 0; g0 < s->groups; g0 += s->batch) {
        const int end = g0 + s->batch < s->groups ? g0 + s->batch : s->groups;
        for (int y0 = 0; y0 < s->out_height; y0 += s->strip) {
            const int rows = s->out_height - y0 < s->strip ? s->out_height - y0 : s->strip;
            /* Several groups at a time: what was stored this moment is slow to load in other pieces. */
            for (int k = g0 * s->in; k < end * s->in; k++)
                ${name}_rows(r, base + from[k], r->scratch + (long)(k - g0 * s->in) * s->plane, s,
                    y0 * s->stride_y - s->top, (rows - 1) * s->stride_y + s->reach, before, k);
            for (int g = g0; g < end; g++) {
                const float *in = r->scratch + (long)(g - g0) * s->in * s->plane;
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
}
""")

DIRECT = Template("""
/* Each output sees one plane, which is read where it lies. */
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, const float *w, const float *b, const Window *s,
        const Operands *a) {
    const int width = s->out_width, count = (width + LANES - 1) / LANES;
    VI masks[${most} * ${taps}];
    char inside[${most}];
    int32_t mask[LANES];
    for (int v = 0; v < count; v++) {
        const int x = v * LANES + LANES > width && width >= LANES ? width - LANES : v * LANES;
        inside[v] = x >= s->left && x + LANES - 1 - s->left + ${taps} <= s->width;
        for (int k = 0; k < ${taps}; k++) {
            for (int lane = 0; lane < LANES; lane++) {
                const int at = x + lane - s->left + k;
                mask[lane] = -(at >= 0 && at < s->width);
            }
            memcpy(&masks[v * ${taps} + k], mask, sizeof mask);
        }
    }
    memset(r->scratch, 0, sizeof(float) * (size_t)(s->width + 4 * 16));
    for (int c = 0; c < s->groups; c++) {
        const float *p = r->arena + from[c];
        for (int y = 0, high; y < s->out_height; y += high) {
            high = s->out_height - y < ${rows} ? s->out_height - y : ${rows};
            const float *z[${reach}];
            for (int t = 0; t < ${reach}; t++) {
                const int row = y * s->stride_y - s->top + t;
                z[t] = row >= 0 && row < s->height ? p + (long)row * s->width : r->scratch + 16;
            }
            for (int v = 0; v < count; v++) {
                const int x = v * LANES + LANES > width && width >= LANES ? width - LANES : v * LANES;
                const int i = y * width + x, o = c * ${size};
                const long at = (long)x - s->left;
                const VI *m = masks + v * ${taps};
${tiles}
            }
        }
        w += ${size} * s->taps;
        b += ${size};
        to += ${size};
    }
}
""")

MAX_POOL = Template("""
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const int32_t *off,
        const Window *s, const Operands *a) {
    const int pitch = s->stride_x * s->seg, width = s->out_width;
    (void)off;
    for (int o = 0; o < s->groups; o++) {
        ${name}_rows(r, base + from[o], r->scratch, s, -s->top, (s->out_height - 1) * s->stride_y + s->reach, 0, o);
        for (int y = 0; y < s->out_height; y++) {
            for (int k = 0; k < width; k += LANES) {
                const int at = k + LANES > width && width >= LANES ? width - LANES : k, i = y * width + at;
                const float *q = r->scratch + (long)y * s->stride_y * pitch + at;
                V x = v_load(q + ${first});
${others}
                v_store(r->arena + to[o] + i, ${name}_after(r, a, x, o, i));
            }
        }
    }
}
""")

Kernel = tuple[tuple[int, int], tuple[int, int]]

WINDOW = """
typedef struct {
    int groups, in, out, many, taps;     /* of a group: inputs, outputs, tiles of the larger size, weights an output */
    int height, width, out_height, out_width;
    int top, left, stride_y, stride_x;
    int reach, seg, used, plane, strip, batch; /* rows under a window; of what is gathered: columns, columns seen,
                                            numbers of a plane, output rows, groups */
} Window;
"""

ROWS = {1: (4, 4), 2: (2, 4), 3: (1, 4), 4: (1, 2), 5: (1, 2), 6: (1, 2)}
"""Outputs of a tile -> its rows with 16 and with 32 vector registers."""
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
                for (int i = 0; i < n; i += LANES) v_store(p + i, {name}_before(r, before, v_load(q + i), g * in + k, start + i));
            }}"""
    parts = [AFTER.substitute(name=name, ahead=after.ahead, vector=after.vector)]
    if before is not None:
        parts.append(AFTER.substitute(name=name, ahead=before.ahead, vector=before.vector).replace("_after", "_before"))
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


def spatial(
    name: str, sizes: tuple[int, ...], after: Written, before: Written | None, *, image: bool, window_of: Kernel | None = None
) -> str:
    """The C of all convolutions of windows whose tiles have these numbers of outputs.

    image: they read the caller's memory, which ends with the image.
    window_of: kernel and stride, where each output sees one plane and its tiles are written for them.
    """
    big, small = sizes[0], sizes[-1]
    parts = [AFTER.substitute(name=name, ahead=after.ahead, vector=after.vector)]
    for size in sizes:
        if window_of:
            parts += [window(name, size, rows, *window_of) for rows in (4, 3, 2, 1)]
            continue
        heights = sorted({*ROWS[size], 1})
        parts += [tile(name, size, rows, columns, linear=False) for rows in heights for columns in (1, 2)]
    parts.append(_around(name, before, image=image))
    rows_of = _window_tiles if window_of else _row_tiles
    parts.append(
        SPATIAL.substitute(
            name=name,
            big=big,
            small=small,
            big_rows=rows_of(name, big),
            small_rows="" if small == big else f"else {{\n{rows_of(name, small)}\n                    }}",
        )
    )
    return "".join(parts)


def depthwise(name: str, size: int, after: Written, kernel: Kernel, most: int) -> str:
    """The C of all convolutions of this kernel and stride where each plane has `size` outputs of its own.

    most: vectors in a row of the widest output, for vectors of one number up.
    """
    rows = 4
    parts = [AFTER.substitute(name=name, ahead=after.ahead, vector=after.vector)]
    tiles = []
    for high in range(rows, 0, -1):
        parts += [direct(name, size, high, kernel[0], kernel[1][0], edge=edge) for edge in (True, False)]
        test = f"{'else ' if high < rows else ''}{f'if (high == {high}) ' if high > 1 else ''}"
        call = f"(r, a, w, b, z, at, m, to, width, o, i)"
        tiles.append(f"                {test}{{")
        tiles.append(f"                    if (inside[v]) {name}_{size}x{high}i{call};")
        tiles.append(f"                    else {name}_{size}x{high}e{call};")
        tiles.append("                }")
    reach = (rows - 1) * kernel[1][0] + kernel[0][0]
    parts.append(
        DIRECT.substitute(
            name=name, size=size, taps=kernel[0][1], most=f"({most} / LANES + 1)", rows=rows, reach=reach, tiles="\n".join(tiles)
        )
    )
    return "".join(parts)


def max_pool(name: str, after: Written, kernel: Kernel) -> str:
    """The C of all maxima over windows of this size."""
    (height, width), (_, across) = kernel
    taps = [f"{y} * pitch + {k % across} * s->seg + {k // across}" for y in range(height) for k in range(width)]
    lines = "\n".join(f"                x = v_max(x, v_load(q + {tap}));" for tap in taps[1:])
    return "".join(
        [
            AFTER.substitute(name=name, ahead=after.ahead, vector=after.vector),
            _around(name, None, image=False, outside="-INFINITY"),
            MAX_POOL.substitute(name=name, first=taps[0], others=lines),
        ]
    )


def _around(name: str, before: Written | None, *, image: bool, outside: str = "0.0f") -> str:
    return ROWS_AROUND.substitute(
        name=name,
        outside=outside,
        ahead=before.ahead if before else "",
        vector=before.vector if before else "x",
        number=before.number if before else "x",
        some="v_load_some" if image else "v_load_over",
    )


def _window_tiles(name: str, size: int) -> str:
    lines = ["(void)off;", "for (int y = 0; y < rows;) {", "    const int left = rows - y, high = left < 4 ? left : 4;"]
    lines.append("    const float *q = in + (long)y * s->stride_y * pitch;")
    lines.append("    const int width = s->out_width, at = (y0 + y) * width;")
    lines.append("    for (int k = 0; k < width; k += LANES) {")
    lines.append("        const int x = k + LANES > width && width >= LANES ? width - LANES : k;")
    for high in (4, 3, 2, 1):
        test = f"{'else ' if high < 4 else ''}{f'if (high == {high}) ' if high > 1 else ''}"
        lines.append(f"        {test}{name}_{size}x{high}(r, a, u, b + c, q + x, pitch, s->seg, to + c, width, c, at + x);")
    lines += ["    }", "    y += high;", "}"]
    return "\n".join(" " * 24 + line for line in lines)


def _row_tiles(name: str, size: int) -> str:
    narrow, wide = ROWS[size]
    lines = [f"const int most = WIDE ? {wide} : {narrow};", "for (int y = 0; y < rows;) {"]
    lines.append("    int high = 1;")
    heights = sorted({narrow, wide, 1}, reverse=True)
    for high in heights[:-1]:
        lines.append(f"    {'' if high == heights[0] else 'else '}if (most >= {high} && rows - y >= {high}) high = {high};")
    if len(heights) == 1:
        lines.append("    (void)most;")
    lines.append("    const float *q = in + (long)y * s->stride_y * pitch;")
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
