/* Vectors of LANES floats: as wide as the processor has them; one float each with -DPUMICE_SCALAR.  -DPUMICE_LANES=16
   (8, 4) tries the code of another width: compilers make wide vectors of narrow ones. */
#if defined(PUMICE_SCALAR)
#define LANES 1
#elif defined(PUMICE_LANES)
#define LANES PUMICE_LANES
#elif defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#elif defined(__GNUC__)
#define LANES 4
#else
#define LANES 1
#endif
#if LANES == 16 || (defined(__aarch64__) && LANES == 4)
#define WIDE 1
#endif
#ifndef WIDE
#define WIDE 0 /* 1: 32 vector registers, 0: 16 */
#endif

#if LANES > 1
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif
typedef float V __attribute__((vector_size(LANES * 4)));
typedef int32_t VI __attribute__((vector_size(LANES * 4)));
#else
typedef float V;
typedef int32_t VI;
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#define MAYBE static __attribute__((unused, noinline))
#else
#define INLINE static inline
#define MAYBE static
#endif

typedef struct {
    const float *weights, *image;
    float *arena, *scratch;
    const float *fixed;
} Run;

/* What an expression reads beside the result: t are places of planes or numbers in the arena, c constants. */
typedef struct {
    const int32_t *t[8];
    const float *c[16];
} Operands;

/* Numbers of the functions below.  They are read through a pointer that a compiler cannot see through, and not before
   BARRIER: else they would sit in registers that innermost loops need for sums. */
enum { ZERO, ONE, SIXTH, HALF, HIGHEST, LOWEST, ROUNDER, LOG2_E, LN2_HIGH, LN2_LOW, F720, F120, F24 };
static const float FIXED[] = {0.0f,        1.0f,         1.0f / 6.0f,     0.5f,        88.3762f,    -87.3365f,  12582912.0f,
                              1.44269504f, 0.693359375f, -2.12194440e-4f, 1.0f / 720,  1.0f / 120,  1.0f / 24};
#define NUMBER(which) v_set(r->fixed[which])
#if defined(__GNUC__)
#define BARRIER __asm__ volatile("" ::: "memory")
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define BARRIER
#define OPAQUE(pointer)
#endif

INLINE float s_max(float a, float b) { return a > b ? a : b; } /* of a NaN, b */
INLINE float s_min(float a, float b) { return a < b ? a : b; }
INLINE float s_relu(float x) { return s_max(0.0f, x); }
INLINE float s_hardsigmoid(float x) { return s_min(1.0f, s_max(0.0f, x * (1.0f / 6.0f) + 0.5f)); }
INLINE float s_hardswish(float x) { return x * s_hardsigmoid(x); }
INLINE float s_exp(float x) { return expf(x); }
INLINE float s_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
INLINE float s_silu(float x) { return x / (1.0f + expf(-x)); }
INLINE float s_tanh(float x) { return tanhf(x); }
INLINE float s_abs(float x) { return fabsf(x); }
INLINE float s_neg(float x) { return -x; }

INLINE V v_load(const float *p) {
    V x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void v_store(float *p, V x) { memcpy(p, &x, sizeof x); }
INLINE void v_store_some(float *p, V x, int n) {
    float all[LANES];
    memcpy(all, &x, sizeof x);
    for (int i = 0; i < n; i++) p[i] = all[i];
}

INLINE V v_load_over(const float *p, int n) {
    (void)n;
    return v_load(p);
}
/* The first n of a vector, zeros behind them. */
INLINE V v_load_some(const float *p, int n) {
    if (n >= LANES) return v_load(p);
    float some[LANES] = {0};
    for (int i = 0; i < n; i++) some[i] = p[i];
    return v_load(some);
}

#if LANES > 1
INLINE V v_set(float x) { return x - (V){0}; }
INLINE V v_bits(VI x) {
    V y;
    memcpy(&y, &x, sizeof y);
    return y;
}
INLINE VI v_int(V x) {
    VI y;
    memcpy(&y, &x, sizeof y);
    return y;
}
INLINE V v_pick(VI mask, V a, V b) { return v_bits((mask & v_int(a)) | (~mask & v_int(b))); }
#if LANES == 16 && defined(__AVX512F__)
INLINE V v_max(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE V v_min(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
#elif LANES == 8 && defined(__AVX__)
INLINE V v_max(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE V v_min(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
#elif LANES == 4 && defined(__SSE__)
INLINE V v_max(V a, V b) { return (V)_mm_max_ps((__m128)a, (__m128)b); }
INLINE V v_min(V a, V b) { return (V)_mm_min_ps((__m128)a, (__m128)b); }
#elif LANES == 4 && defined(__ARM_NEON)
INLINE V v_max(V a, V b) { return (V)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
INLINE V v_min(V a, V b) { return (V)vminq_f32((float32x4_t)a, (float32x4_t)b); }
#else
INLINE V v_max(V a, V b) { return v_pick(a > b, a, b); }
INLINE V v_min(V a, V b) { return v_pick(a < b, a, b); }
#endif
INLINE V v_abs(V x) { return v_bits(v_int(x) & 0x7fffffff); }
/* Numbers of two vectors by turns: the lower half of both, and the higher. */
#if LANES == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif
/* Every second number of two vectors, first those of the lower quarters of both and so on, which takes one instruction;
   v_ordered brings them in order, of which places have the numbers PLACES. */
#if LANES == 16
#define EVENS 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30
#define ODDS 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31
#define ORDERED 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15
#define PLACES 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15
#define UPWARDS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif LANES == 8
#define EVENS 0, 2, 8, 10, 4, 6, 12, 14
#define ODDS 1, 3, 9, 11, 5, 7, 13, 15
#define ORDERED 0, 1, 4, 5, 2, 3, 6, 7
#define PLACES 0, 1, 4, 5, 2, 3, 6, 7
#define UPWARDS 0, 1, 2, 3, 4, 5, 6, 7
#else
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#define ORDERED 0, 1, 2, 3
#define PLACES 0, 1, 2, 3
#define UPWARDS 0, 1, 2, 3
#endif
#if LANES == 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif LANES == 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#endif
#if defined(__clang__) || __GNUC__ >= 12
INLINE V v_even(V a, V b) { return __builtin_shufflevector(a, b, EVEN); }
INLINE V v_odd(V a, V b) { return __builtin_shufflevector(a, b, ODD); }
INLINE V v_evens(V a, V b) { return __builtin_shufflevector(a, b, EVENS); }
INLINE V v_odds(V a, V b) { return __builtin_shufflevector(a, b, ODDS); }
INLINE V v_ordered(V a) { return __builtin_shufflevector(a, a, ORDERED); }
INLINE V v_low(V a, V b) { return __builtin_shufflevector(a, b, LOW); }
INLINE V v_high(V a, V b) { return __builtin_shufflevector(a, b, HIGH); }
#else
INLINE V v_even(V a, V b) { return __builtin_shuffle(a, b, (VI){EVEN}); }
INLINE V v_odd(V a, V b) { return __builtin_shuffle(a, b, (VI){ODD}); }
INLINE V v_evens(V a, V b) { return __builtin_shuffle(a, b, (VI){EVENS}); }
INLINE V v_odds(V a, V b) { return __builtin_shuffle(a, b, (VI){ODDS}); }
INLINE V v_ordered(V a) { return __builtin_shuffle(a, (VI){ORDERED}); }
INLINE V v_low(V a, V b) { return __builtin_shuffle(a, b, (VI){LOW}); }
INLINE V v_high(V a, V b) { return __builtin_shuffle(a, b, (VI){HIGH}); }
#endif
INLINE float v_sum(V x) {
    float s = 0.0f;
    for (int i = 0; i < LANES; i++) s += x[i];
    return s;
}
/* e^x = 2^n e^y with |y| <= ln 2 / 2 and seven terms of e^y: within 2 units in the last place. */
INLINE V v_exp(const Run *r, V x) {
    x = v_min(NUMBER(HIGHEST), v_max(NUMBER(LOWEST), x));
    V n = x * NUMBER(LOG2_E) + NUMBER(ROUNDER); /* adding 1.5 * 2^23 rounds to an integer */
    VI k = v_int(n) << 23;
    n -= NUMBER(ROUNDER);
    const V y = x - n * NUMBER(LN2_HIGH) - n * NUMBER(LN2_LOW);
    V p = NUMBER(F720) * y + NUMBER(F120);
    p = p * y + NUMBER(F24);
    p = p * y + NUMBER(SIXTH);
    p = p * y + NUMBER(HALF);
    p = p * y * y + y + NUMBER(ONE);
    return v_bits(v_int(p) + k);
}
#else
#define PLACES 0
#define UPWARDS 0
INLINE V v_set(float x) { return x; }
INLINE V v_max(V a, V b) { return s_max(a, b); }
INLINE V v_min(V a, V b) { return s_min(a, b); }
INLINE V v_abs(V x) { return s_abs(x); }
INLINE V v_even(V a, V b) {
    (void)b;
    return a;
}
INLINE V v_odd(V a, V b) {
    (void)a;
    return b;
}
INLINE V v_evens(V a, V b) { return v_even(a, b); }
INLINE V v_odds(V a, V b) { return v_odd(a, b); }
INLINE V v_ordered(V a) { return a; }
INLINE V v_low(V a, V b) { return v_even(a, b); }
INLINE V v_high(V a, V b) { return v_odd(a, b); }
INLINE V v_exp(const Run *r, V x) {
    (void)r;
    return s_exp(x);
}
INLINE float v_sum(V x) { return x; }
#endif

/* Keeps a vector in a register, where a compiler would rather load it again for every use. */
#if defined(__GNUC__) && defined(__x86_64__) && LANES > 1 && !defined(PUMICE_LANES)
#define KEEP(x) __asm__("" : "+v"(x))
#elif defined(__GNUC__) && defined(__aarch64__) && LANES == 4
#define KEEP(x) __asm__("" : "+w"(x))
#else
#define KEEP(x)
#endif

#if LANES > 1
INLINE V v_and(V x, VI mask) { return v_bits(v_int(x) & mask); }
#else
INLINE V v_and(V x, VI mask) { return mask ? x : 0.0f; }
#endif

INLINE V v_relu(const Run *r, V x) { return v_max(NUMBER(ZERO), x); }
INLINE V v_neg(V x) { return -x; }
INLINE V v_hardsigmoid(const Run *r, V x) {
    return v_min(NUMBER(ONE), v_max(NUMBER(ZERO), x * NUMBER(SIXTH) + NUMBER(HALF)));
}
INLINE V v_hardswish(const Run *r, V x) { return x * v_hardsigmoid(r, x); }
INLINE V v_sigmoid(const Run *r, V x) { return NUMBER(ONE) / (NUMBER(ONE) + v_exp(r, -x)); }
INLINE V v_silu(const Run *r, V x) { return x / (NUMBER(ONE) + v_exp(r, -x)); }
INLINE V v_tanh(const Run *r, V x) {
    const V half = v_sigmoid(r, x + x);
    return half + half - NUMBER(ONE);
}
