/* Eight numbers at once, in plain C: GCC and Clang make of it what the processor has.
 *
 * Nothing here depends on which processor that is: no operation is contracted (-ffp-contract=off)
 * and no sum is taken in another order, so results are the same to the bit everywhere.
 */
#ifndef VDENOISE_VECTORS_H
#define VDENOISE_VECTORS_H

typedef float v8 __attribute__((vector_size(32)));
typedef int i8 __attribute__((vector_size(32)));
typedef float v8_anywhere __attribute__((vector_size(32), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define MIXED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIXED(a, b, ...) __builtin_shuffle(a, b, (i8){__VA_ARGS__})
#endif

INLINE v8 load(const float *from) { return *(const v8_anywhere *)from; }

INLINE void store(float *to, v8 value) { *(v8_anywhere *)to = value; }

INLINE v8 all(float value) {
    return (v8){value, value, value, value, value, value, value, value};
}

/* The sum, halves first: the order is fixed. */
INLINE float sum(v8 x) {
    float a = x[0] + x[4], b = x[1] + x[5], c = x[2] + x[6], d = x[3] + x[7];
    return (a + c) + (b + d);
}

/* x where the mask is all ones, else 0. */
INLINE v8 where(i8 mask, v8 x) { return (v8)((i8)x & mask); }

#endif
