/* A frame's neighbor in time: fetched along the motion, compared, weighed and summed up. See
 * vdenoise/stages/temporal/neighbors.py, whose functions in torch say the same.
 *
 * Two planes of one size go through at once: luma and the guide that it is judged on, or both of
 * chroma. A row of cells is compared, one some rows above it is weighed, one above that is added, so
 * that what is between them stays in cache. */
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

enum { PLANES = 2, AROUND = 8 }; /* numbers of room before and behind a row */
enum { TAPS = 4 };               /* pixels in a row that one is made of */

typedef float v4 __attribute__((vector_size(16)));
typedef int i4 __attribute__((vector_size(16)));
typedef float v4_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

INLINE v4 load4(const float *from) { return *(const v4_anywhere *)from; }

INLINE void store4(float *to, v4 value) { *(v4_anywhere *)to = value; }

#if defined(__clang__)
#define MIXED4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIXED4(a, b, ...) __builtin_shuffle(a, b, (i4){__VA_ARGS__})
#endif

/* Where the numbers of a row lie between those of another: eight from `first` on, `next` of them
 * further and a share of the way to the one behind. */
typedef struct {
    long count; /* of them, a multiple of eight */
    int near;   /* whether eight lie among eight */
    int *first, *next;
    float *share;
} Places;

typedef struct {
    long height, width, rows, columns, down, across; /* of the planes; cells, and pixels to a cell */
    long tall, wide;                                 /* cells to each side of one that its window holds */
    const float *source[PLANES], *own[PLANES], *variance[PLANES];
    const float *flow[2];
    long flow_height, flow_width;
    float scale[2];
    const float *trust;
    long judged; /* 2: each plane by itself, 1: the mean of both */
    float floor[PLANES], slope[PLANES], lost;
    float *difference[PLANES], *total[PLANES]; /* null where it is not asked for */
    float *weight, *sum, *power;
    Places by_flow, by_cell;
    long padded, kept, kept_means; /* a row's numbers; rows in the rings */
    float *ring[PLANES], *means[PLANES], *squares[PLANES], *change, *coarse[2], *moved[PLANES];
} Neighbor;

/* What four pixels in a row weigh, at a share of the way from the second to the third: Keys' cubic
 * convolution (1981) with a = -0.75. */
INLINE void set_taps(v8 x, v8 *taps) {
    taps[0] = ((all(-0.75f) * x + all(1.5f)) * x - all(0.75f)) * x;
    taps[1] = (all(1.25f) * x - all(2.25f)) * x * x + all(1);
    taps[2] = ((all(-1.25f) * x + all(1.5f)) * x + all(0.75f)) * x;
    taps[3] = (all(0.75f) * x - all(0.75f)) * x * x;
}

/* The place of number n of `count` among `of`, both spread over the same length. */
INLINE long place_of(long n, long count, long of, float *share) {
    double at = (n + 0.5) * ((double)of / count) - 0.5;
    at = at < 0 ? 0 : at > of - 1 ? of - 1 : at;
    long whole = (long)at;
    *share = (float)(at - whole);
    return whole;
}

static void set_places(Places *places, long count, long of) {
    places->near = 1;
    for (long n = 0; n < places->count; n++) {
        long at = place_of(n < count ? n : count - 1, count, of, places->share + n);
        if (n % 8 == 0)
            places->first[n / 8] = (int)at;
        places->next[n] = (int)(at - places->first[n / 8]);
        places->near &= places->next[n] < 8;
    }
}

/* Eight numbers from there on. */
INLINE v8 picked(const float *from, i8 next, int near) {
#ifdef AVX2
    if (near)
        return (v8)__builtin_ia32_permvarsf256(load(from), next);
#endif
    (void)near;
    return (v8){from[next[0]], from[next[1]], from[next[2]], from[next[3]],
                from[next[4]], from[next[5]], from[next[6]], from[next[7]]};
}

/* Numbers n to n + 7 of a row that lies between those of a coarse one, which has room behind it. */
INLINE v8 between(const Places *places, const float *coarse, long n) {
    const float *from = coarse + places->first[n / 8];
    i8 next = (i8)load((const float *)places->next + n);
    v8 low = picked(from, next, places->near), high = picked(from + 1, next, places->near);
    return low + (high - low) * load(places->share + n);
}

/* A row between those of a plane (rows, columns): row n of `count`. */
INLINE void coarse_row(const float *plane, long rows, long columns, long n, long count, float *to) {
    float share;
    long at = place_of(n, count, rows, &share);
    const float *low = plane + at * columns;
    const float *high = at + 1 < rows ? low + columns : low;
    if (share == 0)
        memcpy(to, low, columns * sizeof(float));
    else
        for (long x = 0; x < columns; x++)
            to[x] = low[x] + (high[x] - low[x]) * share;
    for (long x = columns; x < columns + 2 * AROUND; x++)
        to[x] = to[columns - 1];
}

/* Four columns of four pixels, each weighed and summed up. */
INLINE v4 of_columns(const float *from, long stride, const v8 *down, int n) {
    v4 upper = load4(from) * down[0][n] + load4(from + stride) * down[1][n];
    v4 lower = load4(from + 2 * stride) * down[2][n] + load4(from + 3 * stride) * down[3][n];
    return upper + lower;
}

/* Four pixels of their columns. */
INLINE v4 of_rows(const v4 *columns, const v8 *across, int first) {
    v4 ab = MIXED4(columns[0], columns[1], 0, 4, 1, 5), AB = MIXED4(columns[0], columns[1], 2, 6, 3, 7);
    v4 cd = MIXED4(columns[2], columns[3], 0, 4, 1, 5), CD = MIXED4(columns[2], columns[3], 2, 6, 3, 7);
    const float *taps = (const float *)across + first;
    v4 left = MIXED4(ab, cd, 0, 1, 4, 5) * load4(taps) + MIXED4(ab, cd, 2, 3, 6, 7) * load4(taps + 8);
    v4 right = MIXED4(AB, CD, 0, 1, 4, 5) * load4(taps + 16) + MIXED4(AB, CD, 2, 3, 6, 7) * load4(taps + 24);
    return left + right;
}

/* Eight pixels that lie side by side. */
INLINE v8 side_by_side(const float *from, long stride, const v8 *across, const v8 *down) {
    v8 columns[TAPS];
#pragma GCC unroll 4
    for (int n = 0; n < TAPS; n++) {
        v8 upper = load(from + n) * down[0] + load(from + stride + n) * down[1];
        v8 lower = load(from + 2 * stride + n) * down[2] + load(from + 3 * stride + n) * down[3];
        columns[n] = upper + lower;
    }
    return (columns[0] * across[0] + columns[1] * across[1]) +
           (columns[2] * across[2] + columns[3] * across[3]);
}

INLINE long inside(long n, long count) { return n < 0 ? 0 : n < count ? n : count - 1; }

/* Eight pixels of both planes of which some are made of what lies outside: edges are repeated. */
static __attribute__((noinline)) void fetch_at_edge(const Neighbor *n, long x, const int *left,
                                                    const int *top, const v8 *across, const v8 *down) {
    for (int plane = 0; plane < PLANES; plane++)
        for (int k = 0; k < 8; k++) {
            float seen[TAPS * TAPS];
            for (int m = 0; m < TAPS * TAPS; m++) {
                long row = inside(top[k] + m / TAPS, n->height);
                seen[m] = n->source[plane][row * n->width + inside(left[k] + m % TAPS, n->width)];
            }
            v4 made = of_columns(seen, TAPS, down, k);
            n->moved[plane][x + k] = (made[0] * across[0][k] + made[1] * across[1][k]) +
                                     (made[2] * across[2][k] + made[3] * across[3][k]);
        }
}

INLINE v8 limited(v8 x, float low, float high) { /* and low where it is no number */
    i8 above = x > all(low);
    x = (v8)((i8)where(above, x) | (i8)where(~above, all(low)));
    i8 below = x < all(high);
    return (v8)((i8)where(below, x) | (i8)where(~below, all(high)));
}

/* To the nearest whole number, ties to the even one; below 2^22. */
INLINE i8 rounded(v8 x) {
    const float shift = 12582912; /* 1.5 * 2^23 */
    return (i8)(x + all(shift)) - (i8)all(shift);
}

/* Whether any number is not 0. */
INLINE int any(i8 x) {
#ifdef AVX2
    return !__builtin_ia32_ptestz256((__attribute__((vector_size(32))) long long)x,
                                     (__attribute__((vector_size(32))) long long)x);
#else
    return x[0] | x[1] | x[2] | x[3] | x[4] | x[5] | x[6] | x[7];
#endif
}

/* The whole number that is not above x, or where x is nearly the next one, that; for x >= -8. */
INLINE i8 whole_of(v8 x) { return __builtin_convertvector(x + all(8), i8) - 8; }

/* A row of both planes where the flow says it was, or will be. */
INLINE void fetch(const Neighbor *n, long y) {
    const i8 steps = {0, 1, 2, 3, 4, 5, 6, 7};
    const int right = (int)n->width - TAPS, bottom = (int)n->height - TAPS;
    const float *first = n->source[0], *second = n->source[1];
    for (int k = 0; k < 2; k++)
        coarse_row(n->flow[k], n->flow_height, n->flow_width, y, n->height, n->coarse[k]);
    for (long x = 0; x < n->padded; x += 8) {
        v8 x_at = all((float)x) + __builtin_convertvector(steps, v8);
        x_at = between(&n->by_flow, n->coarse[0], x) * all(n->scale[0]) + x_at;
        v8 y_at = between(&n->by_flow, n->coarse[1], x) * all(n->scale[1]) + all((float)y);
        x_at = limited(x_at, -TAPS, (float)(n->width + TAPS));
        y_at = limited(y_at, -TAPS, (float)(n->height + TAPS));
        i8 column = whole_of(x_at), row = whole_of(y_at);
        v8 across[TAPS], down[TAPS];
        set_taps(x_at - __builtin_convertvector(column, v8), across);
        set_taps(y_at - __builtin_convertvector(row, v8), down);
        union {
            i8 all;
            int each[8];
        } left = {column - 1}, top = {row - 1}, from = {(row - 1) * (int)n->width + (column - 1)};
        if (any((left.all | top.all | (right - left.all) | (bottom - top.all)) >> 31)) {
            fetch_at_edge(n, x, left.each, top.each, across, down);
        } else if (!any((from.all - steps) ^ from.each[0])) {
            long at = from.each[0];
            store(n->moved[0] + x, side_by_side(first + at, n->width, across, down));
            store(n->moved[1] + x, side_by_side(second + at, n->width, across, down));
        } else
            for (int k = 0; k < 8; k += 4) {
                v4 one[4], other[4];
#pragma GCC unroll 4
                for (int m = 0; m < 4; m++) {
                    long at = from.each[k + m];
                    one[m] = of_columns(first + at, n->width, down, k + m);
                    other[m] = of_columns(second + at, n->width, down, k + m);
                }
                store4(n->moved[0] + x + k, of_rows(one, across, k));
                store4(n->moved[1] + x + k, of_rows(other, across, k));
            }
    }
}

/* A row of cells: how far the planes differ from the frame's own, for noise of variance 1, and the
 * sums over windows across. */
static void compare(const Neighbor *n, long row) {
    long bottom = (row + 1) * n->down < n->height ? (row + 1) * n->down : n->height;
    for (long y = row * n->down; y < bottom; y++) {
        fetch(n, y);
        for (int plane = 0; plane < PLANES; plane++) {
            const float *own = n->own[plane] + y * n->width, *moved = n->moved[plane];
            float *to = n->ring[plane] + y % n->kept * n->padded, *squares = n->squares[plane];
            for (long x = 0; x < n->width; x++)
                to[x] = moved[x] - own[x];
            if (y == row * n->down)
                for (long x = 0; x < n->width; x++)
                    squares[x] = to[x] * to[x];
            else
                for (long x = 0; x < n->width; x++)
                    squares[x] += to[x] * to[x];
            if (n->difference[plane])
                memcpy(n->difference[plane] + y * n->width, to, n->width * sizeof(float));
        }
    }
    long high = bottom - row * n->down;
    for (int plane = 0; plane < PLANES; plane++) {
        float *squares = n->squares[plane], *change = n->change + AROUND;
        const float *variance = n->variance[plane] + row * n->columns;
        long whole = n->width / n->across, rest = n->width - whole * n->across;
        float share = 1.0f / (high * n->across) * (n->judged == 1 ? 0.5f : 1.0f);
        if (n->across == 2)
            for (long x = 0; x < whole; x++)
                squares[x] = squares[2 * x] + squares[2 * x + 1];
        if (rest) /* of one pixel, where cells are two wide */
            squares[whole] = squares[whole * n->across] * n->across;
        if (plane == 0 || n->judged == 2)
            for (long x = 0; x < n->columns; x++)
                change[x] = squares[x] * share / variance[x];
        else
            for (long x = 0; x < n->columns; x++)
                change[x] += squares[x] * share / variance[x];
        if (plane == 0 && n->judged == 1)
            continue;
        for (long x = 0; x < AROUND; x++)
            change[-1 - x] = change[0], change[n->columns + x] = change[n->columns - 1];
        float *to = n->means[plane] + row % n->kept_means * n->padded;
        for (long x = 0; x < n->columns; x += 8) {
            v8 total = load(change + x - n->wide);
            for (long k = 1; k <= 2 * n->wide; k++)
                total += load(change + x - n->wide + k);
            store(to + x, total);
        }
    }
}

/* exp(-x) for x of 0 and more, to some 1e-7. */
INLINE v8 fading(v8 x) {
    const float per_octave = 1.4426950408889634f, octave = 0.6931471805599453f;
    v8 least = limited(x, 0, 87);
    i8 octaves = rounded(least * all(per_octave));
    v8 rest = __builtin_convertvector(octaves, v8) * all(octave) - least; /* within 0.35 */
    v8 power = all(1.0f / 720);
    power = power * rest + all(1.0f / 120);
    power = power * rest + all(1.0f / 24);
    power = power * rest + all(1.0f / 6);
    power = power * rest + all(0.5f);
    power = power * rest + all(1);
    power = power * rest + all(1);
    return (v8)((i8)power - (octaves << 23));
}

/* A row of cells: the weight. */
static void weigh(const Neighbor *n, long row) {
    float share = 1.0f / ((2 * n->tall + 1) * (2 * n->wide + 1));
    for (long x = 0; x < n->columns; x += 8) {
        v8 doubt = all(0);
        for (long plane = 2 - n->judged; plane < PLANES; plane++) {
            v8 total = all(0);
            for (long k = row - n->tall; k <= row + n->tall; k++)
                total += load(n->means[plane] + inside(k, n->rows) % n->kept_means * n->padded + x);
            v8 beyond = total * all(share) - all(n->floor[plane]);
            doubt += where(beyond > all(0), beyond) * all(n->slope[plane]);
        }
        store(n->change + x, fading(doubt));
    }
    long at = row * n->columns;
    for (long x = 0; x < n->columns; x++)
        n->weight[at + x] = n->change[x] * n->trust[at + x];
    if (!n->sum)
        return;
    for (long x = 0; x < n->columns; x++) {
        float weight = n->weight[at + x];
        n->sum[at + x] += weight;
        n->power[at + x] += weight * weight * n->lost;
    }
}

/* A row of cells: their pixels, to the sum. */
static void add(const Neighbor *n, long row) {
    for (long y = row * n->down; y < (row + 1) * n->down && y < n->height; y++) {
        coarse_row(n->weight, n->rows, n->columns, y, n->height, n->coarse[0]);
        float *weight = n->coarse[0];
        if (n->columns != n->width) {
            weight = n->moved[0];
            for (long x = 0; x < n->padded; x += 8)
                store(weight + x, between(&n->by_cell, n->coarse[0], x));
        }
        for (int plane = 0; plane < PLANES; plane++) {
            const float *difference = n->ring[plane] + y % n->kept * n->padded;
            float *total = n->total[plane] + y * n->width;
            if (n->total[plane])
                for (long x = 0; x < n->width; x++)
                    total[x] += difference[x] * weight[x];
        }
    }
}

INLINE float *taken_from(char **room, long count) {
    float *found = (float *)*room;
    *room += count * sizeof(float);
    return found;
}

static void find_room(Neighbor *n, char **room) {
    Places *both[2] = {&n->by_flow, &n->by_cell};
    for (int k = 0; k < 2; k++) {
        both[k]->count = n->padded;
        both[k]->first = (int *)taken_from(room, n->padded);
        both[k]->next = (int *)taken_from(room, n->padded);
        both[k]->share = taken_from(room, n->padded);
        n->coarse[k] = taken_from(room, (n->flow_width > n->width ? n->flow_width : n->width) + 2 * AROUND);
    }
    n->change = taken_from(room, n->padded + 2 * AROUND);
    for (int k = 0; k < PLANES; k++) {
        n->moved[k] = taken_from(room, n->padded);
        n->squares[k] = taken_from(room, n->padded + AROUND);
        n->ring[k] = taken_from(room, n->kept * n->padded);
        n->means[k] = taken_from(room, n->kept_means * n->padded);
    }
}

/* Two planes of a neighbor, (height, width) each, taken in.
 *
 * sizes: height, width, rows and columns of cells, pixels to a cell down and across (1 or 2), cells to
 * each side of one in its window (3 at most), the flow's height and width, and judged: 2 if each plane
 * is judged by itself, 1 if both are together. planes: pointers, for each plane to its neighbor's, its
 * own, the variance of its cells, what takes the difference and what takes the sum, the last two null
 * where they are not wanted. flow: (2, flow height, flow width) in pixels of luma; scale: of which
 * these planes have so many, across and down. trust: (rows, columns). judges: for each plane the mean
 * square of its difference, in variances, that says nothing, and what one more adds to the doubt.
 * weight: (rows, columns), written. sum, power: as large, null or added to, of weights and of their
 * squares times lost. 1 if it is done, 0 where there is no memory. */
long NAME(neighbor)(const long *sizes, const long *planes, const float *flow, const float *scale,
                    const float *trust, const float *judges, float lost, float *weight, float *sum,
                    float *power) {
    Neighbor n = {.height = sizes[0], .width = sizes[1], .rows = sizes[2], .columns = sizes[3]};
    n.down = sizes[4], n.across = sizes[5], n.tall = sizes[6], n.wide = sizes[7];
    n.flow_height = sizes[8], n.flow_width = sizes[9], n.judged = sizes[10];
    for (int k = 0; k < PLANES; k++, planes += 5) {
        n.source[k] = (const float *)planes[0], n.own[k] = (const float *)planes[1];
        n.variance[k] = (const float *)planes[2];
        n.difference[k] = (float *)planes[3], n.total[k] = (float *)planes[4];
        n.flow[k] = flow + k * n.flow_height * n.flow_width, n.scale[k] = scale[k];
        n.floor[k] = judges[2 * k], n.slope[k] = judges[2 * k + 1];
    }
    n.trust = trust, n.lost = lost, n.weight = weight, n.sum = sum, n.power = power;
    n.padded = (n.width + 7) / 8 * 8;
    n.kept = (n.tall + 2) * n.down, n.kept_means = 2 * n.tall + 1;
    char *needed = 0;
    find_room(&n, &needed);
    char *room = calloc((size_t)needed, 1), *next = room;
    if (!room)
        return 0;
    find_room(&n, &next);
    set_places(&n.by_flow, n.width, n.flow_width);
    set_places(&n.by_cell, n.width, n.columns);
    for (long row = 0; row <= n.rows + n.tall; row++) {
        if (row < n.rows)
            compare(&n, row);
        if (row >= n.tall && row - n.tall < n.rows)
            weigh(&n, row - n.tall);
        if (row > n.tall && sum)
            add(&n, row - n.tall - 1);
    }
    free(room);
    return 1;
}

/* Eight numbers of a plane: those at the places `at`, or eight in a row from the first on. */
INLINE v8 found(const float *plane, const int *at, int in_a_row) {
    if (in_a_row)
        return load(plane + at[0]);
    return (v8){plane[at[0]], plane[at[1]], plane[at[2]], plane[at[3]],
                plane[at[4]], plane[at[5]], plane[at[6]], plane[at[7]]};
}

/* Where a flow and its opposite undo each other: (height, width) of 0 to 1, of two of (2, height,
 * width), in units of which a pixel of theirs has `scale`. */
void NAME(agreement)(const float *forward, const float *backward, long height, long width, float scale,
                     float *to) {
    const i8 steps = {0, 1, 2, 3, 4, 5, 6, 7};
    const long area = height * width, next = width > 1, below = height > 1 ? width : 0;
    const int last = width > 1 ? (int)width - 2 : 0, lowest = height > 1 ? (int)height - 2 : 0;
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x += 8) {
            long count = width - x < 8 ? width - x : 8, place = y * width + x;
            float given[2][8] = {{0}}, agreed[8];
            for (int k = 0; k < 2; k++)
                memcpy(given[k], forward + k * area + place, count * sizeof(float));
            v8 go_x = load(given[0]), go_y = load(given[1]);
            v8 x_at = all((float)x) + __builtin_convertvector(steps, v8) + go_x * all(1 / scale);
            v8 y_at = all((float)y) + go_y * all(1 / scale);
            x_at = limited(x_at, 0, (float)(width - 1)), y_at = limited(y_at, 0, (float)(height - 1));
            i8 left = __builtin_convertvector(x_at, i8), top = __builtin_convertvector(y_at, i8);
            i8 behind = left > last, under = top > lowest;
            left = (left & ~behind) | (last & behind), top = (top & ~under) | (lowest & under);
            v8 across = x_at - __builtin_convertvector(left, v8);
            v8 down = y_at - __builtin_convertvector(top, v8);
            union {
                i8 all;
                int each[8];
            } at = {top * (int)width + left};
            int in_a_row = count == 8 && !any((at.all - steps) ^ at.each[0]);
            v8 come[2];
            for (int k = 0; k < 2; k++) {
                const float *plane = backward + k * area;
                v8 a = found(plane, at.each, in_a_row), b = found(plane + next, at.each, in_a_row);
                plane += below;
                v8 c = found(plane, at.each, in_a_row), d = found(plane + next, at.each, in_a_row);
                v8 upper = a + (b - a) * across, lower = c + (d - c) * across;
                come[k] = upper + (lower - upper) * down;
            }
            v8 off_x = go_x + come[0], off_y = go_y + come[1];
            v8 moved = (go_x * go_x + come[0] * come[0]) + (go_y * go_y + come[1] * come[1]);
            v8 error = (off_x * off_x + off_y * off_y) / (all(1) + all(0.05f) * moved);
            store(agreed, all(1) / (all(1) + error * error));
            memcpy(to + place, agreed, count * sizeof(float));
        }
}
