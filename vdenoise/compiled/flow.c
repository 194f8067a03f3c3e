/* Optical flow by dense inverse search (Kroeger et al., 2016): see vdenoise/motion/dense.py.
 *
 * A picture becomes scales with borders, slopes and what each patch of its needs, once; a flow is found
 * from coarse to fine between the scales of two. At each scale patches look for their place from where
 * the scale above and their neighbors are, pixels take the mean of the patches over them, and the whole
 * is smoothed where the pictures allow (Brox et al., 2004). */
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EDGE = 16, PATCH = 8, STEP = 4 };   /* pixels around a scale; a patch's side; from one to the next */
enum { KNOWN = 5 };                        /* numbers that are known of a patch */
enum { DESCENTS = 2, SWEEPS = 5, ROOM = 8 }; /* ROOM: numbers before and behind a row */

typedef struct {
    long height, width, stride, slopes; /* of rows: with edges, and of slopes */
    long tall, wide;                    /* patches */
    float *first, *x, *y, *known;       /* the first pixel, slopes along x and y, KNOWN of each patch */
} Scale;

static long patches(long length) { return (length - PATCH + STEP - 1) / STEP + 1; }

static long place_of_patch(long n, long length) {
    return n * STEP < length - PATCH ? n * STEP : length - PATCH;
}

/* Lay out the scales `finest` to `coarsest` of a picture; returns how many numbers they take. */
static long scales_of(float *room, long height, long width, long finest, long coarsest, Scale *scales) {
    long taken = 0;
    for (long n = 0; n <= coarsest; n++) {
        if (n >= finest) {
            Scale s = {height, width, (width + 2 * EDGE + 7) / 8 * 8 + 8, (width + 7) / 8 * 8};
            s.tall = patches(height), s.wide = patches(width);
            s.first = room + taken + EDGE * s.stride + EDGE;
            taken += (height + 2 * EDGE) * s.stride;
            s.x = room + taken, taken += height * s.slopes;
            s.y = room + taken, taken += height * s.slopes;
            s.known = room + taken, taken += s.tall * s.wide * KNOWN;
            scales[n] = s;
        }
        height = (height + 1) / 2, width = (width + 1) / 2;
    }
    return taken;
}

/* How many numbers the scales of a picture take. */
long NAME(scales_room)(long height, long width, long finest, long coarsest) {
    Scale scales[32];
    return scales_of(NULL, height, width, finest, coarsest, scales);
}

/* Within limits; the low one where x is no number. */
INLINE float held(float x, float low, float high) { return x > low ? x < high ? x : high : low; }

/* Means of 2x2 pixels; what is left over at the end is repeated. */
static void halve(const float *from, long stride, long height, long width, float *to, long to_stride) {
    for (long y = 0; y < (height + 1) / 2; y++) {
        const float *above = from + 2 * y * stride;
        const float *below = 2 * y + 1 < height ? above + stride : above;
        float *row = to + y * to_stride;
        for (long x = 0; x < width / 2; x++)
            row[x] = ((above[2 * x] + above[2 * x + 1]) + (below[2 * x] + below[2 * x + 1])) * 0.25f;
        if (width % 2)
            row[width / 2] = (above[width - 1] + below[width - 1]) * 0.5f;
    }
}

/* Repeat a scale's outermost pixels. */
static void repeat_edges(const Scale *s) {
    for (long y = 0; y < s->height; y++) {
        float *row = s->first + y * s->stride;
        for (long x = 1; x <= EDGE; x++)
            row[-x] = row[0];
        for (long x = s->width; x < s->stride - EDGE; x++)
            row[x] = row[s->width - 1];
    }
    float *top = s->first - EDGE, *bottom = top + (s->height - 1) * s->stride;
    for (long y = 1; y <= EDGE; y++) {
        memcpy(top - y * s->stride, top, s->stride * sizeof(float));
        memcpy(bottom + y * s->stride, bottom, s->stride * sizeof(float));
    }
}

/* Slopes of a scale, eight times as steep as they are (Sobel). */
static void set_slopes(const Scale *s) {
    for (long y = 0; y < s->height; y++) {
        const float *row = s->first + y * s->stride, *up = row - s->stride, *down = row + s->stride;
        for (long x = 0; x < s->slopes; x += 8) {
            v8 left = load(up + x - 1) + load(row + x - 1) * all(2) + load(down + x - 1);
            v8 right = load(up + x + 1) + load(row + x + 1) * all(2) + load(down + x + 1);
            v8 above = load(up + x - 1) + load(up + x) * all(2) + load(up + x + 1);
            v8 below = load(down + x - 1) + load(down + x) * all(2) + load(down + x + 1);
            store(s->x + y * s->slopes + x, right - left);
            store(s->y + y * s->slopes + x, below - above);
        }
    }
}

/* The sums of four times eight numbers. */
INLINE v4 sums(v8 a, v8 b, v8 c, v8 d) {
    v8 ab = MIXED(a, b, 0, 8, 1, 9, 4, 12, 5, 13) + MIXED(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    v8 cd = MIXED(c, d, 0, 8, 1, 9, 4, 12, 5, 13) + MIXED(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    v8 abcd = MIXED(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) + MIXED(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    union {
        v8 both;
        v4 half[2];
    } halves = {abcd};
    return halves.half[0] + halves.half[1];
}

/* What is known of each patch: the inverse of its slopes' products, and their sums. */
static void know_patches(const Scale *s) {
    for (long n = 0; n < s->tall; n++)
        for (long m = 0; m < s->wide; m++) {
            long at = place_of_patch(n, s->height) * s->slopes + place_of_patch(m, s->width);
            v8 xx = all(0), xy = all(0), yy = all(0), x = all(0), y = all(0);
            for (long k = 0; k < PATCH; k++) {
                v8 gx = load(s->x + at + k * s->slopes), gy = load(s->y + at + k * s->slopes);
                xx += gx * gx, xy += gx * gy, yy += gy * gy, x += gx, y += gy;
            }
            v4 products = sums(xx, xy, yy, x);
            float *known = s->known + (n * s->wide + m) * KNOWN;
            float flat = products[0] * products[2] - products[1] * products[1];
            if (flat < 1e-3f)
                flat = 1e-3f;
            known[0] = products[2] / flat, known[1] = -products[1] / flat, known[2] = products[0] / flat;
            known[3] = products[3], known[4] = sum(y);
        }
}

/* A picture's scales: `picture` is (height, width), nominally 0 to 1. */
long NAME(scales)(const float *picture, long height, long width, long finest, long coarsest, float *room) {
    Scale scales[32];
    scales_of(room, height, width, finest, coarsest, scales);
    float *between = NULL;
    const float *from = picture;
    long stride = width;
    for (long n = 0; n <= coarsest; n++) {
        if (n) {
            float *to = between;
            long to_stride = (width + 1) / 2, rows = (height + 1) / 2;
            if (n >= finest)
                to = scales[n].first, to_stride = scales[n].stride;
            else if (!(to = malloc(rows * to_stride * sizeof(float))))
                return free(between), 0;
            halve(from, stride, height, width, to, to_stride);
            if (between != to)
                free(between), between = n < finest ? to : NULL;
            from = to, stride = to_stride, height = rows, width = (width + 1) / 2;
        }
        if (n < finest)
            continue;
        Scale *s = scales + n;
        if (n == finest)
            for (long y = 0; y < height; y++)
                for (long x = 0; x < width; x++)
                    s->first[y * s->stride + x] = held(from[y * stride + x] * 255, -255, 510);
        from = s->first, stride = s->stride;
        repeat_edges(s);
        set_slopes(s);
        know_patches(s);
    }
    free(between);
    return 1;
}

/* Where a patch's pixels are in another picture: the first of them, and the shares of the next. */
typedef struct {
    const float *first;
    v8 right, down;
} Spot;

INLINE Spot spot_of(const Scale *s, long x, long y, float u, float v) {
    float across = held((float)x + u, 1 - PATCH, (float)(s->width - 1)) + PATCH; /* above 0: whole is below */
    float down = held((float)y + v, 1 - PATCH, (float)(s->height - 1)) + PATCH;
    int column = (int)across, row = (int)down;
    return (Spot){s->first + (row - PATCH) * s->stride + (column - PATCH), all(across - (float)column),
                  all(down - (float)row)};
}

/* A row of a patch between pixels across. */
INLINE v8 across_of(const Spot *at, const float *row) {
    v8 left = load(row);
    return left + (load(row + 1) - left) * at->right;
}

/* How unlike a patch is what lies there, but for its brightness. */
INLINE float unlike(const Scale *a, const Scale *b, long x, long y, float u, float v) {
    Spot at = spot_of(b, x, y, u, v);
    v8 total = all(0), squares = all(0), upper = across_of(&at, at.first);
    const float *own = a->first + y * a->stride + x;
#pragma GCC unroll 8
    for (long k = 0; k < PATCH; k++) {
        v8 lower = across_of(&at, at.first + (k + 1) * b->stride);
        v8 differs = upper + (lower - upper) * at.down - load(own + k * a->stride);
        total += differs, squares += differs * differs, upper = lower;
    }
    v4 found = sums(total, squares, total, squares);
    return found[1] - found[0] * found[0] / (PATCH * PATCH);
}

/* Move a patch to where it fits better. */
INLINE void descend(const Scale *a, const Scale *b, long x, long y, const float *known, float *u, float *v) {
    float best = INFINITY, now_u = *u, now_v = *v;
    const float *own = a->first + y * a->stride + x;
    const float *slope_x = a->x + y * a->slopes + x, *slope_y = a->y + y * a->slopes + x;
    for (int n = 0; n < DESCENTS; n++) {
        Spot at = spot_of(b, x, y, now_u, now_v);
        v8 total = all(0), squares = all(0), by_x = all(0), by_y = all(0);
        v8 upper = across_of(&at, at.first);
#pragma GCC unroll 8
        for (long k = 0; k < PATCH; k++) {
            v8 lower = across_of(&at, at.first + (k + 1) * b->stride);
            v8 differs = upper + (lower - upper) * at.down - load(own + k * a->stride);
            total += differs, squares += differs * differs, upper = lower;
            by_x += differs * load(slope_x + k * a->slopes);
            by_y += differs * load(slope_y + k * a->slopes);
        }
        v4 found = sums(total, squares, by_x, by_y);
        float mean = found[0] / (PATCH * PATCH), left = found[1] - found[0] * mean;
        float pull_x = found[2] - mean * known[3], pull_y = found[3] - mean * known[4];
        now_u -= known[0] * pull_x + known[1] * pull_y;
        now_v -= known[1] * pull_x + known[2] * pull_y;
        if (!(left < best))
            break;
        best = left;
    }
    float far_x = now_u - *u, far_y = now_v - *v;
    if (far_x * far_x + far_y * far_y <= PATCH * PATCH)
        *u = now_u, *v = now_v;
}

/* Find the places of all patches: once from the top left on, and once back. `flow` is both planes of
 * `Flow`, `found` the place of each patch. */
static void search(const Scale *a, const Scale *b, const float *u, const float *v, long stride, float *found) {
    long count = a->tall * a->wide;
    float *found_u = found, *found_v = found + count;
    for (int back = 0; back < 2; back++)
        for (long n = 0; n < count; n++) {
            long at = back ? count - 1 - n : n, row = at / a->wide, column = at % a->wide;
            long x = place_of_patch(column, a->width), y = place_of_patch(row, a->height);
            if (!back) {
                long middle = (y + PATCH / 2) * stride + x + PATCH / 2;
                found_u[at] = u[middle], found_v[at] = v[middle];
            }
            long beside = back ? at + 1 : at - 1, over = back ? at + a->wide : at - a->wide;
            float least = unlike(a, b, x, y, found_u[at], found_v[at]);
            for (int k = 0; k < 2; k++) {
                long other = k ? over : beside;
                if (other < 0 || other >= count || (!k && other / a->wide != row))
                    continue;
                float there = unlike(a, b, x, y, found_u[other], found_v[other]);
                if (there < least)
                    least = there, found_u[at] = found_u[other], found_v[at] = found_v[other];
            }
            descend(a, b, x, y, a->known + at * KNOWN, found_u + at, found_v + at);
        }
}

INLINE v8 larger(v8 x, float than) {
    i8 is = x > all(than);
    return (v8)((i8)where(is, x) | (i8)where(~is, all(than)));
}

/* Each pixel takes the mean of the patches over it, by how well it fits each. */
static void spread_out(const Scale *a, const Scale *b, const float *found, float *u, float *v, float *weight,
                   long stride) {
    long count = a->tall * a->wide;
    memset(u, 0, a->height * stride * sizeof(float));
    memset(v, 0, a->height * stride * sizeof(float));
    memset(weight, 0, a->height * stride * sizeof(float));
    for (long n = 0; n < count; n++) {
        long x = place_of_patch(n % a->wide, a->width), y = place_of_patch(n / a->wide, a->height);
        float to_u = found[n], to_v = found[count + n];
        Spot at = spot_of(b, x, y, to_u, to_v);
        v8 upper = across_of(&at, at.first);
        for (long k = 0; k < PATCH; k++) {
            v8 lower = across_of(&at, at.first + (k + 1) * b->stride);
            v8 differs = upper + (lower - upper) * at.down - load(a->first + (y + k) * a->stride + x);
            v8 size = (v8)((i8)differs & ~(i8)all(-0.0f));
            v8 share = all(1) / larger(size, 1);
            long to = (y + k) * stride + x;
            store(u + to, load(u + to) + share * all(to_u));
            store(v + to, load(v + to) + share * all(to_v));
            store(weight + to, load(weight + to) + share);
            upper = lower;
        }
    }
    for (long y = 0; y < a->height; y++)
        for (long x = y * stride; x < y * stride + a->width; x++)
            u[x] /= weight[x], v[x] /= weight[x];
}

#include "refine.c"

/* A plane to about twice its size, and the numbers in it doubled, between pixels; `row` has room around
 * half a row of them. */
static void enlarge(const float *from, long height, long width, long from_stride, float *to, long high, long wide,
                    long stride, float *row) {
    for (long y = 0; y < high; y++) {
        const float *near = from + y / 2 * from_stride;
        const float *other = from + nearest(y % 2 ? y / 2 + 1 : y / 2 - 1, height) * from_stride;
        for (long x = 0; x < width; x++)
            row[x] = near[x] * 1.5f + other[x] * 0.5f;
        row[-1] = row[0], row[width] = row[width - 1];
        float *into = to + y * stride;
        for (long x = 0; x < wide / 2; x++) {
            into[2 * x] = row[x] * 0.75f + row[x - 1] * 0.25f;
            into[2 * x + 1] = row[x] * 0.75f + row[x + 1] * 0.25f;
        }
        if (wide % 2)
            into[wide - 1] = row[wide / 2] * 0.75f + row[wide / 2 - 1] * 0.25f;
    }
}

/* The flow from one picture to another, by their scales: (2, height, width), in pixels; 0 where there is
 * no memory. */
long NAME(flow)(float *first, float *second, long height, long width, long finest, long coarsest, long rounds,
               float *flow) {
    Scale a[32], b[32];
    scales_of(first, height, width, finest, coarsest, a);
    scales_of(second, height, width, finest, coarsest, b);
    const Scale *fine = a + finest;
    long stride = (fine->width + 7) / 8 * 8 + ROOM, plane = fine->height * stride + ROOM;
    float *room = calloc(5 * plane + 2 * fine->tall * fine->wide, sizeof(float));
    if (!room)
        return 0;
    float *now[2] = {room, room + plane}, *next[2] = {room + 2 * plane, room + 3 * plane};
    float *weight = room + 4 * plane, *found = weight + plane;
    for (long n = coarsest; n >= finest; n--) {
        if (n < coarsest)
            for (int k = 0; k < 2; k++) {
                enlarge(now[k], a[n + 1].height, a[n + 1].width, stride, next[k], a[n].height, a[n].width, stride,
                        weight + ROOM);
                float *swap = now[k];
                now[k] = next[k], next[k] = swap;
            }
        search(a + n, b + n, now[0], now[1], stride, found);
        spread_out(a + n, b + n, found, now[0], now[1], weight, stride);
        if (rounds && !refine(a + n, b + n, now[0], now[1], stride, (int)rounds))
            return free(room), 0;
    }
    for (int k = 0; k < 2; k++) {
        float *to = flow + k * height * width;
        if (finest == 0)
            for (long y = 0; y < height; y++)
                memcpy(to + y * width, now[k] + y * stride, width * sizeof(float));
        else
            enlarge(now[k], fine->height, fine->width, stride, to, height, width, width, weight + ROOM);
    }
    free(room);
    return 1;
}
