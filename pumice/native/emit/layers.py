"""Everything but convolutions as C: a function for each kind of expression that follows."""

from string import Template

LINEAR = Template("""
MAYBE void ${name}(const Run *r, const float *in, const float *w, const float *b, int n, int out, int to,
        const Operands *a) {
    for (int first = 0; first < out; first += 32) {
        float y[32];
        linear_32(w + (long)first * n, b + first, in, n, y);
        const int count = out - first < 32 ? out - first : 32;
        for (int j = 0; j < count; j++) {
            const int o = first + j, i = 0;
            const float x = y[j];
            (void)a; (void)o; (void)i;
            ${ahead}
            r->arena[to + o] = ${number};
        }
    }
}
""")

MEAN = Template("""
MAYBE void ${name}(const Run *r, const int32_t *from, int n, int count, int to, const Operands *a) {
    for (int o = 0; o < count; o++) {
        const int i = 0;
        const float x = mean_of(r->arena + from[o], n);
        (void)a; (void)i;
        ${ahead}
        r->arena[to + o] = ${number};
    }
}
""")

PLANES = Template("""
MAYBE void ${name}(const Run *r, const int32_t *to, int count, int pixels, const Operands *a) {
    for (int o = 0; o < count; o++) {
        float *d = r->arena + to[o];
        ${ahead}
        for (int i = 0; i < pixels; i += LANES) v_store(d + i, ${vector});
    }
}
""")

NUMBERS = Template("""
MAYBE void ${name}(const Run *r, const int32_t *to, int count, const Operands *a) {
    for (int o = 0; o < count; o++) {
        const int i = 0;
        (void)i;
        ${ahead}
        r->arena[to[o]] = ${number};
    }
}
""")

MAXPOOL = Template("""
MAYBE void ${name}(const Run *r, const int32_t *from, const int32_t *to, int count, const int32_t *off, const Window *s,
        const Operands *a) {
    const int pitch = s->stride_x * s->seg, rows = (s->out_height - 1) * s->stride_y + s->reach;
    for (int o = 0; o < count; o++) {
        float *p = r->scratch;
        for (int y = -s->top; y < rows - s->top; y++, p += pitch) {
            for (int j = 0; j < pitch; j++) {
                const int x = j % s->seg * s->stride_x + j / s->seg - s->left;
                const int inside = y >= 0 && y < s->height && x >= 0 && x < s->width;
                p[j] = inside ? r->arena[from[o] + y * s->width + x] : -INFINITY;
            }
        }
        for (int y = 0; y < s->out_height; y++) {
            for (int left = 0; left < s->out_width; left += LANES) {
                const int beyond = left + LANES > s->out_width && s->out_width >= LANES;
                const int at = beyond ? s->out_width - LANES : left, i = y * s->out_width + at;
                const float *q = r->scratch + y * s->stride_y * pitch + at;
                V x = v_load(q + off[0]);
                for (int k = 1; k < s->taps; k++) x = v_max(x, v_load(q + off[k]));
                (void)a;
                ${ahead}
                v_store(r->arena + to[o] + i, ${vector});
            }
        }
    }
}
""")
