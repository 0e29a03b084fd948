"""Convolutions of 3 x 3 with fewer products: Winograd's minimal filtering F(2 x 2, 3 x 3).

A square of 2 x 2 results needs 16 products instead of 36: squares of 4 x 4 pixels and the weights are transformed, each
of the 16 numbers of the transformed squares is a convolution of single pixels over all squares of the plane, and its
results are transformed back.  That loses nothing to rounding; larger squares do.  Source: Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, 2016.
"""

from string import Template

import numpy as np
from numpy.typing import NDArray

from pumice.native.emit.around import around
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.tiles import OUTPUTS, blocks, shares
from pumice.native.ir import Conv
from pumice.native.plan import LANES

WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def transformed(conv: Conv) -> NDArray[np.float32]:
    """Weights as (group, tile of outputs, number of the square, input, output of the tile)."""
    out, inputs = conv.per_group
    weight = WEIGHTS @ conv.weight.astype(np.float64) @ WEIGHTS.T
    squares = weight.reshape(conv.groups, out, inputs, 16).transpose(0, 3, 2, 1)
    parts = [group[:, :, share].ravel() for group in squares for share in shares(out)]
    return np.concatenate(parts).astype(np.float32)


def geometry(conv: Conv, numbers: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The numbers of a Window; of squares, how many lie below one another and side by side, how many rows of them are
    taken at a time, and the room of one number of all these; and the scratch they need.

    numbers: transformed ones of a group, to be made at a time.
    """
    (height, width), (out, inputs) = conv.out_size, conv.per_group
    down, across = -(-height // 2), -(-width // 2)
    strip = min(max(numbers // (16 * inputs * across), 1), down)
    strip = -(-down // -(-down // strip))
    room = -(-strip * across // LANES) * LANES + LANES
    seg = -(-(across + 1) // LANES) * LANES + LANES
    plane = (2 * strip + 2) * 2 * seg
    window = (
        *(conv.groups, inputs, out, blocks(out)[1], 9),
        *(*conv.size, height, width, *conv.padding, 2, 2),
        *(3, seg, across + 1, plane, strip, 1),
    )
    return window, (down, across, strip, room), plane + 16 * ((inputs + OUTPUTS) * room + LANES) + 4 * LANES


WINOGRAD = Template("""
/* A vector of squares of a plane whose even and odd columns lie apart. */
INLINE void ${name}_image(const float *p, int seg, int pitch, float *v, long next) {
${image}
}

/* Sums back to a vector of squares of results, of which those inside the image are stored. */
INLINE void ${name}_results(const Run *r, const Operands *a, const float *p, long next, float bias, int to, int o,
        int top, int left, const Window *s) {
    float *d = r->arena + to;
${results}
    BARRIER;
    for (int y = 0; y < 2 && top + y < s->out_height; y++) {
        const V one = (y ? y10 : y00) + v_set(bias), two = (y ? y11 : y01) + v_set(bias);
        for (int half = 0; half < 2 && left + half * LANES < s->out_width; half++) {
            const int x = left + half * LANES, i = (top + y) * s->out_width + x;
            const V z = ${name}_after(r, a, half ? v_high(one, two) : v_low(one, two), o, i);
            if (x + LANES <= s->out_width || top + y + 1 < s->out_height) v_store(d + i, z);
            else v_store_some(d + i, z, s->out_width - x);
        }
    }
}

MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const float *w,
        const float *b, const Window *s, int down, int across, int strip, int room, const Operands *a,
        const Operands *before) {
    const int pitch = 2 * s->seg, in = s->in, out = s->out;
    /* An odd number of cache lines from one number of a square to the next, so that they share no place in a cache. */
    const long next = ((long)in * room) | 16;
    float *plane = r->scratch, *v = plane + s->plane, *sums = v + 16 * next;
    for (int g = 0; g < s->groups; g++)
        for (int first = 0; first < down; first += strip) {
            const int rows = down - first < strip ? down - first : strip;
            for (int k = 0; k < in; k++) {
                const float *q = base + from[g * in + k];
                ${name}_rows(r, q, plane, s, 2 * first - s->top, 2 * rows + 2, before, g * in + k);
                for (int y = 0; y < rows; y++)
                    for (int x = 0; x < across; x += LANES)
                        ${name}_image(plane + 2L * y * pitch + x, s->seg, pitch,
                            v + (long)k * room + y * across + x, next);
            }
            const float *u = w + (long)g * 16 * in * out;
            for (int o = g * out, block = 0; o < (g + 1) * out; block++) {
                const int size = block < s->many ? ${big} : ${small};
                for (int q = 0; q < 16; q++, u += size * in) {
                    const float *x = v + q * next;
                    float *y = sums + (long)q * size * room;
                    int i = 0;
                    if (size == ${big}) {
${big_tiles}
                    }
${small_tiles}
                }
                /* What is written beyond a row belongs to the next one, whose vectors come later: right ones first. */
                for (int j = 0; j < size; j++, o++)
                    for (int y = 0; y < rows; y++)
                        for (int x = (across - 1) / LANES * LANES; x >= 0; x -= LANES)
                            ${name}_results(r, a, sums + (long)j * room + y * across + x, (long)size * room, b[o],
                                to[o], o, 2 * (first + y), 2 * x, s);
            }
        }
}
""")


def winograd(name: str, sizes: tuple[int, ...], after: Written, before: Written | None) -> str:
    """The C of all such convolutions whose tiles have these numbers of outputs."""
    big, small = sizes[0], sizes[-1]

    def tiles(size: int) -> str:
        call = f"{name}_{size}x{{}}(u, x + i, room, in, y + i);"
        lines = f"for (; i + 2 * LANES <= rows * across; i += 2 * LANES) {call.format(2)}"
        return f"{' ' * 24}{lines}\n{' ' * 24}for (; i < rows * across; i += LANES) {call.format(1)}"

    return "".join(
        [
            done(name, "after", after),
            around(name, before, image=False),
            *(_products(name, size, columns) for size in sizes for columns in (1, 2)),
            WINOGRAD.substitute(
                name=name,
                image="\n".join(_image()),
                results="\n".join(_results()),
                big=big,
                small=small,
                big_tiles=tiles(big),
                small_tiles="" if small == big else f"else {{\n{tiles(small)}\n                    }}",
            ),
        ]
    )


def _image() -> list[str]:
    """B' d B, first of columns."""

    def four(to: list[str], x: list[str]) -> str:
        values = (f"{x[0]} - {x[2]}", f"{x[1]} + {x[2]}", f"{x[2]} - {x[1]}", f"{x[1]} - {x[3]}")
        return "    const V " + ", ".join(f"{one} = {value}" for one, value in zip(to, values, strict=True)) + ";"

    lines = []
    for k in range(4):
        places = [f"p + {y} * pitch{' + seg' if k % 2 else ''} + {k // 2}" for y in range(4)]
        lines.append("    const V " + ", ".join(f"x{y}{k} = v_load({place})" for y, place in enumerate(places)) + ";")
        lines.append(four([f"t{y}{k}" for y in range(4)], [f"x{y}{k}" for y in range(4)]))
    for y in range(4):
        lines.append(four([f"z{y}{k}" for k in range(4)], [f"t{y}{k}" for k in range(4)]))
        lines += [f"    v_store(v + {4 * y + k} * next, z{y}{k});" for k in range(4)]
    return lines


def _results() -> list[str]:
    """A' m A, first of columns."""
    lines = []
    for k in range(4):
        loads = ", ".join(f"m{y}{k} = v_load(p + {4 * y + k} * next)" for y in range(4))
        lines.append(f"    const V {loads};")
        lines.append(f"    const V t0{k} = m0{k} + m1{k} + m2{k}, t1{k} = m1{k} - m2{k} - m3{k};")
    lines += [f"    const V y{y}0 = t{y}0 + t{y}1 + t{y}2, y{y}1 = t{y}1 - t{y}2 - t{y}3;" for y in range(2)]
    return lines


def _products(name: str, outputs: int, columns: int) -> str:
    """A function that multiplies one number of vectors of squares with its weights, and adds up over the inputs."""
    sums = [[f"s{j}{c}" for c in range(columns)] for j in range(outputs)]
    lines = [
        f"INLINE void {name}_{outputs}x{columns}(const float *w, const float *x, int room, int n, float *y) {{",
        f"    V {', '.join(f'{one} = v_set(0.0f)' for row in sums for one in row)};",
        f"    for (int k = 0; k < n; k++, w += {outputs}, x += room) {{",
        *(f"        const V x{c} = v_load(x + {c} * LANES);" for c in range(columns)),
    ]
    for j, row in enumerate(sums):
        lines.append(f"        const V w{j} = v_set(w[{j}]);")
        lines += [f"        {one} += w{j} * x{c};" for c, one in enumerate(row)]
    lines.append("    }")
    lines += [
        f"    v_store(y + (long){j} * room + {c} * LANES, {one});"
        for j, row in enumerate(sums)
        for c, one in enumerate(row)
    ]
    return "\n".join([*lines, "}"]) + "\n"
