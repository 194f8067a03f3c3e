/* One pass of overlapped block-DCT shrinkage over a plane: see vdenoise/picture/dct.py, whose
 * functions in torch say the same.
 *
 * A block is transformed, shrunk, transformed back and added before the next one is read, and all
 * positions of the grid are done for one row of blocks before the next: everything stays in the
 * cache. What a pixel gets is added in an order that depends on its place in the grid alone.
 */
#include "vectors.h"

#define TINY 1e-12f

enum { HARD, WIENER, OUTLIERS, OUTLIER_GAINS };

static const float ODD8[4][4] = {
    {0.4903926402f, 0.4157348062f, 0.2777851165f, 0.0975451610f},
    {0.4157348062f, -0.0975451610f, -0.4903926402f, -0.2777851165f},
    {0.2777851165f, -0.4903926402f, 0.0975451610f, 0.4157348062f},
    {0.0975451610f, -0.2777851165f, 0.4157348062f, -0.4903926402f},
};
static const float ODD16[8][8] = {
    {0.3518509344f, 0.3383295003f, 0.3118062532f, 0.2733004668f, 0.2242918966f, 0.1666639146f, 0.1026311319f, 0.0346542923f},
    {0.3383295003f, 0.2242918966f, 0.0346542923f, -0.1666639146f, -0.3118062532f, -0.3518509344f, -0.2733004668f, -0.1026311319f},
    {0.3118062532f, 0.0346542923f, -0.2733004668f, -0.3383295003f, -0.1026311319f, 0.2242918966f, 0.3518509344f, 0.1666639146f},
    {0.2733004668f, -0.1666639146f, -0.3383295003f, 0.0346542923f, 0.3518509344f, 0.1026311319f, -0.3118062532f, -0.2242918966f},
    {0.2242918966f, -0.3118062532f, -0.1026311319f, 0.3518509344f, -0.0346542923f, -0.3383295003f, 0.1666639146f, 0.2733004668f},
    {0.1666639146f, -0.3518509344f, 0.2242918966f, 0.1026311319f, -0.3383295003f, 0.2733004668f, 0.0346542923f, -0.3118062532f},
    {0.1026311319f, -0.2733004668f, 0.3518509344f, -0.3118062532f, 0.1666639146f, 0.0346542923f, -0.2242918966f, 0.3383295003f},
    {0.0346542923f, -0.1026311319f, 0.1666639146f, -0.2242918966f, 0.2733004668f, -0.3118062532f, 0.3383295003f, -0.3518509344f},
};
static const float EVEN = 0.3535533906f, COSINE = 0.4619397663f, SINE = 0.1913417162f;
static const float HALF = 0.7071067812f; /* the square root of it */

/* Eight orthonormal transforms (type II) of length 8 side by side, in place. */
INLINE void forward8(v8 *x) {
    v8 s0 = x[0] + x[7], s1 = x[1] + x[6], s2 = x[2] + x[5], s3 = x[3] + x[4];
    v8 d0 = x[0] - x[7], d1 = x[1] - x[6], d2 = x[2] - x[5], d3 = x[3] - x[4];
    v8 e0 = s0 + s3, e1 = s1 + s2, o0 = s0 - s3, o1 = s1 - s2;
    x[0] = (e0 + e1) * EVEN;
    x[4] = (e0 - e1) * EVEN;
    x[2] = o0 * COSINE + o1 * SINE;
    x[6] = o0 * SINE - o1 * COSINE;
    for (int k = 0; k < 4; k++)
        x[2 * k + 1] = (d0 * ODD8[k][0] + d1 * ODD8[k][1]) + (d2 * ODD8[k][2] + d3 * ODD8[k][3]);
}

/* Back again. */
INLINE void inverse8(v8 *x) {
    v8 e0 = (x[0] + x[4]) * EVEN, e1 = (x[0] - x[4]) * EVEN;
    v8 o0 = x[2] * COSINE + x[6] * SINE, o1 = x[2] * SINE - x[6] * COSINE;
    v8 s[4] = {e0 + o0, e1 + o1, e1 - o1, e0 - o0};
    v8 a = x[1], b = x[3], c = x[5], d = x[7];
    for (int n = 0; n < 4; n++) {
        v8 odd = (a * ODD8[0][n] + b * ODD8[1][n]) + (c * ODD8[2][n] + d * ODD8[3][n]);
        x[n] = s[n] + odd;
        x[7 - n] = s[n] - odd;
    }
}

INLINE void forward16(v8 *x) {
    v8 even[8], odd[8];
    for (int n = 0; n < 8; n++) {
        even[n] = (x[n] + x[15 - n]) * HALF;
        odd[n] = x[n] - x[15 - n];
    }
    forward8(even);
    for (int k = 0; k < 8; k++) {
        v8 total = odd[0] * ODD16[k][0];
        for (int n = 1; n < 8; n++)
            total += odd[n] * ODD16[k][n];
        x[2 * k] = even[k];
        x[2 * k + 1] = total;
    }
}

INLINE void inverse16(v8 *x) {
    v8 even[8], odd[8];
    for (int k = 0; k < 8; k++) {
        even[k] = x[2 * k] * HALF;
        odd[k] = x[2 * k + 1];
    }
    inverse8(even);
    for (int n = 0; n < 8; n++) {
        v8 total = odd[0] * ODD16[0][n];
        for (int k = 1; k < 8; k++)
            total += odd[k] * ODD16[k][n];
        x[n] = even[n] + total;
        x[15 - n] = even[n] - total;
    }
}

/* Rows to columns, 8x8, in place. */
INLINE void transpose8(v8 *x) {
    v8 pairs[8], fours[8];
    for (int n = 0; n < 8; n += 2) {
        pairs[n] = MIXED(x[n], x[n + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pairs[n + 1] = MIXED(x[n], x[n + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int n = 0; n < 8; n += 4)
        for (int k = 0; k < 2; k++) {
            fours[n + 2 * k] = MIXED(pairs[n + k], pairs[n + 2 + k], 0, 1, 8, 9, 4, 5, 12, 13);
            fours[n + 2 * k + 1] = MIXED(pairs[n + k], pairs[n + 2 + k], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int n = 0; n < 4; n++) {
        x[n] = MIXED(fours[n], fours[n + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        x[n + 4] = MIXED(fours[n], fours[n + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* A block as ``block / 8`` halves of ``block`` rows of 8 numbers each. */
INLINE void transposed(v8 *x, int block) {
    if (block == 8) {
        transpose8(x);
        return;
    }
    transpose8(x);
    transpose8(x + 8);
    transpose8(x + 16);
    transpose8(x + 24);
    for (int n = 0; n < 8; n++) {
        v8 kept = x[8 + n];
        x[8 + n] = x[16 + n];
        x[16 + n] = kept;
    }
}

/* To coefficients, columns and rows exchanged. */
INLINE void forward(v8 *x, int block) {
    for (int turn = 0; turn < 2; turn++) {
        if (block == 8)
            forward8(x);
        else {
            forward16(x);
            forward16(x + 16);
        }
        if (turn == 0)
            transposed(x, block);
    }
}

INLINE void inverse(v8 *x, int block) {
    for (int turn = 0; turn < 2; turn++) {
        if (block == 8)
            inverse8(x);
        else {
            inverse16(x);
            inverse16(x + 16);
        }
        if (turn == 0)
            transposed(x, block);
    }
}

INLINE void taken(v8 *x, const float *from, long width, int block) {
    for (int half = 0; half < block / 8; half++)
        for (int row = 0; row < block; row++)
            x[half * block + row] = load(from + row * width + 8 * half);
}

/* All blocks at one position of the grid in one row of blocks. */
INLINE void row_of_blocks(const float *pixels, const float *variance, const float *pilot,
                          const float *shape, long width, long blocks, int block, int kind,
                          float threshold, float *total, float *residual, float *weights) {
    int vectors = block * block / 8;
    float area = (float)(block * block);
    for (long n = 0; n < blocks; n++) {
        long at = n * block;
        v8 x[32], guess[32], sums = all(0);
        taken(x, variance + at, width, block);
        for (int i = 0; i < vectors; i++)
            sums += x[i];
        float level = sum(sums) / area, weight = 1, share = 1;
        taken(x, pixels + at, width, block);
        forward(x, block);
        sums = all(0);
        if (kind == HARD || kind == OUTLIERS) {
            v8 bound = all(kind == HARD ? level : level + TINY) * all(threshold * threshold);
            float mean = x[0][0];
            for (int i = 0; i < vectors; i++) {
                i8 keep = x[i] * x[i] > bound * load(shape + 8 * i);
                if (kind == HARD && i == 0)
                    keep[0] = -1;
                sums += where(keep, all(1));
                x[i] = where(keep, x[i]);
            }
            if (kind == HARD) {
                x[0][0] = mean;
                float kept = sum(sums);
                weight = 1 / (kept * level + TINY);
                share = kept / area;
            }
        } else {
            taken(guess, pilot + at, width, block);
            forward(guess, block);
            for (int i = 0; i < vectors; i++) {
                v8 power = guess[i] * guess[i], of_noise = load(shape + 8 * i);
                v8 gain = power / (all(level) * of_noise + power + all(TINY));
                if (kind == WIENER && i == 0)
                    gain[0] = 1;
                x[i] *= gain;
                sums += gain * gain * of_noise;
            }
            if (kind == WIENER) {
                float noise = sum(sums) * level + TINY;
                weight = 1 / noise;
                share = noise / (level * area + TINY);
            }
        }
        inverse(x, block);
        for (int half = 0; half < block / 8; half++)
            for (int row = 0; row < block; row++) {
                long place = at + row * width + 8 * half;
                store(total + place, load(total + place) + x[half * block + row] * weight);
                store(weights + place, load(weights + place) + all(weight));
                if (residual)
                    store(residual + place, load(residual + place) + all(weight * share));
            }
    }
}

/* A pass over a plane.
 *
 * pixels, variance: (height, width), both multiples of block. pilot: as large, for the two kinds
 * that have one. shape: (block, block) noise variance of each coefficient, columns first. offsets:
 * count pairs (y, x). total, weights, and residual unless it is null: (height, width), zero. total is
 * the result, residual the share of the noise variance that is left in it.
 */
void NAME(dct_pass)(const float *pixels, const float *variance, const float *pilot,
                    const float *shape, long height, long width, long block, const long *offsets,
                    long count, long kind, float threshold, float *total, float *residual,
                    float *weights) {
    for (long top = 0; top < height; top += block) {
        for (long n = 0; n < count; n++) {
            long y = top + offsets[2 * n], x = offsets[2 * n + 1], at = y * width + x;
            if (y + block > height)
                continue;
            long blocks = (width - x) / block;
            const float *guess = pilot ? pilot + at : 0;
            float *share = residual ? residual + at : 0;
#define ROW(size, how)                                                                            \
    row_of_blocks(pixels + at, variance + at, guess, shape, width, blocks, size, how, threshold,  \
                  total + at, share, weights + at)
#define ROWS(size)                                                                                \
    if (kind == HARD)                                                                             \
        ROW(size, HARD);                                                                          \
    else if (kind == WIENER)                                                                      \
        ROW(size, WIENER);                                                                        \
    else if (kind == OUTLIERS)                                                                    \
        ROW(size, OUTLIERS);                                                                      \
    else                                                                                          \
        ROW(size, OUTLIER_GAINS);
            if (block == 8) {
                ROWS(8)
            } else {
                ROWS(16)
            }
        }
        for (long at = top * width; at < (top + block) * width; at += 8) { /* complete by now */
            v8 weight = load(weights + at);
            i8 there = weight > all(TINY);
            weight = (v8)((i8)where(there, weight) | (i8)where(~there, all(TINY)));
            store(total + at, load(total + at) / weight);
            if (residual)
                store(residual + at, load(residual + at) / weight);
        }
    }
}
