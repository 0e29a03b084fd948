"""Convolutions of windows where each plane has outputs of its own: planes are read where they lie.

Up to eight vectors, one below the other, are added up side by side, for a product waits for the one before it in its
sum.  With a stride of 2 every second column is taken from two vectors, without bringing those of the first before those
of the second; that is done once, to the sums.
"""

from string import Template

from pumice.native.emit.around import Kernel
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import stored
from pumice.native.ir import Conv
from pumice.native.plan import LANES

SUMS = 8
"""Vectors that are added up side by side."""

DIRECT = Template("""
/* Each output sees one plane, which is read where it lies. */
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, const Window *s, const Operands *a, const Operands *before) {
    const int width = s->out_width, count = (width + LANES - 1) / LANES;
    VI masks[${most} * ${taps}];
    const int32_t order[] = {${order}};
    int32_t mask[LANES];
    char inside[${most}];
    for (int v = 0; v < count; v++) {
        const int x = v * LANES + LANES > width && width >= LANES ? width - LANES : v * LANES;
        inside[v] = 1;
        for (int k = 0; k < ${taps}; k++) {
            for (int lane = 0; lane < LANES; lane++) {
                const int at = (x + order[lane]) * ${across} - s->left + k;
                mask[lane] = -(at >= 0 && at < s->width);
                if (!mask[lane] && x + lane < width) inside[v] = 0;
            }
            memcpy(&masks[v * ${taps} + k], mask, sizeof mask);
        }
    }
    (void)before;
    memset(r->scratch, 0, sizeof(float) * (size_t)(s->width + 4 * 16));
    for (int c = 0; c < s->groups; c++) {
        const float *p = base + from[c];
        for (int top = 0; top < s->out_height; top += ${rows}) {
            const int y = top + ${rows} > s->out_height ? s->out_height - ${rows} : top;
            const float *z[${reach}];
            for (int t = 0; t < ${reach}; t++) {
                const int row = y * ${down} - s->top + t;
                z[t] = row >= 0 && row < s->height ? p + (long)row * s->width : r->scratch + 16;
            }
            for (int v = 0; v < count; v++) {
                const int x = v * LANES + LANES > width && width >= LANES ? width - LANES : v * LANES;
                const int i = y * width + x, o = c * ${size};
                const long at = (long)x * ${across} - s->left;
                if (inside[v]) ${name}_inside(r, a, w, b, z, at, 0, to, width, o, i);
                else ${name}_edge(r, a, w, b, z, at, masks + v * ${taps}, to, width, o, i);
            }
        }
        w += ${size} * ${height} * ${taps};
        b += ${size};
        to += ${size};
    }
}
""")


def within(conv: Conv) -> bool:
    """Whether the planes of a convolution with one or two outputs each can be read where they lie.

    Steps across are 1 or 2 columns; no more zeros lie beside a row than its windows reach beyond their first column;
    and what is read beside a plane is not more than there is around the arena.
    """
    if conv.weight.shape[1] > 1 or len(conv.weight) > 2 * conv.groups or conv.dilation != (1, 1):
        return False
    left, width, across = conv.padding[1], conv.weight.shape[3], conv.stride[1]
    right = (conv.out_size[1] - 1) * across + width - left - conv.size[1]
    return across <= 2 and left + right < width and max(left, right) <= LANES


def rows_of(height: int, size: int) -> int:
    """Rows that are computed together: of a plane's height, about the same everywhere."""
    return -(-height // -(-height // (SUMS // size)))


def depthwise(name: str, size: int, after: Written, kernel: Kernel, left: int, rows: int, most: int) -> str:
    """The C of all convolutions of this kernel and stride where each plane has `size` outputs of its own.

    left: columns of zeros before a row.
    rows: computed together; no plane of outputs has fewer.
    most: vectors in a row of the widest output, for vectors of one number up.
    """
    (height, taps), (down, across) = kernel
    return "".join(
        [
            done(name, "after", after),
            _tile(name, size, rows, kernel, left, edge=True),
            _tile(name, size, rows, kernel, left, edge=False),
            DIRECT.substitute(
                name=name,
                size=size,
                height=height,
                taps=taps,
                down=down,
                across=across,
                order="PLACES" if across == 2 else "UPWARDS",
                most=f"({most} / LANES + 1)",
                rows=rows,
                reach=(rows - 1) * down + height,
            ),
        ]
    )


def _tile(name: str, outputs: int, rows: int, kernel: Kernel, left: int, *, edge: bool) -> str:
    """A function that computes a vector of pixels in each of several rows of `outputs` channels from one plane.

    Rows are read by their addresses, those outside from zeros; columns outside are masked away.

    edge: whether any column can be outside; else there are no masks.
    """
    (height, width), (down, across) = kernel
    sums = {(m, row): f"s{m}{'abcdefgh'[row]}" for m in range(outputs) for row in range(rows)}
    lines = [
        f"INLINE void {name}_{'edge' if edge else 'inside'}(const Run *r, const Operands *a, const float *w,",
        "        const float *b, const float *const *z, long at, const VI *mask, const int32_t *to, int out_row,",
        "        int o, int i) {",
    ]
    for m in range(outputs):
        first, *others = (sums[m, row] for row in range(rows))
        lines.append(f"    V {first} = v_set(b[{m}])" + "".join(f", {other} = {first}" for other in others) + ";")
    lines.append("    V x;")
    for turn in rounds(rows, height, down):
        for y in turn:
            # Else a compiler reads what both functions have in common before it chooses one.
            lines += [f"    const float *q{y} = z[{y}] + at;", f"    OPAQUE(q{y});"]
            lines += [f"    V even{y}, odd{y};"] if across == 2 else []
        for k in range(width):
            for y, seen in turn.items():
                lines += _taken(y, k, across, masked=edge and k != left)
                lines += [
                    f"    {sums[m, row]} += v_set(w[{(tap * width + k) * outputs + m}]) * x;"
                    for row, tap in seen
                    for m in range(outputs)
                ]
            lines.append("    OPAQUE(w);")  # read again for another row, else it waits on the stack
    if across == 2:
        lines += [f"    {one} = v_ordered({one});" for one in sums.values()]
    results = [(m, f" + {row} * out_row" if row else "", one) for (m, row), one in sums.items()]
    lines += stored(name, outputs, results)
    unused = [f"(void){one};" for one, used in (("mask", edge and width > 1), ("out_row", rows > 1)) if not used]
    return "\n".join([*lines, *([f"    {' '.join(unused)}"] if unused else []), "}"]) + "\n"


def rounds(rows: int, height: int, down: int) -> list[dict[int, list[tuple[int, int]]]]:
    """Rows of the plane in groups, of which each adds to every sum at most once (a sum waits for its last product).

    Returns:
        For each group, the plane's rows below the first one -> (row of outputs, row of the kernel) that see it.
    """
    left = {
        y: seen
        for y in range((rows - 1) * down + height)
        if (seen := [(row, y - row * down) for row in range(rows) if 0 <= y - row * down < height])
    }
    found = []
    while left:
        taken: dict[int, list[tuple[int, int]]] = {}
        for y, seen in left.items():
            busy = {row for others in taken.values() for row, _ in others}
            if busy.isdisjoint(row for row, _ in seen):
                taken[y] = seen
        found.append(taken)
        left = {y: seen for y, seen in left.items() if y not in taken}
    return found


def _taken(y: int, k: int, across: int, *, masked: bool) -> list[str]:
    """Statements that read tap k of a vector of pixels.

    With a mask or without, and never for the tap at a pixel itself, which is inside.
    """
    lines = []
    value = f"v_load(q{y} + {k})"
    if across == 2:
        if k % 2 == 0:
            lines += [f"    even{y} = v_load(q{y} + {k});", f"    odd{y} = v_load(q{y} + {k} + LANES);"]
            lines += [f"    KEEP(even{y});", f"    KEEP(odd{y});"]
        value = f"{'v_odds' if k % 2 else 'v_evens'}(even{y}, odd{y})"
    return [*lines, f"    x = {f'v_and({value}, mask[{k}])' if masked else value};", "    KEEP(x);"]
