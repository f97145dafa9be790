#ifndef SIM_PARK_H
#define SIM_PARK_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct sim_queue;

/* Requests that wait without holding a thread of the pool: long polls until a message comes, and
 * faults that delay. Their connection is suspended in libmicrohttpd; one thread resumes those whose
 * time has come. */
struct sim_parking {
    struct MHD_Connection *connection;
    struct sim_queue *queue; /* NULL: only the time counts */
    int64_t deadline_ms;     /* monotonic; kept by the request over several waits */
    bool parked;
    struct sim_parking *next;
    struct sim_parking *prev;
};

struct sim_park {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running;
    bool stopping;
    struct sim_parking *first;
    struct sim_parking *last;
};

int sim_park_start(struct sim_park *p); /* 0 or errno */
/* Resumes everything; later waits are refused. */
void sim_park_stop(struct sim_park *p);
/* From the handler that owns the connection, which must return at once after true. queue's lock may
 * be held, so that a message sent in between is not missed. */
bool sim_park_wait(struct sim_park *p, struct sim_parking *w);
/* n messages came. queue's lock must not be held. */
void sim_park_wake(struct sim_park *p, const struct sim_queue *queue, size_t n);

#endif
