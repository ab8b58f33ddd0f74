/* A wall clock that runs fast: preloaded into the hub and its commands, and into nothing else.
 *
 * now = CARELOOP_WEEK_BASE + (real now - CARELOOP_WEEK_ORIGIN) * CARELOOP_WEEK_RATE, in nanoseconds, so that all
 * processes of a run share one clock, and one that is started again does not go back. Only the wall clock is changed:
 * timers, sleeps and timeouts keep the machine's pace.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static __int128 base, origin, rate;

__attribute__((constructor)) static void begin(void) {
    const char *b = getenv("CARELOOP_WEEK_BASE"), *o = getenv("CARELOOP_WEEK_ORIGIN"), *r = getenv("CARELOOP_WEEK_RATE");
    if (b && o && r) {
        base = atoll(b);
        origin = atoll(o);
        rate = atoll(r);
    }
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, id, at);
    if (failed || !rate || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
    __int128 now = (__int128)at->tv_sec * 1000000000 + at->tv_nsec;
    now = base + (now - origin) * rate;
    at->tv_sec = now / 1000000000;
    at->tv_nsec = now % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
