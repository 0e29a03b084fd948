"""The largest of each window, of planes where they lie: of columns first, then side by side."""

from string import Template

from pumice.native.emit.around import Kernel
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written

MAX_POOL = Template("""
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, int count, int height, int width,
        int out_height, int out_width, int top, int left, const Operands *a) {
    const int vectors = (out_width + LANES - 1) / LANES;
    for (int o = 0; o < count; o++) {
        const float *p = r->arena + from[o];
        for (int y = 0; y < out_height; y++) {
            const float *z[${height}];
            for (int t = 0; t < ${height}; t++) {
                /* A row outside counts as the one at the edge, which every window that sees it sees too. */
                const int row = y * ${down} - top + t;
                z[t] = p + (long)(row < 0 ? 0 : row < height ? row : height - 1) * width;
            }
            for (int v = 0; v < vectors; v++) {
                const int x = v * LANES + LANES > out_width && out_width >= LANES ? out_width - LANES : v * LANES;
                const int i = y * out_width + x, at = x * ${across} - left;
                const int last = at + ((out_width - x < LANES ? out_width - x : LANES) - 1) * ${across} + ${taps} - 1;
                V m = at < 0 || last >= width ? ${name}_window(z, at, width, 1) : ${name}_window(z, at, width, 0);
                v_store(r->arena + to[o] + i, ${name}_after(r, a, m, o, i));
            }
        }
    }
}
""")


def max_pool(name: str, after: Written, kernel: Kernel) -> str:
    """The C of all maxima over windows of this size."""
    (height, taps), (down, across) = kernel
    return "".join(
        [
            done(name, "after", after),
            _window(name, height, taps, across),
            MAX_POOL.substitute(name=name, height=height, taps=taps, down=down, across=across),
        ]
    )


def _window(name: str, height: int, taps: int, across: int) -> str:
    """A function NAME_window of a vector of pixels; edge: whether a column can be outside, where there is nothing."""
    lines = [f"INLINE V {name}_window(const float *const *z, int at, int width, int edge) {{", "    V m, x;"]

    def highest(k: int, more: str = "") -> str:
        text = f"v_load(z[0] + at + {k}{more})"
        for y in range(1, height):
            text = f"v_max({text}, v_load(z[{y}] + at + {k}{more}))"
        return text

    for k in range(taps):
        if across == 1:
            lines.append(f"    x = {highest(k)};")
        elif across == 2:
            if k % 2 == 0:
                lines.append(f"    const V even{k} = {highest(k)}, odd{k} = {highest(k, ' + LANES')};")
            lines.append(f"    x = {'v_odds' if k % 2 else 'v_evens'}(even{k - k % 2}, odd{k - k % 2});")
        else:
            lines.append(f"    x = v_every(z[0] + at + {k}, {across}, width - at - {k});")
            lines += [
                f"    x = v_max(x, v_every(z[{y}] + at + {k}, {across}, width - at - {k}));" for y in range(1, height)
            ]
        lines.append(f"    if (edge) x = v_within(x, at + {k}, {across}, width);")
        lines.append("    m = v_max(m, x);" if k else "    m = x;")
    lines.append(f"    return {'v_ordered(m)' if across == 2 else 'm'};")
    return "\n".join([*lines, "}"]) + "\n"
