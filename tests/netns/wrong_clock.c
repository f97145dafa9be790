/* Preloaded into a program under test, gives it a wall clock that is wrong by as many seconds as
 * the file named by SUPSYNC_CLOCK_FILE holds (a native int64_t, mapped: a change is in force at
 * once). The monotonic clock stays right, as it does when somebody sets the clock of a machine.
 *
 * libfaketime would do, but for its pthread_cond_timedwait, which returns at once, again and again,
 * from waits for the monotonic clock. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* An absolute time beyond this is of the wall clock: no machine has been up for thirty years. */
#define UPTIME_MAX_S 1000000000

static const volatile int64_t *offset_s;

static void __attribute__((constructor)) open_clock(void)
{
    const char *path = getenv("SUPSYNC_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    if (fd >= 0) {
        map = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (map == MAP_FAILED) {
        perror("wrong_clock: SUPSYNC_CLOCK_FILE");
        _exit(127);
    }
    offset_s = map;
}

/* Constructors of other libraries may ask for the time before ours has run. */
static int64_t offset(void)
{
    return offset_s ? *offset_s : 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += offset();
    return (int)rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

/* The C library goes by the kernel's clock; which one a condition goes by, it does not tell, but
 * the time does. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    struct timespec t = *until;
    if (t.tv_sec < UPTIME_MAX_S)
        return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &t);
    t.tv_sec -= offset();
    return pthread_cond_clockwait(cond, mutex, CLOCK_REALTIME, &t);
}
