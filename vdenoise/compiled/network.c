/* Networks of ours (vdenoise/nets/guided.py), row by row: a layer computes its next rows when one
 * behind it asks, and keeps those that are still to be read, so that everything stays in cache and
 * no tile needs pixels around it. 3x3 convolutions are Winograd's F(4x4, 3x3) (Lavin and Gray 2016):
 * cells of 4x4 pixels are computed from the 6x6 around them with a quarter of the multiplications.
 * What a pixel rounds to depends on the whole of its cell and on nothing else: cells are counted from
 * the picture's first pixel (or its last, in a mirrored view).
 *
 * Rows are channels last, in multiples of eight, with pixels of zeros before and behind the picture. */
#include "vectors.h"

#include <immintrin.h>
#include <string.h>

enum { PACK, CONVOLUTION, DOWN, UP };
enum { CELL = 4, SEEN = 6, POINTS = SEEN * SEEN };
enum { BEFORE = 4, BEHIND = 16 };     /* pixels of zeros in a row: all that is read around it */
enum { PIXELS = 6, OUTPUTS = 16 };    /* of a product that is kept in registers */
enum { LINE = 16 };                   /* of a processor's cache */
enum { CHUNK = 24, MOST_LAYERS = 64 }; /* cells worked on at once; a multiple of CELLS */
#ifdef AVX512
enum { CELLS = 12 }; /* of a product at a point: there are 32 registers, twice as long */
#else
enum { CELLS = PIXELS };
#endif

typedef struct {
    const float *at;
    long height, width, down, across; /* its pixels, and the picture's pixels to one of them */
} Plane;

typedef struct Layer {
    long kind, channels, used, leaky, height, width; /* of channels: behind the used ones are zeros */
    struct Layer *from, *added; /* what it reads, and what is added to its answer */
    const float *weights, *bias;
    long first_row, first_column; /* of the first cell: 0, or before the picture */
    long done;                    /* rows before this one are complete */
    long kept, stride;            /* rows of the ring, and numbers to one */
    float *ring;
} Layer;

typedef struct {
    Layer layers[MOST_LAYERS];
    long count, height, width; /* of the picture that is asked for */
    long padded_height, padded_width;
    const Plane *planes; /* three each of average, temporal, noisy, sigma, residual */
    const float *bands;
    long count_bands;
    float gain, slope;
    int counting; /* nothing is computed: which rows must be kept at once? */
    const float *zeros;
    float *rows, *seen, *answered; /* two rows of all planes; a chunk's cells, transformed */
} Network;

INLINE v8 fused(v8 a, v8 b, v8 c) { return (v8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }

INLINE float *row_of(const Network *net, const Layer *layer, long y) {
    if (y < 0 || y >= layer->height)
        return (float *)net->zeros + BEFORE * layer->channels;
    return layer->ring + (y % layer->kept) * layer->stride + BEFORE * layer->channels;
}

static void computed(Network *net, Layer *layer);

/* The rows before `end` are complete, and those from `first` on are kept: whoever reads asks this. */
static void wanted(Network *net, Layer *layer, long first, long end) {
    end = end < layer->height ? end : layer->height;
    while (layer->done < end)
        computed(net, layer);
    first = first > 0 ? first : 0;
    if (net->counting && layer->done - first > layer->kept)
        layer->kept = layer->done - first;
}

/* One row of a plane at the picture's size, its last pixel repeated. */
INLINE void spread(const Plane *plane, long y, long height, long width, long padded, float *to) {
    if (!plane->at) {
        memset(to, 0, padded * sizeof(float));
        return;
    }
    const float *from = plane->at + (y < height ? y : height - 1) / plane->down * plane->width;
    if (plane->across == 1)
        memcpy(to, from, width * sizeof(float));
    else if (plane->across == 2)
        for (long x = 0; x < width; x++)
            to[x] = from[x / 2];
    else
        for (long x = 0; x < width; x++)
            to[x] = from[x / plane->across];
    for (long x = width; x < padded; x++)
        to[x] = to[width - 1];
}

static void pack_row(Network *net, Layer *layer, long y) {
    long wide = net->padded_width, area = 2 * wide, picture = 3 * area;
    float *rows = net->rows, *to = row_of(net, layer, y);
    for (int plane = 0; plane < 15; plane++)
        for (int line = 0; line < 2; line++)
            spread(net->planes + plane, 2 * y + line, net->height, net->width, wide,
                   rows + plane * area + line * wide);
    for (long x = 0; x < layer->width; x++, to += layer->channels) {
        long corners[4] = {2 * x, 2 * x + 1, wide + 2 * x, wide + 2 * x + 1};
        packed(to, rows, rows + picture, rows + 2 * picture, rows + 3 * picture,
               rows + 4 * picture, net->bands, net->count_bands, area, corners, net->gain);
    }
}

/* The sixteen outputs of a pixel that are computed at once. */
#ifdef AVX512
typedef float v16 __attribute__((vector_size(64)));
typedef float v16_anywhere __attribute__((vector_size(64), aligned(4), may_alias));

INLINE v16 load_outputs(const float *from) { return *(const v16_anywhere *)from; }

INLINE void store_outputs(float *to, v16 x) { *(v16_anywhere *)to = x; }

INLINE v16 fused_outputs(float value, v16 weights, v16 total) {
    return (v16)_mm512_fmadd_ps(_mm512_set1_ps(value), (__m512)weights, (__m512)total);
}

INLINE v16 sum_of_outputs(v16 a, v16 b) { return a + b; }

/* As many channels as a register holds: to Winograd's points and back each is for itself. */
enum { WIDE = 16 };
typedef v16 wide;

INLINE wide wide_load(const float *from) { return load_outputs(from); }

INLINE void wide_store(float *to, wide x) { store_outputs(to, x); }

INLINE wide wide_all(float value) { return (wide)_mm512_set1_ps(value); }

INLINE wide wide_fused(wide a, wide b, wide c) {
    return (wide)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

INLINE wide wide_leaked(wide x, wide slope) { return (wide)_mm512_max_ps((__m512)x, (__m512)(x * slope)); }
#else
typedef struct {
    v8 low, high;
} v16;

INLINE v16 load_outputs(const float *from) { return (v16){load(from), load(from + 8)}; }

INLINE void store_outputs(float *to, v16 x) {
    store(to, x.low);
    store(to + 8, x.high);
}

INLINE v16 fused_outputs(float value, v16 weights, v16 total) {
    return (v16){fused(all(value), weights.low, total.low), fused(all(value), weights.high, total.high)};
}

INLINE v16 sum_of_outputs(v16 a, v16 b) { return (v16){a.low + b.low, a.high + b.high}; }

enum { WIDE = 8 };
typedef v8 wide;

INLINE wide wide_load(const float *from) { return load(from); }

INLINE void wide_store(float *to, wide x) { store(to, x); }

INLINE wide wide_all(float value) { return all(value); }

INLINE wide wide_fused(wide a, wide b, wide c) { return fused(a, b, c); }

INLINE wide wide_leaked(wide x, wide slope) { return (wide)_mm256_max_ps((__m256)x, (__m256)(x * slope)); }
#endif

/* total += the product of `pixels` rows of `from` (each `step` after the other) and `weights` (length,
 * OUTPUTS). */
INLINE void product(v16 *total, int pixels, const float *from, long step, const float *weights,
                    long length) {
    for (long k = 0; k < length; k++) {
        v16 outputs = load_outputs(weights + k * OUTPUTS);
#pragma GCC unroll 12
        for (int n = 0; n < pixels; n++)
            total[n] = fused_outputs(from[n * step + k], outputs, total[n]);
    }
}

INLINE void started(v16 *total, int pixels, const float *at) {
#pragma GCC unroll 12
    for (int n = 0; n < pixels; n++)
        total[n] = load_outputs(at);
}

/* Begins to bring numbers nearer while others are worked on. */
INLINE void fetched(const float *from, long count) {
    for (long n = 0; n < count; n += LINE)
        __builtin_prefetch(from + n, 0, 2);
}

/* Six numbers of a line of a cell to the six points of Winograd's products. */
INLINE void to_points(const wide *x, long step, wide *to) {
    wide d0 = x[0], d1 = x[step], d2 = x[2 * step], d3 = x[3 * step], d4 = x[4 * step];
    wide d5 = x[5 * step], four = wide_all(4), five = wide_all(5);
    wide even = wide_fused(-four, d2, d4), odd = wide_fused(-four, d1, d3), c = d4 - d2, e = d3 - d1;
    e += e;
    to[0] = wide_fused(four, d0, wide_fused(-five, d2, d4));
    to[1] = even + odd;
    to[2] = even - odd;
    to[3] = c + e;
    to[4] = c - e;
    to[5] = wide_fused(four, d1, wide_fused(-five, d3, d5));
}

/* Six points to the four numbers of a line. */
INLINE void from_points(const wide *x, long step, wide *to) {
    wide m0 = x[0], m1 = x[step], m2 = x[2 * step], m3 = x[3 * step], m4 = x[4 * step];
    wide p = m1 + m2, q = m1 - m2, r = m3 + m4, s = m3 - m4;
    to[0] = m0 + p + r;
    to[1] = wide_fused(wide_all(2), s, q);
    to[2] = wide_fused(wide_all(4), r, p);
    to[3] = wide_fused(wide_all(8), s, q) + x[5 * step];
}

INLINE void cell_seen(float *const rows[SEEN], long at, long channels, float *to, long apart) {
    wide across[POINTS], column[SEEN];
    for (int y = 0; y < SEEN; y++) {
        wide line[SEEN];
        for (int x = 0; x < SEEN; x++)
            line[x] = wide_load(rows[y] + at + x * channels);
        to_points(line, 1, across + y * SEEN);
    }
    for (int x = 0; x < SEEN; x++) {
        to_points(across + x, SEEN, column);
        for (int y = 0; y < SEEN; y++)
            wide_store(to + (y * SEEN + x) * apart, column[y]);
    }
}

/* A cell's pixels from its products: those from column `begin` on, before `end`, in rows that are
 * made. left: of the cell's first pixel, in a row. */
INLINE void cell_answered(const Network *net, const Layer *layer, const float *answer, long apart, long c,
                          float *const made[CELL], float *const added[CELL], long left, long begin,
                          long end) {
    long out = layer->channels;
    wide down[CELL * SEEN], line[CELL], bias = wide_load(layer->bias + c);
    for (int x = 0; x < SEEN; x++) {
        wide points[SEEN], column[CELL];
        for (int y = 0; y < SEEN; y++)
            points[y] = wide_load(answer + (y * SEEN + x) * apart);
        from_points(points, 1, column);
        for (int y = 0; y < CELL; y++)
            down[y * SEEN + x] = column[y];
    }
    for (int y = 0; y < CELL; y++) {
        if (!made[y])
            continue;
        from_points(down + y * SEEN, 1, line);
        for (int x = 0; x < CELL; x++)
            line[x] += bias;
        if (layer->leaky)
            for (int x = 0; x < CELL; x++)
                line[x] = wide_leaked(line[x], wide_all(net->slope));
        if (added[y])
            for (int x = 0; x < CELL; x++) /* before and behind the picture there are zeros */
                line[x] += wide_load(added[y] + (left + x) * out + c);
        if (end - begin == CELL)
            for (int x = 0; x < CELL; x++)
                wide_store(made[y] + (left + x) * out + c, line[x]);
        else
            for (long x = begin; x < end; x++)
                wide_store(made[y] + (left + x) * out + c, line[x]);
    }
}

static void convolved(Network *net, Layer *layer) {
    Layer *from = layer->from;
    long in = from->channels, out = layer->channels, first = layer->done;
    long cells = (layer->width - layer->first_column + CELL - 1) / CELL;
    long seen_apart = CHUNK * in + 16, answered_apart = CHUNK * out + 16;
    float *given[SEEN], *made[CELL], *added[CELL];
    for (int y = 0; y < SEEN; y++)
        given[y] = row_of(net, from, first - 1 + y);
    for (int y = 0; y < CELL; y++) {
        long row = first + y;
        made[y] = row < 0 || row >= layer->height ? 0 : row_of(net, layer, row);
        added[y] = layer->added ? row_of(net, layer->added, row) : 0;
    }
    for (long start = 0; start < cells; start += CHUNK) {
        long count = cells - start < CHUNK ? cells - start : CHUNK;
        for (long n = 0; n < count; n++) {
            long x = layer->first_column + (start + n) * CELL - 1;
            for (long c = 0; c < in; c += WIDE) {
                long from_c = c + WIDE <= in ? c : in - WIDE; /* some of the last are done twice */
                cell_seen(given, x * in + from_c, in, net->seen + n * in + from_c, seen_apart);
            }
        }
        for (int point = 0; point < POINTS; point++) {
            long piece = CHUNK * CELL * in / SEEN; /* of a row that the next chunk reads */
            long next = (layer->first_column + (start + CHUNK) * CELL) * in + point % SEEN * piece;
            if (start + CHUNK < cells)
                fetched(given[point / SEEN] + next, piece);
            for (long c = 0; c < out; c += OUTPUTS)
                for (long n = 0; n < count; n += CELLS) {
                    v16 total[CELLS];
                    float *to = net->answered + point * answered_apart + n * out + c;
                    started(total, CELLS, net->zeros);
                    product(total, CELLS, net->seen + point * seen_apart + n * in, in,
                            layer->weights + (point * out + c) * in, from->used);
#pragma GCC unroll 12
                    for (int k = 0; k < CELLS; k++)
                        store_outputs(to + k * out, total[k]);
                }
        }
        for (long n = 0; n < count; n++) {
            long left = layer->first_column + (start + n) * CELL, right = layer->width - left;
            long begin = left < 0 ? -left : 0, end = right < CELL ? right : CELL;
            for (long c = 0; c < out; c += WIDE)
                cell_answered(net, layer, net->answered + n * out + c, answered_apart, c, made, added,
                              left, begin, end);
        }
    }
}

/* 2x2 pixels to one: a row of these is as long as two of its own. weights: (outputs / 16, 4 inputs, 16). */
static void down_row(Network *net, Layer *layer, long y) {
    long length = 2 * layer->from->channels, out = layer->channels;
    const float *upper = row_of(net, layer->from, 2 * y), *lower = row_of(net, layer->from, 2 * y + 1);
    float *to = row_of(net, layer, y);
    for (long c = 0; c < out; c += OUTPUTS)
        for (long x = 0; x < layer->width; x += PIXELS) {
            v16 total[PIXELS];
            const float *weights = layer->weights + c * 2 * length;
            started(total, PIXELS, layer->bias + c);
            product(total, PIXELS, upper + x * length, length, weights, length);
            product(total, PIXELS, lower + x * length, length, weights + OUTPUTS * length, length);
            for (int n = 0; n < PIXELS && x + n < layer->width; n++)
                store_outputs(to + (x + n) * out + c, total[n]);
        }
}

/* One pixel to 2x2, and what was there is added. weights: (2, 2, outputs / 16, inputs, 16). */
static void up_rows(Network *net, Layer *layer, long y) {
    long in = layer->from->channels, out = layer->channels;
    const float *from = row_of(net, layer->from, y);
    for (int corner = 0; corner < 4; corner++) {
        float *to = row_of(net, layer, 2 * y + corner / 2);
        const float *added = row_of(net, layer->added, 2 * y + corner / 2);
        for (long c = 0; c < out; c += OUTPUTS)
            for (long x = 0; x < layer->from->width; x += PIXELS) {
                v16 total[PIXELS];
                started(total, PIXELS, layer->bias + c);
                product(total, PIXELS, from + x * in, in, layer->weights + (corner * out + c) * in, in);
                for (int n = 0; n < PIXELS && x + n < layer->from->width; n++) {
                    long at = (2 * (x + n) + corner % 2) * out + c;
                    store_outputs(to + at, sum_of_outputs(total[n], load_outputs(added + at)));
                }
            }
    }
}

/* A layer's next rows. */
static void computed(Network *net, Layer *layer) {
    long y = layer->done;
    switch (layer->kind) {
    case PACK:
        if (!net->counting)
            pack_row(net, layer, y);
        layer->done += 1;
        break;
    case CONVOLUTION:
        wanted(net, layer->from, y - 1, y + CELL + 1);
        if (layer->added)
            wanted(net, layer->added, y, y + CELL);
        wanted(net, layer->from, y - 1, y + CELL + 1); /* still: what is added may have gone on */
        if (!net->counting)
            convolved(net, layer);
        layer->done += CELL;
        break;
    case DOWN:
        wanted(net, layer->from, 2 * y, 2 * y + 2);
        if (!net->counting)
            down_row(net, layer, y);
        layer->done += 1;
        break;
    default:
        wanted(net, layer->from, y / 2, y / 2 + 1);
        wanted(net, layer->added, y, y + 2);
        wanted(net, layer->from, y / 2, y / 2 + 1);
        if (!net->counting)
            up_rows(net, layer, y / 2);
        layer->done += 2;
    }
}

/* tanh, to some 1e-7: 1 - 2 / (exp(2 |x|) + 1), with x's sign. */
INLINE v8 bounded(v8 x) {
    i8 sign = (i8)x & (i8)all(-0.0f);
    v8 size = (v8)((i8)x & ~(i8)all(-0.0f));
    /* Of a NaN the second is taken, so that it stays one. */
    v8 doubled = (v8)_mm256_min_ps((__m256)all(40), (__m256)(size * all(2.885390081777927f)));
    v8 whole = (v8)_mm256_round_ps((__m256)doubled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    v8 rest = (doubled - whole) * all(0.6931471805599453f); /* within 0.35: Taylor's series of exp */
    v8 power = all(1.0f / 5040);
    power = fused(power, rest, all(1.0f / 720));
    power = fused(power, rest, all(1.0f / 120));
    power = fused(power, rest, all(1.0f / 24));
    power = fused(power, rest, all(1.0f / 6));
    power = fused(power, rest, all(0.5f));
    power = fused(power, rest, all(1));
    power = fused(power, rest, all(1));
    i8 exponent = (i8)_mm256_cvtps_epi32((__m256)whole) << 23;
    v8 grown = (v8)((i8)power + exponent);
    return (v8)((i8)(all(1) - all(2) / (grown + all(1))) | sign);
}

/* Two rows of the correction of one row of the last layer's answer. */
static void unpack_row(Network *net, float *answer, long channels, long y, float bound, float blind,
                       float *correction) {
    long wide = net->padded_width, half = wide / 2;
    for (long n = 0; n < half * channels; n += 8)
        store(answer + n, all(bound) * bounded(load(answer + n) / all(bound)));
    for (int plane = 0; plane < 3; plane++)
        for (int line = 0; line < 2 && 2 * y + line < net->height; line++) {
            float *sigma = net->rows, *residual = sigma + wide;
            spread(net->planes + 9 + plane, 2 * y + line, net->height, net->width, wide, sigma);
            spread(net->planes + 12 + plane, 2 * y + line, net->height, net->width, wide, residual);
            float *to = correction + (plane * net->height + 2 * y + line) * net->width;
            const float *from = answer + 4 * plane + 2 * line;
            for (long x = 0; x < net->width; x++)
                to[x] = from[x / 2 * channels + x % 2] * ((sigma[x] < 0 ? blind : sigma[x]) * residual[x]);
        }
}

/* The correction (3, height, width) for one picture; the number of floats of `room` where that is
 * null, and nothing is computed.
 *
 * layers: count rows of kind, the layers it reads and adds (-1: none), channels, whether leaky, how
 * often its picture is halved, weights and bias. planes: 15 rows of pointer (null: zeros), height,
 * width, the picture's rows and columns to one of its own. multiple: what the picture's sides are
 * padded to by repeating its edge. from_bottom, from_right: cells are counted from there. room: zeros. */
long NAME(network)(const long *layers, long count, const long *planes, long height, long width,
                   long multiple, long from_bottom, long from_right, const float *bands,
                   long count_bands, float gain, float slope, float bound, float blind, float *room,
                   float *correction) {
    Plane plane[15];
    for (int n = 0; n < 15; n++, planes += 5)
        plane[n] = (Plane){(const float *)planes[0], planes[1], planes[2], planes[3], planes[4]};
    Network net = {.count = count, .height = height, .width = width, .planes = plane};
    net.padded_height = (height + multiple - 1) / multiple * multiple;
    net.padded_width = (width + multiple - 1) / multiple * multiple;
    net.bands = bands, net.count_bands = count_bands, net.gain = gain, net.slope = slope;
    long most_channels = 0, longest = 0;
    for (long n = 0; n < count; n++) {
        const long *given = layers + 8 * n;
        Layer *layer = net.layers + n;
        *layer = (Layer){.kind = given[0], .channels = given[3], .leaky = given[4]};
        layer->used = layer->kind == PACK ? 4 * FULL + MAPS + count_bands : layer->channels;
        layer->from = given[1] < 0 ? 0 : net.layers + given[1];
        layer->added = given[2] < 0 ? 0 : net.layers + given[2];
        layer->height = net.padded_height >> given[5];
        layer->width = net.padded_width >> given[5];
        layer->weights = (const float *)given[6], layer->bias = (const float *)given[7];
        if (layer->kind == CONVOLUTION) {
            layer->first_row = from_bottom ? -(-layer->height & (CELL - 1)) : 0;
            layer->first_column = from_right ? -(-layer->width & (CELL - 1)) : 0;
        }
        layer->done = layer->first_row;
        layer->stride = (BEFORE + layer->width + BEHIND) * layer->channels;
        most_channels = layer->channels > most_channels ? layer->channels : most_channels;
        longest = layer->stride > longest ? layer->stride : longest;
    }
    Layer *last = net.layers + count - 1;
    net.counting = 1;
    for (long y = 0; y < last->height; y++)
        wanted(&net, last, y, y + 1);
    net.counting = 0;
    long chunk = POINTS * (CHUNK * most_channels + 16), needed = longest;
    float *next = room + longest;
    net.zeros = room;
    for (long n = 0; n < count; n++) {
        Layer *layer = net.layers + n;
        layer->done = layer->first_row;
        layer->ring = next;
        next += layer->kept * layer->stride, needed += layer->kept * layer->stride;
    }
    net.rows = next, net.seen = next + 30 * net.padded_width, net.answered = net.seen + chunk;
    if (!room)
        return needed + 30 * net.padded_width + 2 * chunk;
    for (long y = 0; y < last->height; y++) {
        wanted(&net, last, y, y + 1);
        unpack_row(&net, row_of(&net, last, y), last->channels, y, bound, blind, correction);
    }
    return 0;
}
