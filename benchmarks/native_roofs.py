"""The roofs of this machine for `native.py`, by a C program: fused multiply-adds in registers, and reads of each level.

`pumice.cost.ceilings` takes a matrix product for the first, which some libraries do not do as well as a processor can;
what is at best possible is asked here.  The rule that makes a floor of them is that of `pumice.cost.roofline`.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pumice.cost.ceilings import TYPICAL_CACHES, Ceilings, Level, working_sets
from pumice.cost.machine import cache_levels, describe
from pumice.native.build import compile_shared

TEXT = """
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float V __attribute__((vector_size(LANES * 4)));

/* Twelve sums: as many as latency times throughput asks for, and as fit into 16 registers. */
float multiply(long times, float a, float b) {
    V s[12], p = (V){} + a, q = (V){} + b;
    for (int k = 0; k < 12; k++) s[k] = (V){} + (float)k;
#define ONE(k) s[k] = s[k] * p + q
    for (long i = 0; i < times; i++) {
        ONE(0); ONE(1); ONE(2); ONE(3); ONE(4); ONE(5); ONE(6); ONE(7); ONE(8); ONE(9); ONE(10); ONE(11);
    }
    V all = (V){};
    for (int k = 0; k < 12; k++) all += s[k];
    float sum = 0;
    for (int k = 0; k < LANES; k++) sum += all[k];
    return sum;
}
int lanes(void) { return LANES; }

float read_all(const float *x, long numbers, long times) {
    V s[8] = {{0}};
    for (long t = 0; t < times; t++) {
        const V *v = (const V *)x;
        for (long i = 0; i + 8 <= numbers / LANES; i += 8)
            for (int k = 0; k < 8; k++) s[k] += v[i + k];
        __asm__ volatile("" ::: "memory");
    }
    V all = (V){};
    for (int k = 0; k < 8; k++) all += s[k];
    float sum = 0;
    for (int k = 0; k < LANES; k++) sum += all[k];
    return sum;
}
"""
MULTIPLICATIONS = 400_000
READ_BYTES = 64 << 20
REPEATS = 15


def roofs() -> Ceilings:
    """The best of short repeats, one thread."""
    with TemporaryDirectory(prefix="pumice-") as folder:
        file = Path(folder) / "roofs.c"
        file.write_text(TEXT)
        compile_shared(file, file.with_suffix(".so"))
        code = ctypes.CDLL(str(file.with_suffix(".so")))
    code.multiply.restype = code.read_all.restype = ctypes.c_float
    a, b = ctypes.c_float(0.999), ctypes.c_float(1e-3)
    taken, spread = _best(lambda: code.multiply(ctypes.c_long(MULTIPLICATIONS), a, b))
    levels = []
    for name, capacity, size in working_sets(cache_levels() or TYPICAL_CACHES, 1):
        again = max(1, READ_BYTES // size)
        block = np.ones(size // 4 + 64, np.float32)
        start = -block.ctypes.data % 64 // 4
        place = ctypes.c_void_p(block[start:].ctypes.data)

        def read(place: ctypes.c_void_p = place, size: int = size, again: int = again) -> object:
            return code.read_all(place, ctypes.c_long(size // 4), ctypes.c_long(again))

        read_s, read_spread = _best(read)
        levels.append(Level(name, capacity, size * again / read_s, read_spread))
    return Ceilings(
        threads=1,
        madds_per_s=12 * code.lanes() * MULTIPLICATIONS / taken,
        madds_spread=spread,
        levels=tuple(levels),
        machine=describe(),
    )


def _best(work: Callable[[], object]) -> tuple[float, float]:
    """s, and how far the median lies above."""
    times = []
    for _ in range(REPEATS):
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return min(times), 1 - min(times) / float(np.median(times))
