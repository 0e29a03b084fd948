"""Convolutions of windows, over copies of planes with zeros around them."""

from string import Template

from pumice.native.emit.around import Kernel, around
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import stored, tile

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
    window_of: Kernel | None = None,
) -> str:
    """The C of all convolutions of windows whose tiles have these numbers of outputs.

    image: they read the caller's memory, which ends with the image.
    window_of: kernel and stride, where each output sees one plane and its tiles are written for them.
    """
    big, small = sizes[0], sizes[-1]
    parts = [done(name, "after", after)]
    for size in sizes:
        if window_of:
            parts += [_window(name, size, rows, *window_of) for rows in (4, 3, 2, 1)]
            continue
        heights = sorted({*ROWS[size], 1})
        parts += [tile(name, size, rows, columns, linear=False) for rows in heights for columns in (1, 2)]
    parts.append(around(name, before, image=image))
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


def _window_tiles(name: str, size: int) -> str:
    lines = ["(void)off;", "for (int y = 0; y < rows;) {", "    const int left = rows - y, high = left < 4 ? left : 4;"]
    lines.append("    const float *q = in + (long)y * s->stride_y * pitch;")
    lines.append("    const int width = s->out_width, at = (y0 + y) * width;")
    lines.append("    for (int k = 0; k < width; k += LANES) {")
    lines.append("        const int x = k + LANES > width && width >= LANES ? width - LANES : k;")
    for high in (4, 3, 2, 1):
        test = f"{'else ' if high < 4 else ''}{f'if (high == {high}) ' if high > 1 else ''}"
        lines.append(
            f"        {test}{name}_{size}x{high}(r, a, u, b + c, q + x, pitch, s->seg, to + c, width, c, at + x);"
        )
    lines += ["    }", "    y += high;", "}"]
    return "\n".join(" " * 24 + line for line in lines)


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


def _window(name: str, outputs: int, rows: int, kernel: tuple[int, int], stride: tuple[int, int]) -> str:
    """A function that computes a vector of pixels in each of several rows of `outputs` channels from one plane.

    Every vector of the plane is loaded once and goes into all rows that see it.
    """
    (height, width), (down, across) = kernel, stride
    sums = {(m, row): f"s{m}{'abcd'[row]}" for m in range(outputs) for row in range(rows)}
    lines = [
        f"INLINE void {name}_{outputs}x{rows}(const Run *r, const Operands *a, const float *w, const float *b,",
        "        const float *in, int pitch, int seg, const int32_t *to, int out_row, int o, int i) {",
    ]
    for m in range(outputs):
        first = sums[m, 0]
        others = "".join(f", {sums[m, row]} = {first}" for row in range(1, rows))
        lines.append(f"    V {first} = v_set(b[{m}]){others};")
    lines.append("    V x;")
    for y in range((rows - 1) * down + height):
        for k in range(width):
            place = f"{y} * pitch + {k % across} * seg + {k // across}"
            seen = [(row, y - row * down) for row in range(rows) if 0 <= y - row * down < height]
            if not seen:
                continue
            lines.append(f"    x = v_load(in + {place});")
            lines += [
                f"    {sums[m, row]} += v_set(w[{(tap * width + k) * outputs + m}]) * x;"
                for row, tap in seen
                for m in range(outputs)
            ]
    results = [(m, f" + {row} * out_row" if row else "", sums[m, row]) for m in range(outputs) for row in range(rows)]
    lines += stored(name, outputs, results)
    unused = [f"(void){one};" for one, used in (("seg", across > 1 and width > 1), ("out_row", rows > 1)) if not used]
    unused += ["(void)pitch;"] if (rows - 1) * down + height == 1 else []
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"
