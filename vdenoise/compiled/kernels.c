/* All compiled functions. hatch_build.py compiles this file once for any processor and, on x86, twice
 * more: with AVX2 defined, and with AVX512 as well; all go into one library. */
#if defined(AVX512)
#define NAME(name) vdenoise_##name##_avx512
#elif defined(AVX2)
#define NAME(name) vdenoise_##name##_avx2
#else
#define NAME(name) vdenoise_##name
/* Of the functions and their arguments: as _VERSION in __init__.py. */
int vdenoise_version(void) { return 8; }
#endif

#include "dct.c"
#include "planes.c"
#include "temporal.c"
#include "flow.c"
#ifdef AVX2 /* elsewhere torch's convolutions are as good */
#include "network.c"
#endif
