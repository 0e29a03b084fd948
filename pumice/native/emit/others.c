
/* out = w x + b for 32 outputs at a time, which lie side by side in the weights.  Both halves of the inputs at once: two
   places that memory is read from are faster than one. */
INLINE void linear_32(const float *w, const float *b, const float *x, int n, float *y) {
    const int half = n / 2;
    const float *v = w + 32 * (long)half;
    V first[32 / LANES], second[32 / LANES];
    for (int j = 0; j < 32 / LANES; j++) {
        first[j] = v_load(b + j * LANES);
        second[j] = v_set(0.0f);
    }
    for (int k = 0; k < half; k++, w += 32, v += 32) {
        const V p = v_set(x[k]), q = v_set(x[half + k]);
        for (int j = 0; j < 32 / LANES; j++) {
            first[j] += p * v_load(w + j * LANES);
            second[j] += q * v_load(v + j * LANES);
        }
    }
    if (n % 2)
        for (int j = 0; j < 32 / LANES; j++) first[j] += v_set(x[n - 1]) * v_load(v + j * LANES);
    for (int j = 0; j < 32 / LANES; j++) v_store(y + j * LANES, first[j] + second[j]);
}

/* Every step-th number, of n that may be read. */
INLINE V v_every(const float *p, int step, int n) {
    float some[LANES] = {0};
    for (int i = 0; i < LANES && i * step < n; i++) some[i] = p[i * step];
    return v_load(some);
}

/* Columns from `at`, each step-th one, as v_evens takes them if each second one; those outside as if there were nothing
   for a maximum. */
#if LANES > 1
INLINE V v_within(V x, int at, int step, int width) {
    const VI column = at + step * (step == 2 ? (VI){PLACES} : (VI){UPWARDS});
    return v_pick((column >= 0) & (column < width), x, v_set(-INFINITY));
}
#else
INLINE V v_within(V x, int at, int step, int width) {
    (void)step;
    return at >= 0 && at < width ? x : -INFINITY;
}
#endif

/* The numbers that are read, side by side. */
MAYBE const float *gathered(const Run *r, const int32_t *from, int n) {
    for (int k = 0; k < n; k++) r->scratch[k] = r->arena[from[k]];
    return r->scratch;
}

INLINE float mean_of(const float *p, int n) {
    V s = v_set(0.0f), t = s;
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        s += v_load(p + i);
        t += v_load(p + i + LANES);
    }
    for (; i + LANES <= n; i += LANES) s += v_load(p + i);
    float sum = v_sum(s + t);
    for (; i < n; i++) sum += p[i];
    return sum / (float)n;
}
