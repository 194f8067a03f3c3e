/* Planes to other planes: to another density, levels to sigmas (vdenoise/picture/subsampling.py and
 * noise_table.py), and to what networks of ours take and back (vdenoise/nets/guided.py). */
#include "vectors.h"

#include <stdint.h>

enum { FULL = 9, MAPS = 6 };

/* float32 to bfloat16, to the nearest, ties to even. */
INLINE uint16_t bfloat16(float value) {
    union {
        float number;
        uint32_t bits;
    } x = {value};
    return (uint16_t)((x.bits + 0x7fff + ((x.bits >> 16) & 1)) >> 16);
}

/* The planes of one pixel at half size, channels last: of 2x2 pixels the estimate (luma centered)
 * and the two differences, sigma and what is left of it, and the color of the noise. */
INLINE void packed(float *to, const float *average, const float *temporal, const float *noisy,
                   const float *sigma, const float *residual, const float *bands, long count_bands,
                   long area, const long *corners, float gain) {
    for (int plane = 0; plane < 3; plane++) {
        float center = plane == 0 ? 0.5f : 0.0f, all_sigma[4], rest[4];
        for (int k = 0; k < 4; k++) {
            long at = plane * area + corners[k];
            to[4 * plane + k] = average[at] - center;
            to[4 * (plane + 3) + k] = (temporal[at] - average[at]) * gain;
            to[4 * (plane + 6) + k] = (noisy[at] - temporal[at]) * gain;
            all_sigma[k] = sigma[at];
            rest[k] = sigma[at] * residual[at];
        }
        to[4 * FULL + plane] =
            (all_sigma[0] + all_sigma[1] + all_sigma[2] + all_sigma[3]) / 4 * gain;
        to[4 * FULL + 3 + plane] = (rest[0] + rest[1] + rest[2] + rest[3]) / 4 * gain;
    }
    for (long n = 0; n < count_bands; n++)
        to[4 * FULL + MAPS + n] = bands[n];
}

/* One picture: five of (3, height, width), both even, to (height / 2, width / 2, channels) of
 * float32, or of bfloat16 where half is not 0. bands: count_bands numbers. */
void NAME(pack)(const float *average, const float *temporal, const float *noisy,
                const float *sigma, const float *residual, const float *bands, long count_bands,
                long height, long width, float gain, long half, void *target) {
    long channels = 4 * FULL + MAPS + count_bands, area = height * width;
    float found[64];
    for (long y = 0; y < height; y += 2)
        for (long x = 0; x < width; x += 2) {
            long at = y * width + x, place = (y / 2 * (width / 2) + x / 2) * channels;
            long corners[4] = {at, at + 1, at + width, at + width + 1};
            float *to = half ? found : (float *)target + place;
            packed(to, average, temporal, noisy, sigma, residual, bands, count_bands, area,
                   corners, gain);
            if (half)
                for (long n = 0; n < channels; n++)
                    ((uint16_t *)target)[place + n] = bfloat16(found[n]);
        }
}

/* What a network answers, (height / 2, width / 2, 12), in units of the sigma that is left, to a
 * correction (3, height, width). Where sigma is below 0 it was not told, and is blind. */
void NAME(unpack)(const float *answer, const float *sigma, const float *residual, long height,
                  long width, float bound, float blind, float *correction) {
    long area = height * width;
    for (int plane = 0; plane < 3; plane++)
        for (long y = 0; y < height; y++) {
            const float *from = answer + (y / 2) * (width / 2) * 12 + 4 * plane + 2 * (y % 2);
            long row = plane * area + y * width;
            for (long x = 0; x < width; x++) {
                long at = row + x;
                float unit = (sigma[at] < 0 ? blind : sigma[at]) * residual[at];
                correction[at] = bound * from[(x / 2) * 12 + x % 2] * unit;
            }
        }
}

/* A plane (height, width) to means over cells of (down, across) pixels, sides rounded up: where a cell
 * reaches beyond the last row or column, that is repeated. */
void NAME(cell_means)(const float *from, long height, long width, long down, long across, float *to) {
    long whole = width / across;
    float pixels = (float)(down * across);
    for (long top = 0; top < height; top += down) {
        for (long x = 0; x * across < width; x++)
            to[x] = 0;
        for (long y = top; y < top + down; y++) {
            const float *row = from + (y < height ? y : height - 1) * width;
            if (across == 2)
                for (long x = 0; x < whole; x++)
                    to[x] = to[x] + row[2 * x] + row[2 * x + 1];
            else
                for (long x = 0; x < whole; x++)
                    for (long k = 0; k < across; k++)
                        to[x] += row[x * across + k];
            for (long k = whole * across; whole * across < width && k < (whole + 1) * across; k++)
                to[whole] += row[k < width ? k : width - 1];
        }
        for (long x = 0; x * across < width; x++)
            to[x] /= pixels;
        to += (width + across - 1) / across;
    }
}

/* Numbers to those of rows of a table, count_rows of `steps` + 1 numbers each, that are evenly spread
 * over 0 to 1; those beyond take the first or the last, and what is no number the first. to:
 * (count_rows, count). */
void NAME(looked_up)(const float *at, long count, const float *table, long count_rows, long steps,
                     float *to) {
    for (long first = 0; first < count; first += 64) {
        long many = count - first < 64 ? count - first : 64;
        int place[64];
        for (long n = 0; n < many; n++) {
            float level = at[first + n];
            level = level > 0 ? level : 0;
            place[n] = (int)((level < 1 ? level : 1) * (float)steps + 0.5f);
        }
        for (long row = 0; row < count_rows; row++)
            for (long n = 0; n < many; n++)
                to[row * count + first + n] = table[row * (steps + 1) + place[n]];
    }
}
