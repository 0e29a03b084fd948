/* ./main          compare with the network on example.bin, say what is on it and how long that takes
   ./main FILE     the same, then say what is on the image in FILE: $input $number of ${shape}
   Ends with 1 where the answer is wrong, with 2 where a file is. */
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 51, BEST = 5 };

static _Alignas(64) float weights[${P}_WEIGHTS_BYTES / sizeof(float) + 1];
static _Alignas(64) ${P}_NUMBER image[${P}_INPUT];
static char workspace[${P}_WORKSPACE_BYTES];
static float output[${P}_OUTPUT], wanted[${P}_OUTPUT + 1]; /* the last: how far an answer may be off */

/* A file that is as long as two blocks together, into them. */
static void take(const char *path, void *block, size_t bytes, void *other, size_t more) {
    FILE *file = fopen(path, "rb");
    if (!file || fread(block, 1, bytes, file) != bytes || fread(other, 1, more, file) != more || fgetc(file) != EOF) {
        fprintf(stderr, "%s is not a file of %lu bytes\n", path, (unsigned long)(bytes + more));
        exit(2);
    }
    fclose(file);
}

static void must(int code) {
    if (code == ${P}_OK) return;
    fprintf(stderr, "%s\n", ${p}_message(code));
    exit(2);
}

static double now_ms(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(void) {
    must(${p}_run(weights, ${P}_WEIGHTS_BYTES, image, ${P}_INPUT, output, ${P}_OUTPUT, workspace,
                  ${P}_WORKSPACE_BYTES));
}

static void best(void) {
    static char taken[${P}_OUTPUT];
    for (int k = 0; k < BEST && k < ${P}_OUTPUT; k++) {
        int top = -1;
        for (int i = 0; i < ${P}_OUTPUT; i++)
            if (!taken[i] && (top < 0 || output[i] > output[top])) top = i;
        taken[top] = 1;
        printf("%9.4f  %d %s\n", (double)output[top], top, ${p}_class((size_t)top));
    }
}

int main(int argc, char **argv) {
    double times[RUNS];
    take("model.bin", weights, ${P}_WEIGHTS_BYTES, weights, 0);
    take("example.bin", wanted, sizeof wanted, image, sizeof image);
    must(${p}_check(weights, ${P}_WEIGHTS_BYTES));
    for (int k = 0; k < RUNS; k++) {
        const double start = now_ms();
        run();
        times[k] = now_ms() - start;
    }
    float off = 0.0f;
    int right = 1;
    for (int i = 0; i < ${P}_OUTPUT; i++) {
        const float d = fabsf(output[i] - wanted[i]);
        if (d > off) off = d;
        if (!(d <= wanted[${P}_OUTPUT])) right = 0; /* nor is a NaN right */
    }
    qsort(times, RUNS, sizeof *times, by_size);
    printf("example.bin: off by %.2g, %.2g is allowed: %s\n", (double)off, (double)wanted[${P}_OUTPUT],
           right ? "right" : "WRONG");
    printf("%.3f ms, the median of %d\n", times[RUNS / 2], RUNS);
    if (argc > 1) {
        take(argv[1], image, sizeof image, image, 0);
        run();
    }
    if ($scores) best();
    return right ? 0 : 1;
}
