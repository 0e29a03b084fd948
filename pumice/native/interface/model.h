/* $title

   $reads
   $answers

   Nothing here is changed by running: any number of threads may run at once with one block of weights, each with a
   workspace of its own.  Written by Pumice. */
#ifndef ${P}_H
#define ${P}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ${P}_CHANNELS $channels
#define ${P}_HEIGHT $height
#define ${P}_WIDTH $width
#define ${P}_INPUT $input /* numbers of an image, each a ${P}_NUMBER */
#define ${P}_OUTPUT $output /* floats of the answer */
#define ${P}_CLASSES $classes /* names that ${p}_class knows */
#define ${P}_WEIGHTS_BYTES ((size_t)$weights_bytes) /* of model.bin */
#define ${P}_WORKSPACE_BYTES ((size_t)$workspace_bytes)
#define ${P}_CHECKSUM UINT64_C($checksum) /* the words of model.bin, the i-th times 2 i + 1 */
typedef $number ${P}_NUMBER;

enum {
    ${P}_OK,
    ${P}_NULL,
    ${P}_ALIGNMENT,
    ${P}_WEIGHTS_SIZE,
    ${P}_WEIGHTS_CHECKSUM,
    ${P}_INPUT_SIZE,
    ${P}_OUTPUT_SIZE,
    ${P}_WORKSPACE_SIZE,
    ${P}_PROCESSOR
};

/* What is wrong with the weights, or with running this code on this processor: to ask once, before the first run. */
int ${p}_check(const void *weights, size_t weights_bytes);

/* One image.  weights: model.bin in memory, at a multiple of 4 bytes (of 64 is fastest).  workspace: memory at any
   place, whose contents do not matter.  Returns one of the above; unless that is ${P}_OK, output is as it was. */
int ${p}_run(const void *weights, size_t weights_bytes, const ${P}_NUMBER *input, size_t input_numbers, float *output,
             size_t output_floats, void *workspace, size_t workspace_bytes);

/* A sentence for a code. */
const char *${p}_message(int code);

/* The name of a class in UTF-8; "" where there is none. */
const char *${p}_class(size_t number);

#ifdef __cplusplus
}
#endif
#endif
