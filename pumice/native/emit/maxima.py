"""The largest of each window."""

from string import Template

from pumice.native.emit.around import Kernel, around
from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written

MAX_POOL = Template("""
MAYBE void ${name}(const Run *r, const float *base, const int32_t *from, const int32_t *to, const Window *s,
        const Operands *a) {
    const int pitch = s->stride_x * s->seg, width = s->out_width;
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


def max_pool(name: str, after: Written, kernel: Kernel) -> str:
    """The C of all maxima over windows of this size."""
    (height, width), (_, across) = kernel
    taps = [f"{y} * pitch + {k % across} * s->seg + {k // across}" for y in range(height) for k in range(width)]
    lines = "\n".join(f"                x = v_max(x, v_load(q + {tap}));" for tap in taps[1:])
    return "".join(
        [
            done(name, "after", after),
            around(name, None, image=False, outside="-INFINITY"),
            MAX_POOL.substitute(name=name, first=taps[0], others=lines),
        ]
    )
