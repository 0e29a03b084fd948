"""Planes put between each other."""

from string import Template

from pumice.native.emit.done import done
from pumice.native.emit.expressions import Written
from pumice.native.emit.writer import Writer, table
from pumice.native.ir import Weave
from pumice.native.plan import LANES

WEAVE = Template("""
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, int count, int width, int out_height,
        int out_width, const Operands *a) {
    for (int o = 0; o < count; o++) {
        for (int y = 0; y < out_height; y++) {
            const int32_t *f = from + (o * ${down} + y % ${down}) * ${across};
            const long row = (long)(y / ${down}) * width;
            float *d = r->scratch;
            for (int x = 0; x < width; x++) {
${parts}
            }
            for (int k = 0; k < out_width; k += LANES) {
                const int at = k + LANES > out_width && out_width >= LANES ? out_width - LANES : k;
                const int i = y * out_width + at;
                const V x = v_load(d + at);
                v_store(r->arena + to[o] + i, ${name}_after(r, a, x, o, i));
            }
        }
    }
}
""")


def woven(writer: Writer, one: Weave, lines: list[str]) -> None:
    """Append the call that weaves."""
    after = writer.written(one.after, one.out_size)
    name = writer.kind(lambda n: _function(n, after, one), "weave", after, one.factor)
    writer.operands("a", after, lines)
    lines += [table("from", writer.places(one.inputs)), table("to", writer.places(one.outputs))]
    writer.scratch = max(writer.scratch, one.size[1] * one.factor[1] + LANES)
    height, width = one.out_size
    lines.append(f"{name}(r, from, to, {len(one.outputs)}, {one.size[1]}, {height}, {width}, &a);")


def _function(name: str, after: Written, one: Weave) -> str:
    down, across = one.factor
    parts = [f"{' ' * 16}d[x * {across} + {i}] = r->arena[f[{i}] + row + x];" for i in range(across)]
    return done(name, "after", after) + WEAVE.substitute(name=name, down=down, across=across, parts="\n".join(parts))
