"""Convolutions of windows where each plane has outputs of its own: planes are read where they lie."""

from string import Template

from pumice.native.emit.around import Kernel
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import stored

DIRECT = Template("""
/* Each output sees one plane, which is read where it lies. */
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, const float *w, const float *b,
        const Window *s, const Operands *a) {
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


def depthwise(name: str, size: int, after: Written, kernel: Kernel, most: int) -> str:
    """The C of all convolutions of this kernel and stride where each plane has `size` outputs of its own.

    most: vectors in a row of the widest output, for vectors of one number up.
    """
    rows = 4
    parts = [done(name, "after", after)]
    tiles = []
    for high in range(rows, 0, -1):
        parts += [_direct(name, size, high, kernel[0], kernel[1][0], edge=edge) for edge in (True, False)]
        test = f"{'else ' if high < rows else ''}{f'if (high == {high}) ' if high > 1 else ''}"
        call = "(r, a, w, b, z, at, m, to, width, o, i)"
        tiles.append(f"                {test}{{")
        tiles.append(f"                    if (inside[v]) {name}_{size}x{high}i{call};")
        tiles.append(f"                    else {name}_{size}x{high}e{call};")
        tiles.append("                }")
    reach = (rows - 1) * kernel[1][0] + kernel[0][0]
    parts.append(
        DIRECT.substitute(
            name=name,
            size=size,
            taps=kernel[0][1],
            most=f"({most} / LANES + 1)",
            rows=rows,
            reach=reach,
            tiles="\n".join(tiles),
        )
    )
    return "".join(parts)


def _direct(name: str, outputs: int, rows: int, kernel: tuple[int, int], down: int, *, edge: bool) -> str:
    """A function that computes a vector of pixels in each of several rows of `outputs` channels from one plane.

    Rows are read by their addresses, those outside from zeros; columns outside are masked away.

    down: rows from one window to the next; columns are next to each other.
    edge: whether any column of the vector can be outside; else there are no masks.
    """
    height, width = kernel
    sums = {(m, row): f"s{m}{'abcd'[row]}" for m in range(outputs) for row in range(rows)}
    lines = [
        f"INLINE void {name}_{outputs}x{rows}{'e' if edge else 'i'}(const Run *r, const Operands *a, const float *w,",
        "        const float *b, const float *const *z, long at, const VI *mask, const int32_t *to, int out_row,",
        "        int o, int i) {",
    ]
    for m in range(outputs):
        first = sums[m, 0]
        others = "".join(f", {sums[m, row]} = {first}" for row in range(1, rows))
        lines.append(f"    V {first} = v_set(b[{m}]){others};")
    lines.append("    V x;")
    for y in range((rows - 1) * down + height):
        seen = [(row, y - row * down) for row in range(rows) if 0 <= y - row * down < height]
        if not seen:
            continue
        for k in range(width):
            lines.append(f"    x = v_load(z[{y}] + at + {k});")
            if edge:
                lines.append(f"    x = v_and(x, mask[{k}]);")
            lines.append("    KEEP(x);")
            lines += [
                f"    {sums[m, row]} += v_set(w[{(tap * width + k) * outputs + m}]) * x;"
                for row, tap in seen
                for m in range(outputs)
            ]
    results = [(m, f" + {row} * out_row" if row else "", sums[m, row]) for m in range(outputs) for row in range(rows)]
    lines += stored(name, outputs, results)
    unused = [f"(void){one};" for one, used in (("mask", edge), ("out_row", rows > 1)) if not used]
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"
