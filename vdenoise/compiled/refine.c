/* A flow is smoothed where the pictures allow (Brox et al., 2004), included by flow.c: the differences of
 * the pictures along it and of their slopes are linear in what is added, and a system of two equations a
 * pixel is relaxed, red pixels and black ones in turn. A row is prepared, and those above it are relaxed
 * one sweep further each, so that all sweeps go through memory once. */

enum { ROWS = 16 }; /* that are held of what one round needs: 2 * SWEEPS and some */
enum { BZ, BX, BY, CZ, CX, CY, DZ, DX, DY, BASE_U, BASE_V, MORE_U, MORE_V, WHOLE }; /* planes */
enum { A12, BY_U, BY_V, B1, B2, TO_RIGHT, BELOW, PART }; /* rings of rows */

/* Rows are split: even columns, then odd ones, with room around both. */
typedef struct {
    const Scale *a, *b;
    long half, split;     /* numbers of half a row, and from row to row */
    float *plane[WHOLE], *ring[PART], *none;
    long wide;            /* of the rows of means and changes */
    float *mean, *change; /* rings of eight rows: of both pictures, and between them */
} Refined;

INLINE long nearest(long n, long count) { return n < 0 ? 0 : n < count ? n : count - 1; }

INLINE float *half_of(const Refined *r, float *row, int odd) { return row + ROOM + odd * (ROOM + r->half); }

INLINE float *in_ring(const Refined *r, int part, long row, int odd) {
    return half_of(r, row < 0 ? r->none : r->ring[part] + row % ROWS * r->split, odd);
}

INLINE float *in_plane(const Refined *r, int plane, long row, int odd) {
    return half_of(r, r->plane[plane] + row * r->split, odd);
}

/* Eight numbers of a plane, from there on each. */
INLINE v8 gathered(const float *from, i8 at) {
#ifdef AVX2
    return (v8)__builtin_ia32_gathersiv8sf((v8)all(0), from, at, (v8)(at == at), 4);
#else
    return (v8){from[at[0]], from[at[1]], from[at[2]], from[at[3]],
                from[at[4]], from[at[5]], from[at[6]], from[at[7]]};
#endif
}

/* A row of the second picture where the flow leads: what it is in the mean with the first one, and by how
 * much it differs. */
static void fetch_row(const Refined *r, const float *u, const float *v, long y) {
    const Scale *a = r->a, *b = r->b;
    const i8 steps = {0, 1, 2, 3, 4, 5, 6, 7};
    const int stride = (int)b->stride;
    float *mean = r->mean + y % 8 * r->wide + ROOM, *change = r->change + y % 8 * r->wide + ROOM;
    const float *own = a->first + y * a->stride;
    for (long x = 0; x < a->width; x += 8) {
        v8 x_at = limited(all((float)x) + __builtin_convertvector(steps, v8) + load(u + x), 0, (float)(b->width - 1));
        v8 y_at = limited(all((float)y) + load(v + x), 0, (float)(b->height - 1));
        i8 column = __builtin_convertvector(x_at, i8), row = __builtin_convertvector(y_at, i8);
        v8 right = x_at - __builtin_convertvector(column, v8), down = y_at - __builtin_convertvector(row, v8);
        i8 at = row * stride + column;
        v8 upper = gathered(b->first, at), lower = gathered(b->first + stride, at);
        upper += (gathered(b->first + 1, at) - upper) * right;
        lower += (gathered(b->first + stride + 1, at) - lower) * right;
        v8 there = upper + (lower - upper) * down, here = load(own + x);
        store(mean + x, (there + here) * all(0.5f));
        store(change + x, there - here);
    }
    for (long x = 1; x <= ROOM; x++) {
        mean[-x] = mean[0], change[-x] = change[0];
        mean[a->width - 1 + x] = mean[a->width - 1], change[a->width - 1 + x] = change[a->width - 1];
    }
}

/* Sixteen numbers of a row into its halves. */
INLINE void put(const Refined *r, int plane, long y, long x, const v8 *two) {
    store(in_plane(r, plane, y, 0) + x / 2, MIXED(two[0], two[1], 0, 2, 4, 6, 8, 10, 12, 14));
    store(in_plane(r, plane, y, 1) + x / 2, MIXED(two[0], two[1], 1, 3, 5, 7, 9, 11, 13, 15));
}

INLINE v8 root(v8 x) {
#ifdef AVX2
    return (v8)__builtin_ia32_sqrtps256(x);
#else
    for (int n = 0; n < 8; n++)
        x[n] = sqrtf(x[n]);
    return x;
#endif
}

/* A row's slopes and those of its slopes, each for noise that tells nothing of a flow. */
static void set_row(const Refined *r, long y) {
    const float *mean[5], *change[5];
    for (long k = 0; k < 5; k++) {
        long row = nearest(y + k - 2, r->a->height) % 8 * r->wide + ROOM;
        mean[k] = r->mean + row, change[k] = r->change + row;
    }
    for (long x = 0; x < 2 * r->half; x += 16) {
        v8 made[9][2];
#pragma GCC unroll 2
        for (int k = 0; k < 2; k++) {
            long at = x + 8 * k;
            v8 twice = load(mean[2] + at) * all(2);
            v8 ix = load(mean[2] + at + 1) - load(mean[2] + at - 1), iy = load(mean[3] + at) - load(mean[1] + at);
            v8 ixx = load(mean[2] + at + 2) - twice + load(mean[2] + at - 2);
            v8 ixy = load(mean[3] + at + 1) - load(mean[3] + at - 1) - load(mean[1] + at + 1) + load(mean[1] + at - 1);
            v8 iyy = load(mean[4] + at) - twice + load(mean[0] + at);
            v8 iz = load(change[2] + at), izx = load(change[2] + at + 1) - load(change[2] + at - 1);
            v8 izy = load(change[3] + at) - load(change[1] + at);
            const v8 little = all(0.01f);
            v8 whole = all(1) / root(ix * ix + iy * iy + little);
            v8 by_x = all(1) / root(ixx * ixx + ixy * ixy + little);
            v8 by_y = all(1) / root(iyy * iyy + ixy * ixy + little);
            made[BZ][k] = iz * whole, made[BX][k] = ix * whole, made[BY][k] = iy * whole;
            made[CZ][k] = izx * by_x, made[CX][k] = ixx * by_x, made[CY][k] = ixy * by_x;
            made[DZ][k] = izy * by_y, made[DX][k] = ixy * by_y, made[DY][k] = iyy * by_y;
        }
#pragma GCC unroll 9
        for (int k = 0; k < 9; k++)
            put(r, k, y, x, made[k]);
    }
}

/* A row of the flow so far, what is beyond its end repeated. */
static void split_row(const Refined *r, const float *row, int plane, long y) {
    float *even = in_plane(r, plane, y, 0), *odd = in_plane(r, plane, y, 1);
    long width = r->a->width;
    for (long n = 0; n < width / 2; n++)
        even[n] = row[2 * n], odd[n] = row[2 * n + 1];
    if (width % 2)
        even[width / 2] = row[width - 1];
    for (long n = (width + 1) / 2; n < r->half + ROOM; n++)
        even[n] = row[width - 1];
    for (long n = width / 2; n < r->half + ROOM; n++)
        odd[n] = row[width - 1];
}

/* A row's equations, with weights by how well what was added so far fits and how smooth it is. */
static void set_equations(const Refined *r, long y) {
    long below = nearest(y + 1, r->a->height), last = r->a->width - 1;
    for (int odd = 0; odd < 2; odd++) {
        const float *base[2], *more[2], *next[2], *more_next[2], *under[2], *more_under[2];
        for (int k = 0; k < 2; k++) {
            base[k] = in_plane(r, BASE_U + k, y, odd), more[k] = in_plane(r, MORE_U + k, y, odd);
            next[k] = in_plane(r, BASE_U + k, y, !odd) + odd, more_next[k] = in_plane(r, MORE_U + k, y, !odd) + odd;
            under[k] = in_plane(r, BASE_U + k, below, odd), more_under[k] = in_plane(r, MORE_U + k, below, odd);
        }
        float *right = in_ring(r, TO_RIGHT, y, odd), *down = in_ring(r, BELOW, y, odd);
        for (long n = 0; n < r->half; n += 8) {
            v8 rough = all(1e-6f);
            for (int k = 0; k < 2; k++) {
                v8 here = load(base[k] + n) + load(more[k] + n);
                v8 beside = load(next[k] + n) + load(more_next[k] + n) - here;
                v8 lower = load(under[k] + n) + load(more_under[k] + n) - here;
                rough += beside * beside + lower * lower;
            }
            v8 weight = all(10) / root(rough);
            store(right + n, weight);
            store(down + n, y + 1 < r->a->height ? weight : all(0));
        }
        for (long n = (last + 1 - odd) / 2; n < r->half; n++)
            right[n] = 0;
    }
    long over = nearest(y - 1, r->a->height);
    for (int odd = 0; odd < 2; odd++) {
        const float *p[9], *base[2], *next[2], *under[2], *on_top[2];
        for (int k = 0; k < 9; k++)
            p[k] = in_plane(r, k, y, odd);
        for (int k = 0; k < 2; k++) {
            base[k] = in_plane(r, BASE_U + k, y, odd), next[k] = in_plane(r, BASE_U + k, y, !odd);
            under[k] = in_plane(r, BASE_U + k, below, odd), on_top[k] = in_plane(r, BASE_U + k, over, odd);
        }
        const float *more_u = in_plane(r, MORE_U, y, odd), *more_v = in_plane(r, MORE_V, y, odd);
        const float *right = in_ring(r, TO_RIGHT, y, odd), *left = in_ring(r, TO_RIGHT, y, !odd) - !odd;
        const float *down = in_ring(r, BELOW, y, odd), *up = in_ring(r, BELOW, y - 1, odd);
        float *a12 = in_ring(r, A12, y, odd), *by_u = in_ring(r, BY_U, y, odd), *by_v = in_ring(r, BY_V, y, odd);
        float *free[2] = {in_ring(r, B1, y, odd), in_ring(r, B2, y, odd)};
        for (long n = 0; n < r->half; n += 8) {
            v8 u = load(more_u + n), v = load(more_v + n);
            v8 bz = load(p[BZ] + n), bx = load(p[BX] + n), by = load(p[BY] + n);
            v8 cz = load(p[CZ] + n), cx = load(p[CX] + n), cy = load(p[CY] + n);
            v8 dz = load(p[DZ] + n), dx = load(p[DX] + n), dy = load(p[DY] + n);
            v8 b = bz + bx * u + by * v, c = cz + cx * u + cy * v, d = dz + dx * u + dy * v;
            v8 off = root(b * b + all(1e-6f)), off_slopes = root(c * c + d * d + all(1e-6f));
            v8 once = all(1) / (off * off_slopes); /* a division takes as long as some ten products */
            v8 like = all(2.5f) * off_slopes * once, alike = all(5) * off * once;
            v8 to_right = load(right + n), to_left = load(left + n), below_ = load(down + n), above = load(up + n);
            v8 around = (to_right + to_left) + (below_ + above) + all(0.01f);
            v8 a11 = like * (bx * bx) + alike * (cx * cx + dx * dx) + around;
            v8 a22 = like * (by * by) + alike * (cy * cy + dy * dy) + around;
            v8 pull[2] = {like * (bx * bz) + alike * (cx * cz + dx * dz), like * (by * bz) + alike * (cy * cz + dy * dz)};
            store(a12 + n, like * (bx * by) + alike * (cx * cy + dx * dy));
            once = all(1) / (a11 * a22);
            store(by_u + n, a22 * once), store(by_v + n, a11 * once);
#pragma GCC unroll 2
            for (int k = 0; k < 2; k++) {
                v8 here = load(base[k] + n);
                v8 beside = to_right * (load(next[k] + odd + n) - here) + to_left * (load(next[k] - !odd + n) - here);
                v8 along = below_ * (load(under[k] + n) - here) + above * (load(on_top[k] + n) - here);
                store(free[k] + n, beside + along - pull[k]);
            }
        }
    }
}

/* One sweep over a row: every second pixel. */
static void relax(const Refined *r, long y, int odd) {
    long over = nearest(y - 1, r->a->height), below = nearest(y + 1, r->a->height);
    const float *right = in_ring(r, TO_RIGHT, y, odd), *left = in_ring(r, TO_RIGHT, y, !odd) - !odd;
    const float *down = in_ring(r, BELOW, y, odd), *up = in_ring(r, BELOW, y - 1, odd);
    const float *a12 = in_ring(r, A12, y, odd), *by_u = in_ring(r, BY_U, y, odd), *by_v = in_ring(r, BY_V, y, odd);
    const float *b1 = in_ring(r, B1, y, odd), *b2 = in_ring(r, B2, y, odd);
    float *u = in_plane(r, MORE_U, y, odd), *v = in_plane(r, MORE_V, y, odd);
    const float *beside_u = in_plane(r, MORE_U, y, !odd), *beside_v = in_plane(r, MORE_V, y, !odd);
    const float *over_u = in_plane(r, MORE_U, over, odd), *over_v = in_plane(r, MORE_V, over, odd);
    const float *below_u = in_plane(r, MORE_U, below, odd), *below_v = in_plane(r, MORE_V, below, odd);
    for (long n = 0; n < r->half; n += 8) {
        v8 to_right = load(right + n), to_left = load(left + n), to_below = load(down + n), to_over = load(up + n);
        v8 pull_u = (to_left * load(beside_u + n - !odd) + to_right * load(beside_u + n + odd)) +
                    (to_over * load(over_u + n) + to_below * load(below_u + n));
        v8 pull_v = (to_left * load(beside_v + n - !odd) + to_right * load(beside_v + n + odd)) +
                    (to_over * load(over_v + n) + to_below * load(below_v + n));
        v8 now_u = load(u + n), now_v = load(v + n), both = load(a12 + n);
        now_u += all(1.6f) * ((pull_u + load(b1 + n) - now_v * both) * load(by_u + n) - now_u);
        now_v += all(1.6f) * ((pull_v + load(b2 + n) - now_u * both) * load(by_v + n) - now_v);
        store(u + n, now_u), store(v + n, now_v);
    }
}

/* Refine a flow between two scales, `stride` from row to row; 0 where there is no memory. */
static int refine(const Scale *a, const Scale *b, float *u, float *v, long stride, int rounds) {
    Refined r = {a, b, (a->width + 15) / 16 * 8};
    r.split = 2 * r.half + 3 * ROOM, r.wide = 2 * r.half + 3 * ROOM;
    long whole = a->height * r.split + ROOM, ring = ROWS * r.split + ROOM;
    long zeros = 2 * whole + PART * ring + r.split + 2 * 8 * r.wide + ROOM;
    float *room = malloc((zeros + (WHOLE - 2) * whole) * sizeof(float)), *next = room;
    if (!room)
        return 0;
    memset(room, 0, zeros * sizeof(float));
    for (int n = 0; n < PART; n++)
        r.ring[n] = next, next += ring;
    r.none = next, next += r.split;
    r.mean = next, next += 8 * r.wide, r.change = next, next += 8 * r.wide + ROOM;
    for (int n = WHOLE - 1; n >= 0; n--) /* what is added is the last and begins with nothing */
        r.plane[n] = next, next += whole;
    for (long y = 0; y < a->height + 2; y++) {
        if (y < a->height) {
            fetch_row(&r, u + y * stride, v + y * stride, y);
            split_row(&r, u + y * stride, BASE_U, y);
            split_row(&r, v + y * stride, BASE_V, y);
        }
        if (y >= 2)
            set_row(&r, y - 2);
    }
    for (int round = 0; round < rounds; round++)
        for (long y = 0; y < a->height + 2 * SWEEPS; y++) {
            if (y < a->height)
                set_equations(&r, y);
            for (long k = 0; k < 2 * SWEEPS; k++) {
                long row = y - 1 - k;
                if (row >= 0 && row < a->height)
                    relax(&r, row, (row + k) % 2);
            }
        }
    for (long y = 0; y < a->height; y++)
        for (int k = 0; k < 2; k++) {
            const float *even = in_plane(&r, MORE_U + k, y, 0), *odd = in_plane(&r, MORE_U + k, y, 1);
            float *to = (k ? v : u) + y * stride;
            for (long x = 0; x < (a->width + 1) / 2; x++)
                to[2 * x] += even[x], to[2 * x + 1] += odd[x];
        }
    free(room);
    return 1;
}
