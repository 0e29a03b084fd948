
/* out = w x + b for 32 outputs at a time, which lie side by side in the weights. */
INLINE void linear_32(const float *w, const float *b, const float *x, int n, float *y) {
    V even[32 / LANES], odd[32 / LANES];
    for (int j = 0; j < 32 / LANES; j++) {
        even[j] = v_load(b + j * LANES);
        odd[j] = v_set(0.0f);
    }
    int k = 0;
    for (; k + 2 <= n; k += 2, w += 64) {
        const V p = v_set(x[k]), q = v_set(x[k + 1]);
        for (int j = 0; j < 32 / LANES; j++) {
            even[j] += p * v_load(w + j * LANES);
            odd[j] += q * v_load(w + 32 + j * LANES);
        }
    }
    if (k < n)
        for (int j = 0; j < 32 / LANES; j++) even[j] += v_set(x[k]) * v_load(w + j * LANES);
    for (int j = 0; j < 32 / LANES; j++) v_store(y + j * LANES, even[j] + odd[j]);
}

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
