"""Convolutions of windows, over copies of planes with zeros around them."""

from string import Template

from pumice.native.emit.around import around
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import tile

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

ROWS = {1: (4, 4), 2: (2, 4), 3: (1, 4), 4: (1, 2), 5: (1, 2), 6: (1, 2)}
"""Outputs of a tile -> its rows with 16 and with 32 vector registers."""


def spatial(
    name: str,
    sizes: tuple[int, ...],
    after: Written,
    before: Written | None,
    *,
    image: bool,
) -> str:
    """The C of all convolutions of windows whose tiles have these numbers of outputs.

    image: they read the caller's memory, which ends with the image.
    """
    big, small = sizes[0], sizes[-1]
    parts = [done(name, "after", after)]
    for size in sizes:
        heights = sorted({*ROWS[size], 1})
        parts += [tile(name, size, rows, columns, linear=False) for rows in heights for columns in (1, 2)]
    parts.append(around(name, before, image=image))
    parts.append(
        SPATIAL.substitute(
            name=name,
            big=big,
            small=small,
            big_rows=_row_tiles(name, big),
            small_rows="" if small == big else f"else {{\n{_row_tiles(name, small)}\n                    }}",
        )
    )
    return "".join(parts)


def _row_tiles(name: str, size: int) -> str:
    narrow, wide = ROWS[size]
    lines = [f"const int most = WIDE ? {wide} : {narrow};", "for (int y = 0; y < rows;) {"]
    lines.append("    int high = 1;")
    heights = sorted({narrow, wide, 1}, reverse=True)
    lines += [
        f"    {'' if high == heights[0] else 'else '}if (most >= {high} && rows - y >= {high}) high = {high};"
        for high in heights[:-1]
    ]
    if len(heights) == 1:
        lines.append("    (void)most;")
    lines.append("    const float *q = in + (long)y * s->stride_y * pitch;")
    lines.append("    const int width = s->out_width, at = (y0 + y) * width, row = s->stride_y * pitch;")

    def call(high: int, columns: int, x: str, gap: str) -> str:
        where = f"q + {x}, off, s->taps, row, {gap}, to + c, width, c, at + {x}"
        return f"{name}_{size}x{high}x{columns}(r, a, u, b + c, {where})"

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
