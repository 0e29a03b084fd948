"""Planes copied with zeros around them, for layers that see windows."""

from string import Template

from pumice.native.emit.expressions import Written

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

ROWS_AROUND = Template("""
/* Rows of a plane with zeros around them, columns that a stride apart in the image side by side.  Whole vectors are
   written, left to right, so that what one writes too much the next one covers. */
INLINE void ${name}_rows(const Run *r, const float *q, float *p, const Window *s, int first, int rows,
        const Operands *a, int o) {
    const int seg = s->seg, step = s->stride_x, left = s->left, needed = s->used * step - left;
    const int width = s->width < needed ? s->width : needed;
    (void)r; (void)a; (void)o;
    ${ahead}
    for (int y = first; y < first + rows; y++, p += step * seg) {
        const float *z = q + (long)y * s->width;
        if (y < 0 || y >= s->height) {
            for (int j = 0; j < step * seg; j += LANES) v_store(p + j, v_set(0.0f));
        } else if (step == 1) {
            for (int j = 0; j < left; j += LANES) v_store(p + j, v_set(0.0f));
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
            for (j = width; left + j < s->used; j += LANES) v_store(d + j, v_set(0.0f));
        } else if (step == 2) {
            float *even = p + (left & 1) * seg, *odd = p + (~left & 1) * seg;
            for (int j = 0; j < left; j += LANES) {
                v_store(even + j, v_set(0.0f));
                v_store(odd + j, v_set(0.0f));
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
            const float *end = p + (left & 1) * seg + s->used;
            for (; even < end; even += LANES) v_store(even, v_set(0.0f));
            end = p + (~left & 1) * seg + s->used;
            for (; odd < end; odd += LANES) v_store(odd, v_set(0.0f));
        } else {
            for (int j = 0; j < step * seg; j++) p[j] = 0.0f;
            for (int j = 0; j < width; j++) {
                const float x = z[j];
                p[(j + left) % step * seg + (j + left) / step] = ${number};
            }
        }
    }
}
""")


def around(name: str, before: Written | None, *, image: bool) -> str:
    """A function NAME_rows that copies rows of a plane.

    before: done to each number.  image: it reads the caller's memory, which ends with the image.
    """
    return ROWS_AROUND.substitute(
        name=name,
        ahead=before.ahead if before else "",
        vector=before.vector if before else "x",
        number=before.number if before else "x",
        some="v_load_some" if image else "v_load_over",
    )
