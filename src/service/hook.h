#ifndef SUP_SERVICE_HOOK_H
#define SUP_SERVICE_HOOK_H

#include "base/err.h"
#include "base/thread.h"

#include <stddef.h>
#include <stdint.h>

/* A command of the operator's, run when a rate passes a threshold. No shell: the words of the
 * configuration are the arguments as they stand. What happened goes to its standard input, one line
 * of JSON, since names come from mails. */
struct sup_hook {
    const char *const *argv; /* [0] is the program, found by PATH; borrowed */
    size_t n;                /* 0 = none */
    int64_t timeout_ms;      /* then it is killed, with what it started */
};

struct sup_alert {
    const char *node;
    const char *region;
    const char *rate; /* "bounces", "complaints" */
    const char *kind; /* "region" … */
    const char *name;
    const char *before, *level;
    double value; /* the worst window's rate at present, as a part of sends */
    int64_t time_ms;
};

/* Waits for its end; SUP_ECLOSED when stop was set meanwhile. SUP_EIO: it cannot be started, or
 * ended with another status than 0. SUP_ETIMEDOUT. */
int sup_hook_run(const struct sup_hook *h, const struct sup_alert *a, struct sup_stop *stop,
                 struct sup_err *err);

#endif
