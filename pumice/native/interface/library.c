/* The network and its weights in one library. */
#include "model.c"

#if defined(__APPLE__)
#define BEGIN ".section __TEXT,__const\n.balign 64\n_${p}_blob:\n"
#define END ".byte 0\n.text\n"
#else
#define BEGIN ".pushsection .rodata\n.balign 64\n.globl ${p}_blob\n.hidden ${p}_blob\n${p}_blob:\n"
#define END ".byte 0\n.popsection\n"
#endif
__asm__(BEGIN $incbin END);

extern const char ${p}_blob[] __attribute__((visibility("hidden")));
const void *${p}_weights(void);
const void *${p}_weights(void) {
    return ${p}_blob;
}
