
/* Whether this processor has the instructions that the compiler was allowed to use. */
static int processor(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
#ifdef __AVX__
    if (!__builtin_cpu_supports("avx")) return 0;
#endif
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) return 0;
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) return 0;
#endif
#ifdef __BMI2__
    if (!__builtin_cpu_supports("bmi2")) return 0;
#endif
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) return 0;
#endif
#ifdef __AVX512VL__
    if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512bw")) return 0;
    if (!__builtin_cpu_supports("avx512dq")) return 0;
#endif
#endif
    return 1;
}

int ${p}_check(const void *weights, size_t weights_bytes) {
    uint64_t sum = 0;
    if (!weights) return ${P}_NULL;
    if (weights_bytes != ${P}_WEIGHTS_BYTES) return ${P}_WEIGHTS_SIZE;
    if ((uintptr_t)weights % sizeof(float)) return ${P}_ALIGNMENT;
    if (!processor()) return ${P}_PROCESSOR;
    for (size_t i = 0; i < weights_bytes / 4; i++) {
        uint32_t word;
        memcpy(&word, (const char *)weights + 4 * i, 4);
        sum += (2 * (uint64_t)i + 1) * word;
    }
    return sum == ${P}_CHECKSUM ? ${P}_OK : ${P}_WEIGHTS_CHECKSUM;
}

int ${p}_run(const void *weights, size_t weights_bytes, const ${P}_NUMBER *input, size_t input_numbers, float *output,
             size_t output_floats, void *workspace, size_t workspace_bytes) {
    if (!weights || !input || !output || !workspace) return ${P}_NULL;
    if (weights_bytes != ${P}_WEIGHTS_BYTES) return ${P}_WEIGHTS_SIZE;
    if (input_numbers != ${P}_INPUT) return ${P}_INPUT_SIZE;
    if (output_floats != ${P}_OUTPUT) return ${P}_OUTPUT_SIZE;
    if (workspace_bytes < ${P}_WORKSPACE_BYTES) return ${P}_WORKSPACE_SIZE;
    if ((uintptr_t)weights % sizeof(float) || (uintptr_t)input % sizeof(*input) || (uintptr_t)output % sizeof(float))
        return ${P}_ALIGNMENT;
    float *arena = (float *)(void *)((char *)workspace + (64 - (uintptr_t)workspace % 64) % 64);
$image
    run_all((const float *)weights, image, output, arena, arena + $arena);
    return ${P}_OK;
}

const char *${p}_message(int code) {
    switch (code) {
    case ${P}_OK: return "all is well";
    case ${P}_NULL: return "a pointer is null";
    case ${P}_ALIGNMENT: return "the weights, the input or the output do not lie at a multiple of their numbers' size";
    case ${P}_WEIGHTS_SIZE: return "the weights are not of $weights_bytes bytes; they are of another network, or cut";
    case ${P}_WEIGHTS_CHECKSUM: return "the weights are not those of this network";
    case ${P}_INPUT_SIZE: return "the input is not of $input numbers ($shape)";
    case ${P}_OUTPUT_SIZE: return "the output is not of $output floats";
    case ${P}_WORKSPACE_SIZE: return "the workspace is below $workspace_bytes bytes";
    case ${P}_PROCESSOR: return "this code is for another processor; compile it for this one";
    default: return "no such code";
    }
}

const char *${p}_class(size_t number) {
$names
}
