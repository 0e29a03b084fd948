
/* Functions that few networks have; they are written only where one is used. */
INLINE float s_sqrt(float x) { return sqrtf(x); }
INLINE float s_gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
INLINE float s_softplus(float x) { return s_relu(x) + log1pf(expf(-fabsf(x))); }

#if LANES > 1
INLINE V v_sqrt(V x) {
    V y;
    for (int i = 0; i < LANES; i++) y[i] = sqrtf(x[i]);
    return y;
}
/* max(x, 0) - |x| / 2 erfc(|x| / sqrt 2); erfc(z) = t (a1 + .. + a5 t^4) e^(-z^2) with t = 1 / (1 + p z) is right to
   1.5e-7 (Abramowitz and Stegun, 7.1.26). */
INLINE V v_gelu(const Run *r, V x) {
    const V z = v_abs(x) * v_set(0.70710678f), t = NUMBER(ONE) / (NUMBER(ONE) + z * v_set(0.3275911f));
    V p = t * v_set(1.061405429f) - v_set(1.453152027f);
    p = p * t + v_set(1.421413741f);
    p = p * t - v_set(0.284496736f);
    p = p * t + v_set(0.254829592f);
    return v_relu(r, x) - NUMBER(HALF) * v_abs(x) * (p * t * v_exp(r, -z * z));
}
/* max(x, 0) + log(1 + u) with u = e^-|x|; log(1 + u) = 2 (z + z^3 / 3 + z^5 / 5 ..) with z = u / (2 + u) <= 1 / 3. */
INLINE V v_softplus(const Run *r, V x) {
    const V u = v_exp(r, -v_abs(x)), z = u / (u + v_set(2.0f)), s = z * z;
    V p = s * v_set(2.0f / 13) + v_set(2.0f / 11);
    p = p * s + v_set(2.0f / 9);
    p = p * s + v_set(2.0f / 7);
    p = p * s + v_set(2.0f / 5);
    p = p * s + v_set(2.0f / 3);
    p = p * s + v_set(2.0f);
    return v_relu(r, x) + p * z;
}
#else
INLINE V v_sqrt(V x) { return s_sqrt(x); }
INLINE V v_gelu(const Run *r, V x) {
    (void)r;
    return s_gelu(x);
}
INLINE V v_softplus(const Run *r, V x) {
    (void)r;
    return s_softplus(x);
}
#endif
