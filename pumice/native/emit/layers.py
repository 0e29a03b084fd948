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
