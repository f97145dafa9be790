#ifndef SUP_MESH_REFUSAL_H
#define SUP_MESH_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

/* Anybody can connect, so what is logged of those who did must not fill a disk: SUP_STRANGER_BURST
 * lines at once, then one a second, over all of them. What the metrics count is not limited. */
#define SUP_STRANGER_BURST 20

struct sup_log_quota {
    int64_t refilled_ms;
    unsigned tokens;
    uint64_t dropped;
};
/* May a line be written at now_ms (monotonic)? If so *dropped says how many were not since the last
 * one. A zeroed quota is full. Not locked. */
bool sup_log_quota_take(struct sup_log_quota *q, int64_t now_ms, uint64_t *dropped);

/* The process's quota for strangers. Any thread. */
bool sup_stranger_may_log(uint64_t *dropped);

#endif
