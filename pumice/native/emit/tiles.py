"""The innermost loops: a few outputs times a few vectors of pixels, all of them in registers.

One step of the loop reads a vector of each place and a weight of each output, and adds every product; nothing is stored
before the end.  The text is written out, without loops over outputs or vectors, so that no compiler has to unroll it.
"""

OUTPUTS = 6
"""Most outputs of a tile: with two vectors each, 12 of 16 registers; with four, 24 of 32."""


def tile(name: str, outputs: int, rows: int, columns: int, *, linear: bool) -> str:
    """A function that adds up `outputs` channels over rows x columns vectors of pixels and stores them.

    Args:
        name: of the instance; the C functions NAME_after and tile NAME_OUTPUTSxROWSxCOLUMNS go together.
        linear: inputs lie `step` apart; else their places are in a list.
    """
    places = [(row, column) for row in range(rows) for column in range(columns)]
    sums = {(m, p): f"s{m}{'abcdefghijklmnop'[p]}" for m in range(outputs) for p in range(len(places))}
    lines = [
        f"INLINE void {name}_{outputs}x{rows}x{columns}(const Run *r, const Operands *a, const float *w, const float *b,",
        f"        const float *in, {'int step' if linear else 'const int32_t *off'}, int n, int row, int column,",
        "        const int32_t *to, int out_row, int o, int i) {",
    ]
    for m in range(outputs):
        first = sums[m, 0]
        lines.append(f"    V {first} = v_set(b[{m}])" + "".join(f", {sums[m, p]} = {first}" for p in range(1, len(places))) + ";")
    lines.append(f"    for (int k = 0; k < n; k++, w += {outputs}{', in += step' if linear else ''}) {{")
    if not linear:
        lines.append("        const float *q = in + off[k];")
    source = "in" if linear else "q"
    for p, (row, column) in enumerate(places):
        lines.append(f"        const V x{p} = v_load({source}{_at(row, column, 'row')});")
    for m in range(outputs):
        lines.append(f"        const V w{m} = v_set(w[{m}]);")
        lines.append("        " + " ".join(f"{sums[m, p]} += w{m} * x{p};" for p in range(len(places))))
    lines.append("    }")
    for m in range(outputs):
        lines.append(f"    float *d{m} = r->arena + to[{m}] + i;")
        for p, (row, column) in enumerate(places):
            at = _at(row, column, "out_row")
            where = f"i{at}"
            lines.append(f"    v_store(d{m}{at}, {name}_after(r, a, {sums[m, p]}, o + {m}, {where}));")
    unused = ["(void)row;", "(void)out_row;"] if rows == 1 else []
    unused += ["(void)column;"] if columns == 1 else []
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"


def window(name: str, outputs: int, rows: int, kernel: tuple[int, int], stride: tuple[int, int]) -> str:
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
    for m in range(outputs):
        lines.append(f"    float *d{m} = r->arena + to[{m}] + i;")
        for row in range(rows):
            at = f" + {row} * out_row" if row else ""
            lines.append(f"    v_store(d{m}{at}, {name}_after(r, a, {sums[m, row]}, o + {m}, i{at}));")
    unused = [f"(void){one};" for one, used in (("seg", across > 1 and width > 1), ("out_row", rows > 1)) if not used]
    unused += ["(void)pitch;"] if (rows - 1) * down + height == 1 else []
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"


def direct(
    name: str, outputs: int, rows: int, kernel: tuple[int, int], down: int, *, edge: bool
) -> str:
    """Like `window`, from a plane where it lies: rows by their addresses, columns outside masked away.

    down: rows from one window to the next; columns are next to each other.
    edge: whether any column of the vector can be outside; else there are no masks.
    """
    height, width = kernel
    sums = {(m, row): f"s{m}{'abcd'[row]}" for m in range(outputs) for row in range(rows)}
    lines = [
        f"INLINE void {name}_{outputs}x{rows}{'e' if edge else 'i'}(const Run *r, const Operands *a, const float *w,",
        "        const float *b, const float *const *z, long at, const VI *mask, const int32_t *to, int out_row, int o,",
        "        int i) {",
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
    for m in range(outputs):
        lines.append(f"    float *d{m} = r->arena + to[{m}] + i;")
        for row in range(rows):
            step = f" + {row} * out_row" if row else ""
            lines.append(f"    v_store(d{m}{step}, {name}_after(r, a, {sums[m, row]}, o + {m}, i{step}));")
    unused = [f"(void){one};" for one, used in (("mask", edge), ("out_row", rows > 1)) if not used]
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"


def _at(row: int, column: int, step: str) -> str:
    parts = [f"{row} * {step}" if row > 1 else step] if row else []
    parts += [f"{column} * column" if column > 1 else "column"] if column else []
    return "".join(f" + {part}" for part in parts)


def blocks(outputs: int) -> tuple[int, int]:
    """Channels of a group shared out over tiles: the size of the first ones, and how many of those there are; the
    others are one smaller.
    """
    count = -(-outputs // OUTPUTS)
    size = -(-outputs // count)
    return size, outputs - count * (size - 1)


def tile_sizes(outputs: int) -> tuple[int, ...]:
    """The one or two sizes of a group's tiles, the larger one first."""
    size, many = blocks(outputs)
    return (size,) if many * size == outputs else (size, size - 1)
