#ifndef SUP_SERVICE_OPTIONS_EVENTS_H
#define SUP_SERVICE_OPTIONS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

/* What follows from events beside decisions; parts of struct sup_options. */

enum sup_escalation_mode { SUP_ESCALATION_OFF, SUP_ESCALATION_SHADOW, SUP_ESCALATION_ENFORCE };

/* Soft bounces: how long they are kept, and when they become a suppression. */
struct sup_soft_options {
    int64_t retention_ms;
    enum sup_escalation_mode escalation;
    unsigned consecutive;
    unsigned count;
    int64_t window_ms;
};

/* When a rate is told of, and the command that tells it. */
struct sup_rate_options {
    uint64_t floor_bounces, floor_complaints; /* sends below which nothing is said */
    double leave_percent;                     /* of a threshold: below it the level is left */
    const char *const *hook;
    size_t n_hook;
    int64_t hook_timeout_ms;
};

#endif
