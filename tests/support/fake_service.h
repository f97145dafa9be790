#ifndef FAKE_SERVICE_H
#define FAKE_SERVICE_H

#include "service/service.h"

#include <pthread.h>
#include <stdatomic.h>

/* A service that answers by what the address looks like, for tests of HTTP: it defines the
 * sup_service_* symbols itself, so the real one is not linked in where this is used.
 *
 *   block…@, complaint…@   blocked for that reason        unknown…@   the store says unknown
 *   io…@                   the store cannot be read       none…@      nothing known (show, clear)
 *   no '@' and the like    not an address                 anything else is allowed */

struct fake_service {
    pthread_mutex_t mutex;
    /* the last ruling, as it came in */
    char address[400];
    char actor[200];
    char note[1200];
    enum sup_class cls;
    int64_t expires_in_ms;
    bool force, undo;
    unsigned suppressed, cleared;
    /* the last filter */
    struct sup_list_filter filter;
    char domain[100], region[100], after[400];
    /* what to answer */
    uint64_t rows;          /* a list has so many: a0000000@x.example … */
    uint64_t fail_after;    /* a list fails behind so many rows; 0 = not at all */
    atomic_uint listing;    /* lists that run */
    atomic_ullong produced; /* rows that lists gave */
    bool ready, healthy;
};

struct sup_service *fake_service_new(struct fake_service **out);
void fake_service_free(struct sup_service *s);

#endif
