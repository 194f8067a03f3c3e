/* Calls of the system that fail, wait or are written down, in a process that loads this first.

   A process arms it for itself (`arm`); until then nothing is changed. Which calls it is about is
   said by letters: o open, r read, w write, s sync, n rename and link, u unlink, t stat, c connect to
   another machine; which files by a part of their path. Streams of the C library are met at fread and
   fwrite, whose own calls of read and write cannot be seen from outside. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct {
    int armed;
    char calls[16];
    char place[1024];
    int code;           /* errno of a call that fails; 0: it works, after a while */
    long first, last;   /* which of the calls fail, counted from 0 */
    long nap_us;        /* before each of them */
    long seen;
    int log;            /* a descriptor that calls are written to; -1 for none */
    long clock_first;   /* from which look at the clock on it has jumped */
    long clock_jump_s;
    long clock_seen;
} now = {.log = -1};

long arm(const char *calls, const char *place, int code, long first, long last, long nap_us)
{
    snprintf(now.calls, sizeof now.calls, "%s", calls);
    snprintf(now.place, sizeof now.place, "%s", place);
    now.code = code, now.first = first, now.last = last, now.nap_us = nap_us, now.seen = 0;
    now.armed = 1;
    return 0;
}

long seen(void) { return now.seen; }

void write_down(int descriptor) { now.log = descriptor; }

void jump(long first, long seconds)
{
    now.clock_first = first, now.clock_jump_s = seconds, now.clock_seen = 0;
}

static void tell(char call, const char *path, const char *other)
{
    char line[4096];
    int length = snprintf(line, sizeof line, "%c\t%s\t%s\n", call, path, other);
    if (length > 0 && length < (int)sizeof line) {
        static ssize_t (*real)(int, const void *, size_t);
        if (!real) real = dlsym(RTLD_NEXT, "write");
        if (real(now.log, line, length) < 0) return;
    }
}

/* Whether a call is to fail; errno is set then. */
static int fails(char call, const char *path, const char *other)
{
    if (!now.armed || !strchr(now.calls, call) || !path || !strstr(path, now.place)) return 0;
    int before = errno;
    if (now.log >= 0) tell(call, path, other);
    long mine = __atomic_fetch_add(&now.seen, 1, __ATOMIC_SEQ_CST);
    errno = before;
    if (mine < now.first || mine > now.last) return 0;
    if (now.nap_us) usleep(now.nap_us);
    if (!now.code) return 0;
    errno = now.code;
    return 1;
}

static int fails_fd(char call, int descriptor)
{
    if (!now.armed || !strchr(now.calls, call) || descriptor == now.log) return 0;
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(call, path, "");
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENED(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (fails('o', path, "")) return -1; \
        return real(path, flags, mode); \
    }
OPENED(open)
OPENED(open64)

#define OPENED_AT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (fails('o', path, "")) return -1; \
        return real(folder, path, flags, mode); \
    }
OPENED_AT(openat)
OPENED_AT(openat64)

#define STREAM(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        REAL(name); \
        if (fails('o', path, "")) return NULL; \
        return real(path, mode); \
    }
STREAM(fopen)
STREAM(fopen64)

#define MOVED(name, call, kind, place, kept) \
    ssize_t name(int descriptor, kind data, size_t count place) \
    { \
        REAL(name); \
        if (fails_fd(call, descriptor)) return -1; \
        return real(descriptor, data, count kept); \
    }
#define NOTHING
#define COMMA ,
MOVED(read, 'r', void *, , )
MOVED(write, 'w', const void *, , )
MOVED(pread, 'r', void *, COMMA off_t at, COMMA at)
MOVED(pread64, 'r', void *, COMMA off64_t at, COMMA at)
MOVED(pwrite, 'w', const void *, COMMA off_t at, COMMA at)
MOVED(pwrite64, 'w', const void *, COMMA off64_t at, COMMA at)

size_t fread(void *data, size_t size, size_t count, FILE *stream)
{
    REAL(fread);
    if (fails_fd('r', fileno(stream))) return 0;
    return real(data, size, count, stream);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *stream)
{
    REAL(fwrite);
    if (fails_fd('w', fileno(stream))) return 0;
    return real(data, size, count, stream);
}

int connect(int descriptor, const struct sockaddr *to, socklen_t length)
{
    REAL(connect);
    if (to->sa_family != AF_UNIX && fails('c', "an address", "")) return -1;
    return real(descriptor, to, length);
}

int fsync(int descriptor)
{
    REAL(fsync);
    if (fails_fd('s', descriptor)) return -1;
    return real(descriptor);
}

int fdatasync(int descriptor)
{
    REAL(fdatasync);
    if (fails_fd('s', descriptor)) return -1;
    return real(descriptor);
}

#define NAMED(name) \
    int name(const char *from, const char *to) \
    { \
        REAL(name); \
        if (fails('n', from, to)) return -1; \
        return real(from, to); \
    }
NAMED(rename)
NAMED(link)

int unlink(const char *path)
{
    REAL(unlink);
    if (fails('u', path, "")) return -1;
    return real(path);
}

#define STATED(name, kind) \
    int name(const char *path, kind *found) \
    { \
        REAL(name); \
        if (fails('t', path, "")) return -1; \
        return real(path, found); \
    }
STATED(stat, struct stat)
STATED(lstat, struct stat)

int clock_gettime(clockid_t clock, struct timespec *found)
{
    REAL(clock_gettime);
    int status = real(clock, found);
    if (clock == CLOCK_REALTIME && now.clock_jump_s &&
        __atomic_fetch_add(&now.clock_seen, 1, __ATOMIC_SEQ_CST) >= now.clock_first)
        found->tv_sec += now.clock_jump_s;
    return status;
}
